// What a frontier says, in words and on its axis.

import type { FrontierRow } from "../api/types";
import { fixed, share, wait } from "./format";

/** Rows in the order of their delays. One in which nothing ran has none. */
export function spent(rows: FrontierRow[]): FrontierRow[] {
  return rows.filter(({ mean_delay_s }) => mean_delay_s > 0).sort((a, b) => a.mean_delay_s - b.mean_delay_s);
}

/** 1, 2 and 5 of each power of ten from `min` to `max`; of many powers only these. */
export function decades(min: number, max: number): number[] {
  const [first, last] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  const steps = last - first > 4 ? [1] : [1, 2, 5];
  const all: number[] = [];
  for (let power = first; power <= last; power += 1) {
    all.push(...steps.map((step) => Number((step * 10 ** power).toPrecision(1))));
  }
  return all.filter((value) => value >= min && value <= max);
}

/** A row in a sentence. */
export function inWords(row: FrontierRow | undefined, tickMs: number): string {
  if (row === undefined) return "Nothing ran.";
  const who = row.policy === "none" ? "Without levelling" : row.policy;
  const budget = row.budget_ticks === null ? "" : ` with a budget of ${wait(row.budget_ticks, tickMs, 1)}`;
  return (
    `${who}${budget}: ${share(row.share, 1)} of windows in the corridor, peak ${fixed(row.peak_to_mean_60s, 2)} ` +
    `times the mean, for ${wait(row.mean_delay_ticks, tickMs, 1)} of delay.`
  );
}
