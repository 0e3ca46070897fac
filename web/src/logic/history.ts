// The history that charts and tables are drawn from.

import type { Change, Extent, Point, Resource } from "../api/types";

/** Windows in the spans that people are told about. */
export interface Spans {
  /** In the tile and curve of "the last minute". */
  minute: number;
  /** That the page keeps, which is what the server sends at first: five minutes. */
  recent: number;
}

/** However short windows are, the server tells no more of them. */
const SPAN_WINDOWS_MAX = 3000;

/** The spans where a window lasts so long; one that is longer than a span is the span. */
export function spans(windowMs: number): Spans {
  const windows = (minutes: number) =>
    Math.min(SPAN_WINDOWS_MAX, Math.max(1, Math.floor((minutes * 60_000) / windowMs)));
  return { minute: windows(1), recent: windows(5) };
}

/** History with what has come since. A window may come again when more is known of it: the newer word counts. */
export function merged(points: Point[], fresh: Point[], max: number): Point[] {
  if (fresh.length === 0) return points;
  const windows = new Map([...points, ...fresh].map((point) => [point.first_tick, point]));
  return [...windows.values()].sort((a, b) => a.first_tick - b.first_tick).slice(-max);
}

/** Whether another database answers under the same address: it counts its ticks anew. */
export function startsAnew(points: Point[], change: Change, snapshot: boolean): boolean {
  const { tick } = change.status;
  return snapshot && tick !== null && tick < (points.at(-1)?.last_tick ?? 0);
}

export interface Corridor {
  low: number;
  high: number;
}

/** ±10 % of the mean. */
export function corridor(extent: Extent): Corridor {
  return { low: extent.average * 0.9, high: extent.average * 1.1 };
}

/** An idle window is out of it. */
export function inCorridor(extent: Extent): boolean {
  const { low, high } = corridor(extent);
  return extent.average > 0 && extent.min >= low && extent.max <= high;
}

/** Whether a resource stayed in it. A window's own verdict is from exact sums; its mean is truncated. */
export function stayedInside(point: Point, resource: Resource): boolean {
  return point.windows_in_corridor === point.windows || inCorridor(point.measured[resource]);
}

export interface Shares {
  measured: number | null;
  without: number | null;
}

/** For each point the share of windows in the corridor, over the `windows` up to it. */
export function rollingShares(points: Point[], windows: number): Shares[] {
  return points.map((_, end) => {
    let [all, inside, known, insideWithout] = [0, 0, 0, 0];
    for (let at = end; at >= 0 && all < windows; at -= 1) {
      const point = points[at] as Point;
      all += point.windows;
      inside += point.windows_in_corridor;
      known += point.windows_known_without;
      insideWithout += point.windows_in_corridor_without;
    }
    return {
      measured: all === 0 ? null : inside / all,
      without: known === 0 ? null : insideWithout / known,
    };
  });
}

/** Seconds of each point, and one row more wherever nothing was measured for a while: there a line breaks. */
export function timeline(points: Point[]): { seconds: number[]; rows: (Point | null)[] } {
  const seconds: number[] = [];
  const rows: (Point | null)[] = [];
  let step = Number.POSITIVE_INFINITY;
  for (let at = 1; at < points.length; at += 1) {
    step = Math.min(
      step,
      Math.max(1, (points[at] as Point).closed_at_ms - (points[at - 1] as Point).closed_at_ms),
    );
  }
  let last: Point | undefined;
  for (const point of points) {
    if (last !== undefined && point.closed_at_ms - last.closed_at_ms > Math.max(4 * step, 3000)) {
      seconds.push((last.closed_at_ms + point.closed_at_ms) / 2000);
      rows.push(null);
    }
    seconds.push(point.closed_at_ms / 1000);
    rows.push(point);
    last = point;
  }
  return { seconds, rows };
}
