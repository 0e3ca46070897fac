// The figures at the head of the first screen.

import type { Point, Status } from "../api/types";
import { capitalised, DASH, duration, number, plural, share, ticks, time, wait } from "../logic/format";
import { clientSentence, health, leaseSentence } from "../logic/health";
import { type Fact, Facts, Tile } from "../parts/tile";
import { tickMs, windowSpans } from "../state";

interface Props {
  status: Status | null;
}

/** What levelling brings, and for which delay: the first thing to be read. */
export function Headline({ status }: Props) {
  if (status === null) return null;
  const said = status.headline ?? "What levelling brings is said here once costs are known";
  return <p class="headline">{`${capitalised(said)}.`}</p>;
}

export function HealthTile({ status }: Props) {
  if (status === null) return <Tile title="Mode and health" value={DASH} />;
  const { level, title, details } = health(status);
  return (
    <Tile title="Mode and health" value={title} level={level}>
      {details.length > 0 && (
        <ul class={`details ${level}`}>
          {details.map((detail) => (
            <li key={detail}>{detail}</li>
          ))}
        </ul>
      )}
      <Facts
        facts={[
          ["Mode", status.mode === null ? DASH : capitalised(status.mode)],
          ["Client", capitalised(clientSentence(status))],
          ["Levels", leaseSentence(status.lease)],
          ["Up for", duration(status.now_ms - status.started_ms)],
        ]}
      />
    </Tile>
  );
}

/** Cells of a strip at most: more could not be told apart. */
const CELLS_MAX = 60;

/** The last minute's windows, a cell each, or for several where they are short: filled = all in the corridor. */
function Strip({ points }: { points: Point[] }) {
  const windows = windowSpans.value.minute;
  const each = Math.ceil(windows / CELLS_MAX);
  const count = Math.ceil(windows / each);
  return (
    <svg class="strip" viewBox={`0 0 ${count * 4} 12`} preserveAspectRatio="none" aria-hidden="true">
      {Array.from({ length: count }, (_, at) => {
        const end = points.length - (count - 1 - at) * each;
        const cell = points.slice(Math.max(0, end - each), Math.max(0, end));
        const level = cell.every((point) => point.windows_in_corridor === point.windows);
        const kind = cell.length === 0 ? "unknown" : level ? "inside" : "outside";
        return (
          <rect
            key={at}
            class={kind}
            x={at * 4}
            y={kind === "outside" ? 6 : 0}
            width="3"
            height={kind === "outside" ? 6 : 12}
          />
        );
      })}
    </svg>
  );
}

export function BenefitTile({ status, points }: Props & { points: Point[] }) {
  return (
    <Tile title="In corridor, last minute" value={share(status?.minute.in_corridor)}>
      <Strip points={points} />
      <Facts
        facts={[
          ["Without evenkeel", share(status?.minute.in_corridor_without)],
          ["Five minutes", share(status?.five_minutes.in_corridor, 1)],
          ["Without, five minutes", share(status?.five_minutes.in_corridor_without, 1)],
        ]}
      />
    </Tile>
  );
}

export function CaptureTile({ status }: Props) {
  const capture = status?.capture;
  const level = capture === undefined ? undefined : capture.complete ? "good" : "bad";
  const value = capture === undefined ? DASH : capture.complete ? "Complete" : "Incomplete";
  const before: Fact[] = [
    ["Executed", number(capture?.executed)],
    ["+ recorded, about to run", number(capture?.under_way)],
  ];
  const recorded = number(capture?.journalled);
  const after: Fact[] =
    status?.form === "server"
      ? [
          ["= in Redis", recorded],
          ["+ only in the outbox", number(capture?.in_outbox)],
        ]
      : [["= in the journal", recorded]];
  return (
    <Tile title="Recorded" value={value} level={level}>
      <Facts facts={[...before, ...after]} />
    </Tile>
  );
}

const LATE = { good: undefined, warning: "warning", bad: "bad" } as const;

function late(status: Status | null): "warning" | "bad" | undefined {
  return LATE[(status?.delay.level ?? "good") as keyof typeof LATE];
}

export function QueueTile({ status }: Props) {
  const oldest = status?.oldest_wait_ticks ?? 0;
  const beyond = status !== null && oldest > status.delay.objective_ticks;
  return (
    <Tile title="Queue" value={number(status?.queued)}>
      <Facts
        facts={[
          [
            "Oldest wait",
            <span key="oldest" class={beyond ? late(status) : undefined}>
              {wait(status?.oldest_wait_ticks, tickMs.value)}
            </span>,
          ],
          ["Late ticks", number(status?.late_ticks)],
          ["Refused arrivals", number(status?.refused_arrivals)],
        ]}
      />
    </Tile>
  );
}

export function DelayTile({ status }: Props) {
  const delay = status?.minute.delay_ticks;
  const each = (value: number | null | undefined) => time(value, tickMs.value).replace(" s", "");
  const percentiles =
    delay == null ? DASH : `${each(delay.p50)} / ${each(delay.p95)} / ${time(delay.p99, tickMs.value)}`;
  return (
    <Tile title="Mean delay, last minute" level={late(status)} value={<Mean ticks={delay?.mean} />}>
      <Facts
        facts={[
          ["p50 / p95 / p99", percentiles],
          ["Longest", wait(delay?.max, tickMs.value)],
          ["Objective", wait(status?.delay.objective_ticks, tickMs.value)],
          ["Maximum", maximum(status)],
        ]}
      />
    </Tile>
  );
}

/** How long a slot may hold an execution; the queries' own ones are in their view. */
function maximum(status: Status | null): string {
  const most = wait(status?.max_delay_ticks, tickMs.value);
  const own = status?.own_max_delays ?? 0;
  return own === 0 ? most : `${most}, ${plural(own, "query", "queries")} apart`;
}

function Mean({ ticks: value }: { ticks: number | undefined }) {
  if (value === undefined) return <>{DASH}</>;
  return (
    <>
      {time(value, tickMs.value)} <span class="value-unit">({ticks(value, 1)})</span>
    </>
  );
}
