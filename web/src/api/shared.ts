// The worker that all tabs of this browser have in common: one stream of events for all of them.
//
// Under HTTP/1.1 a browser opens six connections to a host, and a stream holds one for as long as it lasts: with a
// stream a tab the seventh tab, and every request of the others, would wait for ever.

import { merged, spans, startsAnew } from "../logic/history";
import { follow, type Live } from "./live";
import type { Told, Wish } from "./together";
import type { Change, Session } from "./types";

/** Nobody looks for this long: the stream ends, until somebody does. A glance at another tab is shorter. */
const UNSEEN_MS_MAX = 10_000;

/** Tabs, and whether somebody sees them. One that died without a word stays, and costs at most the stream. */
const tabs = new Map<MessagePort, boolean>();

let live: Live | null = null;
let unseen: ReturnType<typeof setTimeout> | undefined;
/** What a tab that has just come is told at once. */
let session: Session | null = null;
let known: Change | null = null;
let trouble: Told | null = null;

function tell(told: Told): void {
  for (const port of tabs.keys()) port.postMessage(told);
}

function start(): void {
  live = follow(
    {
      onChange: (change, snapshot) => {
        const before = known?.points ?? [];
        const { tick_ms, window_ticks } = change.status;
        const { recent } = spans(tick_ms * window_ticks);
        const points = merged(startsAnew(before, change, snapshot) ? [] : before, change.points, recent);
        known = { status: change.status, points };
        trouble = null;
        tell({ kind: "change", change, snapshot });
      },
      onSession: (found) => {
        session = found;
        trouble = null;
        tell({ kind: "session", session: found });
      },
      onLost: () => {
        trouble = { kind: "lost" };
        tell(trouble);
      },
      onDenied: () => {
        // What was seen with the token before is nobody's now.
        [session, known] = [null, null];
        trouble = { kind: "denied" };
        tell(trouble);
      },
    },
    () => known?.points.at(-1)?.last_tick ?? null,
  );
}

function look(): void {
  clearTimeout(unseen);
  if ([...tabs.values()].some((seen) => seen)) {
    if (live === null) start();
    return;
  }
  unseen = setTimeout(() => {
    live?.stop();
    live = null;
  }, UNSEEN_MS_MAX);
}

function welcome(port: MessagePort): void {
  if (session !== null) port.postMessage({ kind: "session", session } satisfies Told);
  if (known !== null) port.postMessage({ kind: "change", change: known, snapshot: true } satisfies Told);
  if (trouble !== null) port.postMessage(trouble);
}

function onWish(port: MessagePort, wish: Wish): void {
  const isNew = !tabs.has(port);
  if (wish === "leave") tabs.delete(port);
  else if (wish !== "retry") tabs.set(port, wish === "seen");
  else if (live !== null) live.retry();
  if (isNew && wish !== "leave") welcome(port);
  look();
}

// The library of the page's types does not know what a shared worker is.
self.addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0] as MessagePort;
  port.addEventListener("message", ({ data }: MessageEvent<Wish>) => onWish(port, data));
  port.start();
});
