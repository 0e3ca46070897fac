// The figures at the head of the first screen.

import type { Point, Status } from "../api/types";
import { capitalised, DASH, duration, fixed, number, share, wait } from "../logic/format";
import { clientSentence, health, leaseSentence } from "../logic/health";
import { type Fact, Facts, Tile } from "../parts/tile";
import { tickMs, windowSpans } from "../state";

interface Props {
  status: Status | null;
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

export function QueueTile({ status }: Props) {
  return (
    <Tile title="Queue" value={number(status?.queued)}>
      <Facts
        facts={[
          ["Oldest wait", wait(status?.oldest_wait_ticks, tickMs.value)],
          ["Late ticks", number(status?.late_ticks)],
          ["Refused arrivals", number(status?.refused_arrivals)],
        ]}
      />
    </Tile>
  );
}

export function DelayTile({ status }: Props) {
  const delay = status?.minute.delay_ticks;
  const value = delay == null ? DASH : fixed(delay.mean, 1);
  return (
    <Tile title="Mean delay, last minute" value={<Ticks value={value} />}>
      <Facts
        facts={[
          ["p50 / p95 / p99", `${number(delay?.p50)} / ${number(delay?.p95)} / ${number(delay?.p99)}`],
          ["In time", duration(delay == null ? null : delay.mean * tickMs.value)],
          ["Longest", wait(delay?.max, tickMs.value)],
          ["Executed", number(status?.minute.executed)],
        ]}
      />
    </Tile>
  );
}

function Ticks({ value }: { value: string }) {
  return (
    <>
      {value} <span class="value-unit">ticks</span>
    </>
  );
}
