// What all plots share: axes, fonts, one pointer for all of them.

import type uPlot from "uplot";
import { clock, compact, shortClock } from "../logic/format";
import type { Colours } from "./colours";

const FONT = "12px system-ui, sans-serif";

/** Pixels that a label needs: "17:45" fits between minutes where "17:45:30" does not. */
function labelSpace(_: uPlot, __: number, from: number, to: number, width: number): number {
  const minute = (width * 60) / Math.max(1, to - from);
  return minute < 140 ? Math.max(46, minute / 2 + 1) : 70;
}

export function timeAxis({ text, grid }: Colours): uPlot.Axis {
  return {
    font: FONT,
    stroke: text,
    grid: { show: false },
    ticks: { stroke: grid, size: 4, width: 1 },
    gap: 6,
    size: 28,
    space: labelSpace,
    values: (_, splits) => {
      const minutes = splits.every((seconds) => seconds % 60 === 0);
      return splits.map((seconds) => (minutes ? shortClock : clock)(seconds * 1000));
    },
  };
}

export function valueAxis({ text, grid }: Colours, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    font: FONT,
    stroke: text,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    gap: 6,
    // Wide enough for "12.3k": axes that change their width make the page jump.
    size: 48,
    space: 34,
    values: (_, splits) => splits.map(compact),
    ...more,
  };
}

/** One scale from zero to a little above the largest value. */
export const fromZero: uPlot.Scale = {
  range: (_, __, max) => [0, Math.max(max ?? 0, 1) * 1.08],
};

/** A scale around the values: a corridor is narrow. */
export const aroundValues: uPlot.Scale = {
  range: (_, min, max) => {
    if (min == null || max == null) return [0, 1];
    const room = Math.max((max - min) * 0.1, max * 0.02, 1);
    return [Math.max(0, min - room), max + room];
  },
};

/** The same instant is marked in all plots that show it. */
export const cursor: uPlot.Cursor = {
  sync: { key: "overview" },
  drag: { x: false, y: false, setScale: false },
  points: { size: 6 },
  y: false,
};

export const bare = {
  legend: { show: false },
  cursor,
  padding: [8, 18, 0, 0] as uPlot.Padding,
} satisfies Partial<uPlot.Options>;
