import { useEffect, useRef, useState } from "preact/hooks";

/** A line to copy, for a shell or a search. */
export function Copyable({ text, label }: { text: string; label: string }) {
  const code = useRef<HTMLElement>(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = window.setTimeout(() => setSaid(""), 2500);
    return () => window.clearTimeout(timer);
  }, [said]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Without https the clipboard is closed to pages: then the text is selected, ready for Ctrl+C.
      window.getSelection()?.selectAllChildren(code.current as HTMLElement);
      setSaid("Selected");
    }
  }

  return (
    <span class="copyable">
      <code ref={code}>{text}</code>
      <button type="button" class="quiet" aria-label={`Copy ${label}`} onClick={() => void copy()}>
        <span aria-live="polite">{said || "Copy"}</span>
      </button>
    </span>
  );
}
