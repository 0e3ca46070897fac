// Why executions ran when they ran: the latest ones, those that wait, and a look-up by id.

import { useState } from "preact/hooks";
import { get } from "../api/client";
import type { Executed, Executions, Queued, Waiting } from "../api/types";
import { clock, number, plural, wait } from "../logic/format";
import { ExecutionsTable } from "../parts/executions_table";
import { IdLink } from "../parts/id_link";
import { RunningNow } from "../parts/statement";
import { type Column, Table } from "../parts/table";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { link } from "../route";
import { tickMs } from "../state";

const PAGE = 25;
const LATEST = `/api/v1/executions?limit=${PAGE}`;

export function LookUp() {
  const [id, setId] = useState("");
  return (
    <form
      class="look-up"
      onSubmit={(event) => {
        event.preventDefault();
        if (id.trim() !== "") location.hash = link("decisions", id.trim());
      }}
    >
      <label class="field">
        <span>Execution id</span>
        <input
          required
          spellcheck={false}
          autocomplete="off"
          placeholder="0193a5c2-…"
          value={id}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary">
        Why then?
      </button>
    </form>
  );
}

/** Older pages stay as they were read; only the first one is read anew. */
function useOlder(first: Executions | null) {
  const [older, setOlder] = useState<Executed[]>([]);
  const [anchor, setAnchor] = useState<Executed[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const paused = anchor.length > 0;
  const cursor = paused ? next : (first?.next ?? null);

  async function more(): Promise<void> {
    if (cursor === null) return;
    try {
      const page = await get<Executions>(`${LATEST}&before=${encodeURIComponent(cursor)}`);
      if (!paused) setAnchor(first?.executions ?? []);
      setOlder([...older, ...page.executions]);
      setNext(page.next);
      setError(null);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  }

  function back(): void {
    setOlder([]);
    setAnchor([]);
  }

  const shown = paused ? [...anchor, ...older] : (first?.executions ?? []);
  return { shown, paused, cursor, error, more, back };
}

const WAITING: Column<Waiting>[] = [
  {
    key: "execution",
    label: "Execution",
    render: ({ execution }) => <IdLink view="decisions" id={execution} />,
  },
  {
    key: "query",
    label: "Query",
    render: ({ query }) => <IdLink view="queries" id={query} />,
  },
  { key: "queued", label: "Queued, tick", numeric: true, render: ({ queued_tick }) => number(queued_tick) },
  { key: "due", label: "Due, tick", numeric: true, render: ({ due_tick }) => number(due_tick) },
  {
    key: "planned",
    label: "Planned, tick",
    numeric: true,
    hint: "The tick of its slot",
    render: ({ planned_tick }) => (planned_tick === null ? "held for a plan" : number(planned_tick)),
  },
  { key: "at", label: "At", render: ({ planned_ms }) => clock(planned_ms) },
  { key: "held", label: "Held", numeric: true, render: ({ held_ticks }) => wait(held_ticks, tickMs.value) },
  { key: "reason", label: "Reason", render: ({ reason }) => <span class="reason">{reason}</span> },
];

export function DecisionsView() {
  const latest = usePolled<Executions>(LATEST, 2000);
  const waiting = usePolled<Queued>(`/api/v1/queued?limit=${PAGE}`, 2000);
  const { shown, paused, cursor, error, more, back } = useOlder(latest.data);
  return (
    <>
      <div class="section-head">
        <h1>Decisions</h1>
        <p class="note">Why an execution ran when it did. Ticks count from the journal's beginning.</p>
      </div>
      <LookUp />
      <RunningNow />
      <div class="section-head">
        <h2>Executed</h2>
        {paused ? (
          <button type="button" class="quiet" onClick={back}>
            Back to the latest
          </button>
        ) : (
          <p class="note">The latest {PAGE}, as they come</p>
        )}
      </div>
      <Trouble error={latest.error ?? error} />
      <ExecutionsTable executions={shown} withQuery={true} />
      <p class="after">
        {cursor !== null && (
          <button type="button" class="quiet" onClick={() => void more()}>
            Show {PAGE} older
          </button>
        )}
      </p>
      <div class="section-head">
        <h2>Waiting</h2>
        <p class="note">
          {waiting.data !== null && waiting.data.total > waiting.data.executions.length
            ? `${PAGE} of ${number(waiting.data.total)}`
            : waiting.data !== null && plural(waiting.data.total, "execution")}
        </p>
      </div>
      <Trouble error={waiting.error} />
      <Table
        label="Waiting executions"
        columns={WAITING}
        rows={waiting.data?.executions ?? []}
        rowKey={({ execution }) => execution}
        empty="Nothing waits"
      />
    </>
  );
}
