// What a delay budget brings, before one is chosen: the load that was recorded, under one budget after the other.

import { useState } from "preact/hooks";
import type { Frontier, FrontierAnswer } from "../api/types";
import { FrontierCharts } from "../charts/frontier";
import { duration, share } from "../logic/format";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";

/** While it is made, and once it is there. */
const LOOK_EVERY_MS = { soon: 3_000, calm: 60_000 };

function from({ age_ms, counted_from_tick, last_tick, tick_ms, complete }: Frontier): string {
  const counted = duration((last_tick + 1 - counted_from_tick) * tick_ms);
  const rest = complete ? "" : " It took too long to try all budgets: the largest are left out.";
  return (
    `${counted} of recorded load, as of ${duration(age_ms)} ago, run at learned costs under one delay budget after ` +
    `the other. One is chosen with --delay-budget.${rest}`
  );
}

function now({ state, note, progress }: FrontierAnswer): string {
  if (state === "computing") return ` It is being made from the last load: ${share(progress)}.`;
  return note === null ? "" : ` It is not made yet: ${note}.`;
}

export function FrontierSection() {
  const [calm, beCalm] = useState(false);
  const every = calm ? LOOK_EVERY_MS.calm : LOOK_EVERY_MS.soon;
  const { data, error } = usePolled<FrontierAnswer>("/api/v1/frontier", every);
  const isReady = data?.state === "ready";
  if (data !== null && isReady !== calm) beCalm(isReady);
  if (data === null && error === null) return null;
  const frontier = data?.frontier ?? null;
  return (
    <>
      <div class="section-head">
        <h2>What a delay budget brings</h2>
        {data !== null && (
          <p class="note">{`${frontier === null ? "" : from(frontier)}${now(data)}`.trim()}</p>
        )}
      </div>
      <Trouble error={error} />
      {frontier !== null && <FrontierCharts rows={frontier.rows} tickMs={frontier.tick_ms} />}
    </>
  );
}
