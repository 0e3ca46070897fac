import { clock } from "../logic/format";
import { connection, heardMs, retry, stale } from "../state";

const WORDS = { connecting: "Connecting", live: "Live", lost: "No connection" };

/** Always as wide as its longest word, so that nothing moves when the connection breaks. */
export function ConnectionPill() {
  return (
    <span class={`pill connection ${connection.value}`} role="status">
      <span class="dot" aria-hidden="true" />
      {WORDS[connection.value]}
    </span>
  );
}

/** Lies over the page's lower edge: a line in the page would push everything down. */
export function ConnectionNotice() {
  if (connection.value !== "lost") return null;
  return (
    <div class="notice" role="alert">
      <p>
        <b>The server does not answer.</b>{" "}
        {stale.value ? `What you see is from ${clock(heardMs.value)}. ` : ""}
        Trying again by itself.
      </p>
      <button type="button" class="quiet" onClick={retry}>
        Try now
      </button>
    </div>
  );
}
