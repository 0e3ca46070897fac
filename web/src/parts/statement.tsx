// Statements of a real database: what each asks, whose it is, and what was answered.

import type { Answer, Executed, Executions, Running, RunningList, Statement, Text } from "../api/types";
import { clock, duration, number, wait } from "../logic/format";
import { usePolled } from "../polled";
import { tickMs } from "../state";
import { IdLink } from "./id_link";
import { type Column, Table } from "./table";
import { type Fact, Facts } from "./tile";
import { Trouble } from "./trouble";

const RUNNING_MAX = 100;
const STATEMENTS_MAX = 200;

/** µs as people read them. */
export const took = (us: number | null | undefined) => duration(us == null ? null : us / 1000);

/** What is asked, on as many lines as it needs. */
export function Sql({ text }: { text: Text | null }) {
  return text === null ? <span class="note">text not kept</span> : <code class="sql">{text.text}</code>;
}

const who = (statement: Statement | null) =>
  statement === null ? "" : `${statement.user} · ${statement.application || "no application name"}`;

export const ASKED: Column<Executed> = {
  key: "asked",
  label: "Statement",
  render: ({ text }) => <Sql text={text} />,
};
export const WHO: Column<Executed> = {
  key: "who",
  label: "User, application",
  render: ({ statement }) => who(statement),
};
export const TOOK: Column<Executed> = {
  key: "took",
  label: "Took",
  numeric: true,
  hint: "From sending to the end of the answer",
  render: ({ answer }) => took(answer?.duration_us),
};

const RUNNING: Column<Running>[] = [
  {
    key: "execution",
    label: "Execution",
    render: ({ execution }) => <IdLink view="decisions" id={execution} />,
  },
  { key: "since", label: "Since", render: ({ since_ms }) => clock(since_ms) },
  { key: "class", label: "Class", render: ({ statement }) => statement?.class ?? "" },
  { key: "who", label: "User, application", render: ({ statement }) => who(statement) },
  { key: "pid", label: "Pid", numeric: true, render: ({ statement }) => statement?.pid ?? "" },
  {
    key: "transaction",
    label: "Transaction",
    numeric: true,
    render: ({ statement }) => number(statement?.transaction),
  },
  {
    key: "asked",
    label: "Statement",
    render: ({ text }) => (
      <span class="reason">
        <Sql text={text} />
      </span>
    ),
  },
];

/** What runs now, where there is a real database. */
export function RunningNow() {
  const { data, error } = usePolled<RunningList>(`/api/v1/running?limit=${RUNNING_MAX}`, 1000);
  if (data?.statements !== true) return null;
  const shown = data.executions.length;
  return (
    <>
      <div class="section-head">
        <h2>Running now</h2>
        <p class="note">{shown < data.total ? `${shown} of ${number(data.total)}` : number(data.total)}</p>
      </div>
      <Trouble error={error} />
      <Table
        label="Running now"
        columns={RUNNING}
        rows={data.executions}
        rowKey={({ execution }) => execution}
        empty="Nothing runs"
      />
    </>
  );
}

/** Whose statement it is, and what was answered, for a list of facts. */
export function statementFacts(statement: Statement, answer: Answer | null): Fact[] {
  const facts: Fact[] = [
    ["Class", statement.class],
    ["User", statement.user],
    ["Database", statement.database],
    ["Application", statement.application],
    ["Client", statement.client],
    ["Session", <code key="session">{statement.session}</code>],
    ["Transaction", number(statement.transaction)],
    ["Backend's pid", String(statement.pid)],
  ];
  if (statement.tag !== null) facts.push(["Tag", statement.tag]);
  if (answer === null) return facts;
  facts.push(["Took", took(answer.duration_us)], ["CPU", took(answer.cpu_us)], ["Rows", number(answer.rows)]);
  if (answer.sqlstate !== null) facts.push(["SQLSTATE", answer.sqlstate]);
  if (answer.note !== null) facts.push(["Note", answer.note]);
  return facts;
}

const TOGETHER: Column<Executed>[] = [
  { key: "time", label: "Time", render: ({ executed_at_ms }) => clock(executed_at_ms) },
  {
    key: "execution",
    label: "Execution",
    render: ({ execution }) => <IdLink view="decisions" id={execution} />,
  },
  { ...ASKED, key: "text" },
  TOOK,
  { key: "rows", label: "Rows", numeric: true, render: ({ answer }) => number(answer?.rows) },
  {
    key: "delay",
    label: "Delay",
    numeric: true,
    render: ({ delay_ticks }) => wait(delay_ticks, tickMs.value),
  },
  {
    key: "outcome",
    label: "Outcome",
    render: ({ outcome, answer }) => (answer?.sqlstate ? `${outcome}, ${answer.sqlstate}` : outcome),
  },
];

/** All of its transaction's statements that have an outcome, in the order in which they ended. */
export function Together({ statement }: { statement: Statement }) {
  const { session, transaction } = statement;
  const path =
    transaction === null
      ? null
      : `/api/v1/executions?session=${session}&transaction=${transaction}&limit=${STATEMENTS_MAX}`;
  const { data, error } = usePolled<Executions>(path, 2000);
  if (transaction === null) return null;
  const rows = [...(data?.executions ?? [])].reverse();
  return (
    <>
      <div class="section-head">
        <h2>Its transaction</h2>
        <p class="note">All statements of transaction {number(transaction)} of this session</p>
      </div>
      <Trouble error={error} />
      <Table
        label="Statements of its transaction"
        columns={TOGETHER}
        rows={rows}
        rowKey={({ id }) => id}
        empty={data === null ? "Reading…" : "None has an outcome yet"}
      />
    </>
  );
}

/** What it asks and whose it is, under a decision. */
export function StatementCard({
  statement,
  answer,
  text,
}: {
  statement: Statement;
  answer: Answer | null;
  text: Text | null;
}) {
  return (
    <section class="card" aria-label="Statement">
      <h2>Statement</h2>
      <p>
        <Sql text={text} />
      </p>
      <Facts facts={statementFacts(statement, answer)} />
    </section>
  );
}
