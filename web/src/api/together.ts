// A tab's part in the stream that all tabs share. Where a browser has no shared workers, the tab has a stream of its own
// for as long as somebody sees it.

import { follow, type Listener, type Live } from "./live";
import type { Change, Session } from "./types";
import { SERVER } from "./where";

/** What the worker tells a tab. */
export type Told =
  | { kind: "change"; change: Change; snapshot: boolean }
  | { kind: "session"; session: Session }
  | { kind: "lost" }
  | { kind: "denied" };

/** What a tab tells the worker: whether somebody sees it, that it tries at once, or that it is gone. */
export type Wish = "seen" | "hidden" | "retry" | "leave";

export function followTogether(listener: Listener, since: () => number | null): Live {
  if (typeof SharedWorker === "undefined") return followAlone(listener, since);
  const worker = new SharedWorker(new URL("./shared.ts", import.meta.url), {
    type: "module",
    name: SERVER.href,
  });
  const { port } = worker;
  const wish = (what: Wish) => port.postMessage(what);
  const seen = () => wish(document.hidden ? "hidden" : "seen");
  let alone: Live | null = null;
  worker.addEventListener("error", () => {
    // Its script could not be had: better a stream of one's own than none.
    alone ??= followAlone(listener, since);
  });
  port.addEventListener("message", ({ data }: MessageEvent<Told>) => {
    if (data.kind === "change") listener.onChange(data.change, data.snapshot);
    else if (data.kind === "session") listener.onSession(data.session);
    else if (data.kind === "lost") listener.onLost();
    else listener.onDenied();
  });
  port.start();
  seen();
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("pagehide", () => wish("leave"));
  // Back from the browser's memory, with everything that it had.
  window.addEventListener("pageshow", (event) => event.persisted && seen());
  return {
    retry() {
      if (alone === null) wish("retry");
      else alone.retry();
    },
    stop() {
      alone?.stop();
      wish("leave");
    },
  };
}

function followAlone(listener: Listener, since: () => number | null): Live {
  let live: Live | null = null;
  const look = () => {
    if (document.hidden) {
      live?.stop();
      live = null;
    } else {
      live ??= follow(listener, since);
    }
  };
  look();
  document.addEventListener("visibilitychange", look);
  return {
    retry: () => live?.retry(),
    stop: () => live?.stop(),
  };
}
