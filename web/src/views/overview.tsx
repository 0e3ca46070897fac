// The first screen: is it healthy, is it level, is the record complete, and what does it cost.

import { useMemo, useState } from "preact/hooks";
import { type History, type Point, RESOURCES, type Status } from "../api/types";
import { BenefitChart, DelayChart, QueueChart } from "../charts/lines";
import { Utilisation } from "../charts/utilisation";
import { duration } from "../logic/format";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { points, status, windowMs, windowSpans, windowTicks } from "../state";
import { BenefitTile, CaptureTile, DelayTile, HealthTile, QueueTile } from "./overview_tiles";

/** Windows that the charts show; what the page does not keep itself comes in steps of several windows. */
interface Range {
  windows: number;
  step: number;
}

function ranges(): Range[] {
  const { minute, recent } = windowSpans.value;
  return [
    { windows: minute, step: 1 },
    { windows: recent, step: 1 },
    { windows: 12 * recent, step: 12 },
  ];
}

function historyPath({ tick }: Status, { windows, step }: Range): string | null {
  if (tick === null || step === 1) return null;
  const ticks = step * windowTicks.value;
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
  const recent = useMemo(() => points.value.slice(-range.windows), [points.value, range.windows]);
  return range.step === 1 ? { shown: recent, error: null } : { shown: data?.points ?? kept, error };
}

export function OverviewView() {
  const [chosen, choose] = useState(0);
  const all = ranges();
  const range = all[chosen] as Range;
  const [overlay, setOverlay] = useState(true);
  const { shown, error } = useRange(range);
  const now = status.value;
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
          {all.map((one, at) => (
            <button
              key={`${one.windows} ${one.step}`}
              type="button"
              aria-pressed={at === chosen}
              onClick={() => choose(at)}
            >
              {duration(one.windows * windowMs.value)}
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
