/** Milliseconds before attempt number `attempt` (from 0): doubles up to 8 s, with jitter so that not all pages come at once. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const most = Math.min(8000, 500 * 2 ** Math.min(attempt, 10));
  return most / 2 + (most / 2) * random();
}
