// The first screen: is it healthy, is it level, is the record complete, and what does it cost.

import { useMemo, useState } from "preact/hooks";
import { type History, type Point, RESOURCES, type Status } from "../api/types";
import { BenefitChart, DelayChart, QueueChart } from "../charts/lines";
import { Utilisation } from "../charts/utilisation";
import { duration } from "../logic/format";
import { MINUTE_WINDOWS, WINDOWS_MAX } from "../logic/history";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { points, status, tickMs } from "../state";
import { BenefitTile, CaptureTile, DelayTile, HealthTile, QueueTile } from "./overview_tiles";

const WINDOW_TICKS = 10;
/** Windows that the charts show; what the page does not keep itself comes in steps of several windows. */
const RANGES = [
  { windows: MINUTE_WINDOWS, step: 1 },
  { windows: WINDOWS_MAX, step: 1 },
  { windows: 12 * WINDOWS_MAX, step: 12 },
];
type Range = (typeof RANGES)[number];

function historyPath({ tick }: Status, { windows, step }: Range): string | null {
  if (tick === null || step === 1) return null;
  const ticks = step * WINDOW_TICKS;
  // Rounded to the step, so that the same points are asked for until a new one is there.
  const from = Math.max(0, Math.floor(tick / ticks - windows / step) * ticks);
  return `/api/v1/resources/history?from_tick=${from}&step_windows=${step}`;
}

/** The points of the chosen range, and why they cannot be had. */
function useRange(range: Range): { shown: Point[]; error: string | null } {
  const now = status.value;
  const [kept, keep] = useState<Point[]>([]);
  const { data, error } = usePolled<History>(now === null ? null : historyPath(now, range), 3_600_000);
  if (data !== null && data.points !== kept) keep(data.points);
  const recent = useMemo(() => points.value.slice(-range.windows), [points.value, range]);
  return range.step === 1 ? { shown: recent, error: null } : { shown: data?.points ?? kept, error };
}

export function OverviewView() {
  const [range, setRange] = useState(RANGES[0] as Range);
  const [overlay, setOverlay] = useState(true);
  const { shown, error } = useRange(range);
  const now = status.value;
  const windowMs = WINDOW_TICKS * tickMs.value;
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
          {RANGES.map((one) => (
            <button
              key={one.windows}
              type="button"
              aria-pressed={one === range}
              onClick={() => setRange(one)}
            >
              {duration(one.windows * windowMs)}
            </button>
          ))}
        </fieldset>
      </div>
      <Trouble error={error} />
      <div class="charts tall">
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
        <BenefitChart points={shown} history={range.step === 1 ? points.value : shown} />
      </div>
    </>
  );
}
