// The actors: are they at work, does their mail pile up, how often did they fail.

import type { Actor } from "../api/types";
import { capitalised, duration, number, plural } from "../logic/format";
import { type Column, Table } from "../parts/table";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";

const LEVELS: Record<string, string> = { running: "good", "gave up": "bad" };

const COLUMNS: Column<Actor>[] = [
  { key: "name", label: "Actor", render: ({ name }) => capitalised(name) },
  {
    key: "state",
    label: "State",
    render: ({ state }) => (
      <span class={`pill ${LEVELS[state] ?? "warning"}`}>
        <span class="dot" aria-hidden="true" />
        {capitalised(state)}
      </span>
    ),
  },
  {
    key: "mailbox",
    label: "Mailbox",
    numeric: true,
    hint: "Messages waiting",
    render: ({ mailbox }) => number(mailbox),
  },
  { key: "restarts", label: "Restarts", numeric: true, render: ({ restarts }) => number(restarts) },
  {
    key: "silent",
    label: "Last sign of life",
    numeric: true,
    render: ({ silent_ms }) => (silent_ms < 1000 ? "now" : `${duration(silent_ms)} ago`),
  },
];

export function ActorsView() {
  const { data, error } = usePolled<{ actors: Actor[] }>("/api/v1/actors", 2000);
  const actors = data?.actors ?? [];
  const running = actors.filter(({ state }) => state === "running").length;
  return (
    <>
      <div class="section-head">
        <h1>Actors</h1>
        <p class="note">
          {data !== null && `${running} of ${plural(actors.length, "actor")} running. `}
          One that fails is restarted from the journal; the sixth failure within a minute ends the process.
        </p>
      </div>
      <Trouble error={error} />
      <Table label="Actors" columns={COLUMNS} rows={actors} rowKey={({ name }) => name} />
    </>
  );
}
