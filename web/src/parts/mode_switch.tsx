// Off, shadow, enforce: with a question that says what the choice does.

import { useEffect, useRef, useState } from "preact/hooks";
import { setMode } from "../api/client";
import { MODES, type Mode } from "../api/types";
import { capitalised } from "../logic/format";
import { maySwitchMode, status } from "../state";

const EFFECTS: Record<Mode, string> = {
  off: "Nothing is held any more: every execution runs when it is due. What waits past its due tick leaves oldest first, at most twice the usual rate, so that it is no peak. Recording and learning go on.",
  shadow:
    "The plan is made and written into each execution's reason, but nothing is held: every execution runs when it is due. What waits past its due tick leaves oldest first, at most twice the usual rate.",
  enforce:
    "Executions are held and run in the slots that keep utilisation within ±10 % of its mean. That delays them, on average by no more than the delay budget.",
};

export function ModeSwitch() {
  const [asked, setAsked] = useState<Mode | null>(null);
  const mode = status.value?.mode ?? null;
  const disabled = status.value === null || !maySwitchMode.value;
  const why =
    disabled && status.value !== null
      ? "Your token may not switch the mode: that needs the scope admin"
      : undefined;
  return (
    <>
      <fieldset class="switch" title={why} disabled={disabled}>
        <legend class="unseen">Mode</legend>
        {MODES.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === mode}
            aria-haspopup="dialog"
            onClick={() => name !== mode && setAsked(name)}
          >
            {capitalised(name)}
          </button>
        ))}
      </fieldset>
      {asked !== null && <Confirmation mode={asked} onDone={() => setAsked(null)} />}
    </>
  );
}

function Confirmation({ mode, onDone }: { mode: Mode; onDone: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  async function confirm(): Promise<void> {
    setBusy(true);
    try {
      const now = await setMode(mode);
      if (status.value !== null) status.value = { ...status.value, mode: now };
      dialog.current?.close();
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
      setBusy(false);
    }
  }

  return (
    <dialog
      ref={dialog}
      class="card"
      aria-labelledby="mode-title"
      aria-describedby="mode-effect"
      onClose={onDone}
    >
      <h2 id="mode-title">Switch to {mode}?</h2>
      <p id="mode-effect">{EFFECTS[mode]}</p>
      <p class="error" role="alert">
        {error !== null && `The mode has not been switched: ${error}`}
      </p>
      <div class="dialog-buttons">
        <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="primary" disabled={busy} onClick={() => void confirm()}>
          Switch to {mode}
        </button>
      </div>
    </dialog>
  );
}
