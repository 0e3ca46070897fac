// A resource's utilisation: mean and range of each window, the corridor, and what it would be without levelling.

import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { Point, Resource } from "../api/types";
import { clock, number, plural } from "../logic/format";
import { corridor, stayedInside, timeline } from "../logic/history";
import type { Column } from "../parts/table";
import { aroundValues, bare, timeAxis, valueAxis } from "./axes";
import type { Colours } from "./colours";
import { Figure } from "./figure";
import { Plot } from "./plot";

const NAMES: Record<Resource, string> = { cpu: "CPU", io: "IO", memory: "Memory" };

// In the order in which they are drawn.
const [WITHOUT_HIGH, WITHOUT_LOW, HIGH, LOW, MAX, MIN, AVERAGE] = [1, 2, 3, 4, 5, 6, 7];

function options(overlay: boolean) {
  return (colours: Colours): Omit<uPlot.Options, "width" | "height"> => {
    // An area without an outline: three hundred windows of peaks would hide what lies within.
    const edge = { stroke: "transparent", width: 0, points: { show: false }, show: overlay };
    const none = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      ...bare,
      scales: { y: aroundValues },
      axes: [timeAxis(colours), valueAxis(colours)],
      series: [
        {},
        edge,
        edge,
        none,
        none,
        none,
        none,
        { stroke: colours.accent, width: 1.5, points: { show: false } },
      ],
      bands: [
        { series: [WITHOUT_HIGH, WITHOUT_LOW], fill: colours.withoutFill },
        { series: [HIGH, LOW], fill: colours.corridor },
        { series: [MAX, MIN], fill: colours.range },
      ] as uPlot.Band[],
    };
  };
}

function columnsOf(rows: (Point | null)[], resource: Resource): (number | null)[][] {
  const column = (value: (point: Point) => number | undefined) =>
    rows.map((point) => (point === null ? null : (value(point) ?? null)));
  const columns: (number | null)[][] = [];
  columns[WITHOUT_HIGH] = column((point) => point.without?.[resource].max);
  columns[WITHOUT_LOW] = column((point) => point.without?.[resource].min);
  columns[HIGH] = column((point) => corridor(point.measured[resource]).high);
  columns[LOW] = column((point) => corridor(point.measured[resource]).low);
  columns[MAX] = column((point) => point.measured[resource].max);
  columns[MIN] = column((point) => point.measured[resource].min);
  columns[AVERAGE] = column((point) => point.measured[resource].average);
  return columns.slice(1);
}

function reading(point: Point | null | undefined, resource: Resource): string {
  if (point == null) return "No window has closed yet";
  const { average, min, max } = point.measured[resource];
  const verdict = stayedInside(point, resource) ? "inside" : "outside";
  return `${clock(point.closed_at_ms)}: mean ${number(average)}, range ${number(min)}–${number(max)}: ${verdict}`;
}

/** What the chart says, in a sentence. */
function spoken(points: Point[], resource: Resource): string {
  const last = points.at(-1);
  const name = `${NAMES[resource]} utilisation per tick`;
  if (last === undefined) return `${name}: nothing measured yet`;
  const { low, high } = corridor(last.measured[resource]);
  const { average, min, max } = last.measured[resource];
  const inside = points.filter((point) => stayedInside(point, resource)).length;
  const without = last.without === null ? null : last.without[resource];
  const overlay =
    without === null ? "" : ` Without evenkeel it would be ${number(without.min)} to ${number(without.max)}.`;
  return (
    `${name}. The last value: mean ${number(average)}, lowest tick ${number(min)}, highest ${number(max)}; ` +
    `the corridor is ${number(low)} to ${number(high)}. ` +
    `${number(inside)} of ${plural(points.length, "value")} stay in the corridor.${overlay}`
  );
}

function tableColumns(resource: Resource): Column<Point>[] {
  const extent = (point: Point) => point.measured[resource];
  return [
    { key: "time", label: "Time", render: (point) => clock(point.closed_at_ms) },
    { key: "ticks", label: "Ticks", render: (point) => `${point.first_tick}–${point.last_tick}` },
    { key: "average", label: "Mean", numeric: true, render: (point) => number(extent(point).average) },
    { key: "min", label: "Lowest", numeric: true, render: (point) => number(extent(point).min) },
    { key: "max", label: "Highest", numeric: true, render: (point) => number(extent(point).max) },
    {
      key: "low",
      label: "Corridor from",
      numeric: true,
      render: (point) => number(corridor(extent(point)).low, 1),
    },
    {
      key: "high",
      label: "Corridor to",
      numeric: true,
      render: (point) => number(corridor(extent(point)).high, 1),
    },
    { key: "inside", label: "Inside", render: (point) => (stayedInside(point, resource) ? "yes" : "no") },
    {
      key: "wmin",
      label: "Without, lowest",
      numeric: true,
      render: (point) => number(point.without?.[resource].min),
    },
    {
      key: "wmax",
      label: "Without, highest",
      numeric: true,
      render: (point) => number(point.without?.[resource].max),
    },
  ];
}

const LEGEND = [
  { swatch: "swatch-line", label: "mean" },
  { swatch: "swatch-range", label: "range" },
  { swatch: "swatch-corridor", label: "corridor ±10 %" },
];
const OVERLAY = { swatch: "swatch-without", label: "without evenkeel" };

interface Props {
  resource: Resource;
  points: Point[];
  /** Whether to draw what it would be without levelling. */
  overlay: boolean;
}

export function Utilisation({ resource, points, overlay }: Props) {
  const [row, setRow] = useState<number | null>(null);
  const { seconds, rows } = useMemo(() => timeline(points), [points]);
  const data = useMemo(
    () => [seconds, ...columnsOf(rows, resource)] as uPlot.AlignedData,
    [seconds, rows, resource],
  );
  const make = useMemo(() => options(overlay), [overlay]);
  const columns = useMemo(() => tableColumns(resource), [resource]);
  const newestFirst = useMemo(() => [...points].reverse(), [points]);
  return (
    <Figure
      title={NAMES[resource]}
      unit="cost units per tick"
      reading={reading(row === null ? points.at(-1) : rows[row], resource)}
      legend={overlay ? [...LEGEND, OVERLAY] : LEGEND}
      rows={newestFirst}
      rowKey={(point) => point.last_tick}
      columns={columns}
    >
      <Plot label={spoken(points, resource)} options={make} data={data} onPoint={setRow} />
    </Figure>
  );
}
