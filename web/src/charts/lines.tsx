// The charts with plain lines: the queue, the delay, the benefit.

import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { Point } from "../api/types";
import { clock, number, share, wait } from "../logic/format";
import { rollingShares, type Shares, timeline } from "../logic/history";
import type { Column } from "../parts/table";
import { tickMs, windowSpans } from "../state";
import { bare, fromZero, timeAxis, valueAxis } from "./axes";
import type { Colours } from "./colours";
import { Figure, type LegendEntry } from "./figure";
import { Plot } from "./plot";

type Options = (colours: Colours) => Omit<uPlot.Options, "width" | "height">;

interface LinesProps<Row> {
  title: string;
  unit: string;
  /** Oldest first. */
  rows: Row[];
  options: Options;
  /** Drawn values of a row. */
  series: ((row: Row) => number | null | undefined)[];
  /** A row in words. */
  words: (row: Row) => string;
  legend: LegendEntry[];
  columns: Column<Row>[];
}

/** What a row has at least: the point that it belongs to. */
interface WithPoint {
  point: Point;
}

function Lines<Row extends WithPoint>(props: LinesProps<Row>) {
  const { title, unit, rows, options, series, words, legend, columns } = props;
  const [at, setAt] = useState<number | null>(null);
  const { seconds, drawn } = useMemo(() => {
    const line = timeline(rows.map(({ point }) => point));
    const of = new Map(rows.map((row) => [row.point, row]));
    return { seconds: line.seconds, drawn: line.rows.map((point) => (point && of.get(point)) ?? null) };
  }, [rows]);
  const data = useMemo(
    () =>
      [
        seconds,
        ...series.map((value) => drawn.map((row) => row && (value(row) ?? null))),
      ] as uPlot.AlignedData,
    [seconds, drawn, series],
  );
  const newestFirst = useMemo(() => [...rows].reverse(), [rows]);
  const said = (row: Row | null | undefined) =>
    row == null ? "No window has closed yet" : `${clock(row.point.closed_at_ms)}: ${words(row)}`;
  return (
    <Figure
      title={title}
      unit={unit}
      reading={said(at === null ? rows.at(-1) : drawn[at])}
      legend={legend}
      rows={newestFirst}
      rowKey={(row) => row.point.last_tick}
      columns={[
        { key: "time", label: "Time", render: (row) => clock(row.point.closed_at_ms) },
        { key: "ticks", label: "Ticks", render: (row) => `${row.point.first_tick}–${row.point.last_tick}` },
        ...columns,
      ]}
    >
      <Plot label={`${title}, ${unit}. ${said(rows.at(-1))}`} options={options} data={data} onPoint={setAt} />
    </Figure>
  );
}

const line = (stroke: string, more: uPlot.Series = {}): uPlot.Series => ({
  stroke,
  width: 2,
  points: { show: false },
  ...more,
});

const queueOptions: Options = (colours) => ({
  ...bare,
  padding: [8, 0, 0, 0],
  scales: { y: fromZero, wait: fromZero },
  axes: [
    timeAxis(colours),
    valueAxis(colours),
    valueAxis(colours, { scale: "wait", side: 1, grid: { show: false } }),
  ],
  series: [
    {},
    line(colours.accent, { fill: colours.area }),
    line(colours.p95, { scale: "wait", dash: [8, 4] }),
  ],
});
/** Ticks as the charts draw them. */
const seconds = (ticks: number | null | undefined) => (ticks == null ? null : (ticks * tickMs.value) / 1000);
const QUEUE_SERIES = [
  ({ point }: WithPoint) => point.queued,
  ({ point }: WithPoint) => seconds(point.oldest_wait_ticks),
];
const QUEUE_LEGEND = [
  { swatch: "swatch-line", label: "waiting executions (left)" },
  { swatch: "swatch-line p95", label: "oldest wait in seconds (right)" },
];

const asRows = (points: Point[]): WithPoint[] => points.map((point) => ({ point }));

export function QueueChart({ points }: { points: Point[] }) {
  const rows = useMemo(() => asRows(points), [points]);
  return (
    <Lines
      title="Queue"
      unit="executions, seconds"
      rows={rows}
      options={queueOptions}
      series={QUEUE_SERIES}
      words={({ point }) =>
        `${number(point.queued)} waiting, the oldest for ${wait(point.oldest_wait_ticks, tickMs.value)}`
      }
      legend={QUEUE_LEGEND}
      columns={[
        { key: "queued", label: "Waiting", numeric: true, render: ({ point }) => number(point.queued) },
        {
          key: "oldest",
          label: "Oldest wait",
          numeric: true,
          render: ({ point }) => wait(point.oldest_wait_ticks, tickMs.value),
        },
      ]}
    />
  );
}

const delayOptions: Options = (colours) => ({
  ...bare,
  scales: { y: fromZero },
  axes: [timeAxis(colours), valueAxis(colours)],
  series: [
    {},
    line(colours.accent, { width: 2.5 }),
    line(colours.p95, { dash: [8, 4] }),
    line(colours.p99, { dash: [2, 3] }),
  ],
});
const DELAY_SERIES = [
  ({ point }: WithPoint) => seconds(point.delay_ticks?.p50),
  ({ point }: WithPoint) => seconds(point.delay_ticks?.p95),
  ({ point }: WithPoint) => seconds(point.delay_ticks?.p99),
];
const DELAY_LEGEND = [
  { swatch: "swatch-line", label: "p50, solid" },
  { swatch: "swatch-line p95", label: "p95, dashed" },
  { swatch: "swatch-line p99", label: "p99, dotted" },
];

export function DelayChart({ points }: { points: Point[] }) {
  const rows = useMemo(() => asRows(points), [points]);
  const cell = (
    key: "mean" | "p50" | "p95" | "p99" | "max",
    label: string,
    digits = 0,
  ): Column<WithPoint> => ({
    key,
    label,
    numeric: true,
    render: ({ point }) => wait(point.delay_ticks?.[key], tickMs.value, digits),
  });
  return (
    <Lines
      title="Delay"
      unit="seconds from queued to executed"
      rows={rows}
      options={delayOptions}
      series={DELAY_SERIES}
      words={({ point: { delay_ticks: delay } }) =>
        `p50 ${wait(delay?.p50, tickMs.value)}, p95 ${wait(delay?.p95, tickMs.value)}, p99 ${wait(delay?.p99, tickMs.value)}`
      }
      legend={DELAY_LEGEND}
      columns={[
        cell("mean", "Mean", 1),
        cell("p50", "p50"),
        cell("p95", "p95"),
        cell("p99", "p99"),
        cell("max", "Longest"),
      ]}
    />
  );
}

const benefitOptions: Options = (colours) => ({
  ...bare,
  scales: { y: { range: () => [0, 105] } },
  axes: [timeAxis(colours), valueAxis(colours)],
  series: [{}, line(colours.accent, { fill: colours.area }), line(colours.without, { width: 1.5 })],
});
type BenefitRow = WithPoint & Shares;
const percent = (value: number | null) => (value === null ? null : value * 100);
const BENEFIT_SERIES = [
  ({ measured }: BenefitRow) => percent(measured),
  ({ without }: BenefitRow) => percent(without),
];
const BENEFIT_LEGEND = [
  { swatch: "swatch-line", label: "measured" },
  { swatch: "swatch-line grey", label: "without evenkeel" },
];

interface BenefitProps {
  points: Point[];
  /** What is known of the time before them, and they: the shares are over a minute. */
  history: Point[];
}

export function BenefitChart({ points, history }: BenefitProps) {
  const windows = windowSpans.value.minute;
  const rows = useMemo(() => {
    const shares = rollingShares(history, windows);
    const all = history.map((point, at) => ({ point, ...(shares[at] as Shares) }));
    return all.slice(-points.length || all.length);
  }, [points, history, windows]);
  return (
    <Lines
      title="In the corridor"
      unit={`% of the last ${windows} window${windows === 1 ? "" : "s"}`}
      rows={rows}
      options={benefitOptions}
      series={BENEFIT_SERIES}
      words={({ measured, without }) =>
        `${share(measured)} in the corridor, without evenkeel ${share(without)}`
      }
      legend={BENEFIT_LEGEND}
      columns={[
        { key: "measured", label: "Measured", numeric: true, render: ({ measured }) => share(measured) },
        { key: "without", label: "Without", numeric: true, render: ({ without }) => share(without) },
      ]}
    />
  );
}
