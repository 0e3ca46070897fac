// The first screen: is it healthy, is it level, is the record complete, and what does it cost.

import { useMemo, useState } from "preact/hooks";
import { type Minutes, type Point, RESOURCES } from "../api/types";
import { BenefitChart, DelayChart, QueueChart } from "../charts/lines";
import { Utilisation } from "../charts/utilisation";
import { duration } from "../logic/format";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { points, status, windowMs, windowSpans } from "../state";
import { ComparisonSection } from "./comparison";
import { FrontierSection } from "./frontier";
import { BenefitTile, CaptureTile, DelayTile, Headline, HealthTile, QueueTile } from "./overview_tiles";

const MINUTE_MS = 60_000;
/** What the charts show: the last windows, which the page keeps itself, or minutes, which the server keeps over a restart. */
type Range = { windows: number; minutes: null } | { windows: null; minutes: number };

function ranges(): Range[] {
  const { minute, recent } = windowSpans.value;
  return [
    { windows: minute, minutes: null },
    { windows: recent, minutes: null },
    { windows: null, minutes: 60 },
    { windows: null, minutes: 1440 },
  ];
}

/** The points of the chosen range, and why they cannot be had. */
function useRange({ windows, minutes }: Range): { shown: Point[]; error: string | null } {
  const [kept, keep] = useState<Point[]>([]);
  const path = minutes === null ? null : `/api/v1/minutes?last=${minutes}`;
  const { data, error } = usePolled<Minutes>(path, MINUTE_MS / 4);
  if (data !== null && data.points !== kept) keep(data.points);
  const recent = useMemo(() => points.value.slice(-(windows ?? 0)), [points.value, windows]);
  return windows === null ? { shown: data?.points ?? kept, error } : { shown: recent, error: null };
}

const span = ({ windows, minutes }: Range) =>
  duration(minutes === null ? windows * windowMs.value : minutes * MINUTE_MS);

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
      <Headline status={now} />
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
            <button key={span(one)} type="button" aria-pressed={at === chosen} onClick={() => choose(at)}>
              {span(one)}
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
        <BenefitChart points={shown} history={range.minutes === null ? points.value : shown} />
      </div>
      <ComparisonSection />
      <FrontierSection />
    </>
  );
}
