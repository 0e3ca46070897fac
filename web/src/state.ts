// What every view reads: the server's state as last heard, the connection, the session, where the reader is.

import { computed, signal } from "@preact/signals";
import type { Live } from "./api/live";
import { followTogether } from "./api/together";
import type { Change, Point, Session, Status } from "./api/types";
import { merged, spans, startsAnew } from "./logic/history";

export type Connection = "connecting" | "live" | "lost";

export const status = signal<Status | null>(null);
export const points = signal<Point[]>([]);
export const connection = signal<Connection>("connecting");
/** When the last event came, by this machine's clock. */
export const heardMs = signal<number | null>(null);
export const session = signal<Session | null>(null);
/** A token is needed before anything can be shown. */
export const denied = signal(false);

/** Data are shown that may no longer be true. */
export const stale = computed(() => connection.value === "lost" && status.value !== null);
export const tickMs = computed(() => status.value?.tick_ms ?? 100);
export const windowTicks = computed(() => status.value?.window_ticks ?? 10);
export const windowMs = computed(() => windowTicks.value * tickMs.value);
export const windowSpans = computed(() => spans(windowMs.value));
export const maySwitchMode = computed(() => session.value?.scopes.includes("admin") ?? false);

function onChange(change: Change, snapshot: boolean): void {
  const kept = startsAnew(points.value, change, snapshot) ? [] : points.value;
  status.value = change.status;
  points.value = merged(kept, change.points, windowSpans.value.recent);
  connection.value = "live";
  heardMs.value = Date.now();
  denied.value = false;
}

let live: Live | null = null;

export function start(): void {
  live = followTogether(
    {
      onChange,
      onSession: (found) => {
        session.value = found;
        denied.value = false;
      },
      onLost: () => {
        connection.value = "lost";
      },
      onDenied: () => {
        session.value = null;
        denied.value = true;
      },
    },
    () => points.value.at(-1)?.last_tick ?? null,
  );
  window.addEventListener("online", retry);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && connection.value === "lost") retry();
  });
}

export function retry(): void {
  live?.retry();
}
