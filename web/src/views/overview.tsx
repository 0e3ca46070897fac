// The first screen: is it healthy, is it level, is the record complete, and what does it cost.

import { useState } from "preact/hooks";
import { type History, type Point, RESOURCES, type Status } from "../api/types";
import { BenefitChart, DelayChart, QueueChart } from "../charts/lines";
import { Utilisation } from "../charts/utilisation";
import { duration } from "../logic/format";
import { WINDOWS_MAX } from "../logic/history";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { points, status } from "../state";
import { BenefitTile, CaptureTile, DelayTile, HealthTile, QueueTile } from "./overview_tiles";

const WINDOW_TICKS = 10;
/** The longer range: twelve windows a point, as many points as the short one. */
const LONG_STEP = 12;

function longPath({ tick }: Status): string | null {
  if (tick === null) return null;
  const step = LONG_STEP * WINDOW_TICKS;
  // Rounded to the step, so that the same points are asked for until a new one is there.
  const from = Math.max(0, Math.floor(tick / step - WINDOWS_MAX) * step);
  return `/api/v1/resources/history?from_tick=${from}&step_windows=${LONG_STEP}`;
}

/** The points of the chosen range, and why they cannot be had. */
function useRange(long: boolean): { shown: Point[]; error: string | null } {
  const now = status.value;
  const path = long && now !== null ? longPath(now) : null;
  const [kept, keep] = useState<Point[]>([]);
  const { data, error } = usePolled<History>(path, 3_600_000);
  if (data !== null && data.points !== kept) keep(data.points);
  return long ? { shown: data?.points ?? kept, error } : { shown: points.value, error: null };
}

export function OverviewView() {
  const [long, setLong] = useState(false);
  const [overlay, setOverlay] = useState(true);
  const { shown, error } = useRange(long);
  const now = status.value;
  const windowMs = WINDOW_TICKS * (now?.tick_ms ?? 100);
  const short = duration(WINDOWS_MAX * windowMs);
  const wide = duration(WINDOWS_MAX * LONG_STEP * windowMs);
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <div class="tiles five">
        <HealthTile status={now} />
        <BenefitTile status={now} points={points.value} />
        <CaptureTile status={now} />
        <QueueTile status={now} />
        <DelayTile status={now} />
      </div>
      <div class="section-head">
        <h2>Utilisation</h2>
        <label class="check">
          <input
            type="checkbox"
            checked={overlay}
            onChange={(event) => setOverlay(event.currentTarget.checked)}
          />
          Without evenkeel
        </label>
        <fieldset class="switch small">
          <legend class="unseen">Range of time</legend>
          <button type="button" aria-pressed={!long} onClick={() => setLong(false)}>
            {short}
          </button>
          <button type="button" aria-pressed={long} onClick={() => setLong(true)}>
            {wide}
          </button>
        </fieldset>
      </div>
      <Trouble error={error} />
      <div class="charts">
        {RESOURCES.map((resource) => (
          <Utilisation key={resource} resource={resource} points={shown} overlay={overlay} />
        ))}
      </div>
      <div class="section-head">
        <h2>What it costs, and what it brings</h2>
      </div>
      <div class="charts">
        <QueueChart points={shown} />
        <DelayChart points={shown} />
        <BenefitChart points={shown} />
      </div>
    </>
  );
}
