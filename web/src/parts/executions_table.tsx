import type { Executed } from "../api/types";
import { clock, number, wait } from "../logic/format";
import { tickMs } from "../state";
import { IdLink } from "./id_link";
import { ASKED, TOOK, WHO } from "./statement";
import { type Column, Table } from "./table";

const EXECUTION: Column<Executed> = {
  key: "execution",
  label: "Execution",
  render: ({ execution }) => <IdLink view="decisions" id={execution} />,
};
const QUERY: Column<Executed> = {
  key: "query",
  label: "Query",
  render: ({ query }) => <IdLink view="queries" id={query} />,
};
const REST: Column<Executed>[] = [
  { key: "queued", label: "Queued, tick", numeric: true, render: ({ queued_tick }) => number(queued_tick) },
  { key: "due", label: "Due, tick", numeric: true, render: ({ due_tick }) => number(due_tick) },
  {
    key: "tick",
    label: "Ran, tick",
    numeric: true,
    hint: "The tick it ran in",
    render: ({ tick }) => number(tick),
  },
  {
    key: "delay",
    label: "Delay",
    numeric: true,
    render: ({ delay_ticks }) => wait(delay_ticks, tickMs.value),
  },
  { key: "outcome", label: "Outcome", render: ({ outcome }) => outcome },
  {
    key: "reason",
    label: "Reason",
    render: ({ reason }) => <span class="reason">{reason || "ran when it was due"}</span>,
  },
];
const TIME: Column<Executed> = {
  key: "time",
  label: "Time",
  render: ({ executed_at_ms }) => clock(executed_at_ms),
};

/** Of a real database, where the outcome says what was answered. */
const OF_STATEMENTS = [WHO, TOOK];

const ALL = [TIME, EXECUTION, QUERY, ...REST];
const OF_ONE_QUERY = [TIME, EXECUTION, ...REST];

export function ExecutionsTable({ executions, withQuery }: { executions: Executed[]; withQuery: boolean }) {
  const columns = withQuery ? ALL : OF_ONE_QUERY;
  const asked = executions.some(({ statement }) => statement !== null);
  const texts = asked && withQuery ? [ASKED] : [];
  return (
    <Table
      label="Executions"
      columns={asked ? [...columns.slice(0, -1), ...OF_STATEMENTS, ...texts, ...columns.slice(-1)] : columns}
      rows={executions}
      rowKey={({ id }) => id}
      empty="No execution is known"
    />
  );
}
