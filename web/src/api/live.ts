// Follows the server's events, and comes back by itself whatever happens to the connection.

import { backoffMs } from "../logic/backoff";
import { Problem, session } from "./client";
import type { Change, Session } from "./types";
import { at } from "./where";

/** The server sends a change a second: silence this long is a dead connection that nobody has noticed yet. */
const SILENCE_MS_MAX = 8000;

export interface Listener {
  /** `snapshot`: the first after a connect, with all that is newer than what `since` told. */
  onChange(change: Change, snapshot: boolean): void;
  onSession(session: Session): void;
  /** The connection broke, or the server cannot be reached. */
  onLost(): void;
  /** A token is needed first. */
  onDenied(): void;
}

export interface Live {
  /** Tries at once: the reader came back, or has signed in. */
  retry(): void;
  stop(): void;
}

export function follow(listener: Listener, since: () => number | null): Live {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let turn = 0;

  function close(): void {
    turn += 1;
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function lost(): void {
    close();
    listener.onLost();
    timer = setTimeout(connect, backoffMs(attempt));
    attempt += 1;
  }

  function alive(): void {
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE_MS_MAX);
  }

  function open(): void {
    const last = since();
    source = new EventSource(at(`/api/v1/events${last === null ? "" : `?last_event_id=${last}`}`));
    for (const kind of ["snapshot", "change"]) {
      source.addEventListener(kind, (event: MessageEvent<string>) => {
        attempt = 0;
        alive();
        listener.onChange(JSON.parse(event.data) as Change, kind === "snapshot");
      });
    }
    // The browser's own retry does not back off, and gives up for good on an error status.
    source.addEventListener("error", lost);
    alive();
  }

  // An EventSource does not tell a 401 from a dead server: the session is asked for first.
  async function connect(): Promise<void> {
    close();
    const mine = turn;
    try {
      const found = await session();
      if (mine !== turn) return;
      listener.onSession(found);
      open();
    } catch (error) {
      if (mine !== turn) return;
      if (error instanceof Problem && error.status === 401) listener.onDenied();
      else lost();
    }
  }

  void connect();
  return {
    retry() {
      attempt = 0;
      void connect();
    },
    stop: close,
  };
}
