// What each delay brings: evenkeel and the simplest rule that cuts peaks, over the mean delay.

import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { FrontierRow } from "../api/types";
import { fixed, number, share, wait } from "../logic/format";
import { decades, inWords, spent } from "../logic/frontier";
import type { Column } from "../parts/table";
import { bare, valueAxis } from "./axes";
import type { Colours } from "./colours";
import { Figure } from "./figure";
import { Plot } from "./plot";

const LEGEND = [
  { swatch: "swatch-line", label: "evenkeel, solid" },
  { swatch: "swatch-line dashed", label: "least-loaded, dashed" },
  { swatch: "swatch-dot", label: "without levelling" },
];

type Options = (colours: Colours) => Omit<uPlot.Options, "width" | "height">;

/** Delays from a tick to minutes fit on a scale of tenfolds alone. */
const delays: uPlot.Scale = {
  time: false,
  distr: 3,
  range: (_, min, max) => [(min ?? 0.1) / 1.15, (max ?? 1) * 1.15],
};

function options(y: uPlot.Scale): Options {
  return (colours) => {
    const { text: stroke, grid } = colours;
    const drawn = (color: string, more: uPlot.Series): uPlot.Series => ({
      stroke: color,
      spanGaps: true,
      points: { show: true, size: 6, fill: color },
      ...more,
    });
    return {
      ...bare,
      cursor: { drag: { x: false, y: false }, points: { size: 8 }, y: false },
      scales: { x: delays, y },
      axes: [
        {
          ...valueAxis(colours),
          grid: { show: false },
          ticks: { stroke: grid, size: 4, width: 1 },
          stroke,
          size: 28,
          splits: (_, __, min, max) => decades(min, max),
          filter: (_, splits) => splits,
          values: (_, splits) => splits.map((seconds) => number(seconds, 3)),
        },
        valueAxis(colours),
      ],
      series: [
        {},
        drawn(colours.accent, { width: 2.5 }),
        drawn(colours.without, { width: 2, dash: [8, 4] }),
        drawn(colours.p99, { width: 0, points: { show: true, size: 10, fill: colours.p99 } }),
      ],
    };
  };
}

const POLICIES = ["evenkeel", "least-loaded", "none"];
const percent: Options = options({ range: () => [0, 105] });
const times: Options = options({ range: (_, __, max) => [1, Math.max(max ?? 1, 1.2) * 1.04] });

function columns(tickMs: number): Column<FrontierRow>[] {
  return [
    {
      key: "policy",
      label: "Who levels",
      render: ({ policy }) => (policy === "none" ? "nobody" : policy),
    },
    {
      key: "budget",
      label: "Delay budget",
      numeric: true,
      render: ({ budget_ticks }) => wait(budget_ticks, tickMs, 1),
    },
    {
      key: "mean",
      label: "Mean delay",
      numeric: true,
      render: ({ mean_delay_ticks }) => wait(mean_delay_ticks, tickMs, 1),
    },
    {
      key: "p99",
      label: "p99 delay",
      numeric: true,
      render: ({ p99_delay_ticks }) => wait(p99_delay_ticks, tickMs),
    },
    { key: "share", label: "In the corridor", numeric: true, render: (row) => share(row.share, 1) },
    { key: "any", label: "At any alignment", numeric: true, render: (row) => share(row.any_alignment, 1) },
    {
      key: "peak",
      label: "Peak over mean",
      numeric: true,
      render: ({ peak_to_mean_60s }) => fixed(peak_to_mean_60s, 2),
    },
  ];
}

interface ChartProps {
  title: string;
  unit: string;
  rows: FrontierRow[];
  tickMs: number;
  options: Options;
  value: (row: FrontierRow) => number;
}

function Chart({ title, unit, rows, tickMs, options, value }: ChartProps) {
  const [at, setAt] = useState<number | null>(null);
  const { byDelay, data } = useMemo(() => {
    const byDelay = spent(rows);
    const of = (policy: string) => byDelay.map((row) => (row.policy === policy ? value(row) : null));
    const data = [byDelay.map((row) => row.mean_delay_s), ...POLICIES.map(of)] as uPlot.AlignedData;
    return { byDelay, data };
  }, [rows, value]);
  const best = byDelay.filter(({ policy }) => policy === "evenkeel").at(-1);
  const pointed = at === null ? undefined : byDelay[at];
  return (
    <Figure
      title={title}
      unit={unit}
      reading={inWords(pointed ?? best, tickMs)}
      legend={LEGEND}
      rows={rows}
      rowKey={({ policy, budget_ticks }) => `${policy} ${budget_ticks}`}
      columns={columns(tickMs)}
    >
      <Plot
        label={`${title}, ${unit}. ${byDelay.map((row) => inWords(row, tickMs)).join(" ")}`}
        options={options}
        data={data}
        onPoint={setAt}
      />
    </Figure>
  );
}

const shareOf = (row: FrontierRow) => row.share * 100;
const peakOf = (row: FrontierRow) => row.peak_to_mean_60s;

export function FrontierCharts({ rows, tickMs }: { rows: FrontierRow[]; tickMs: number }) {
  return (
    <div class="pair">
      <Chart
        title="Level windows"
        unit="% over the mean delay in seconds"
        rows={rows}
        tickMs={tickMs}
        options={percent}
        value={shareOf}
      />
      <Chart
        title="Peaks"
        unit="largest tick of a minute over its mean, over the mean delay in seconds"
        rows={rows}
        tickMs={tickMs}
        options={times}
        value={peakOf}
      />
    </div>
  );
}
