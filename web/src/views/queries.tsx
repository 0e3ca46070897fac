// What each query costs, as learned, and what levelling does to it.

import { useMemo, useState } from "preact/hooks";
import { type Queries, type Query, RESOURCES, type Resource } from "../api/types";
import { duration, interval, number, share, wait } from "../logic/format";
import { type Order, sorted } from "../logic/sort";
import { IdLink } from "../parts/id_link";
import { Sql, took } from "../parts/statement";
import { type Column, Table } from "../parts/table";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { tickMs } from "../state";

/** Rows shown at first, and more with each press: 10,000 at once would be slow to draw and to read. */
const PAGE = 100;
/** What one answer holds at most; a note tells of more. */
const LIMIT = 10_000;
const LABELS: Record<Resource, string> = { cpu: "CPU", io: "IO", memory: "Memory" };

const costColumn = (resource: Resource): Column<Query> => ({
  key: resource,
  label: LABELS[resource],
  numeric: true,
  hint: "Learned cost of one execution ± two standard errors, in cost units",
  sort: (query) => query.cost?.[resource],
  render: (query) => interval(query.cost?.[resource], query.standard_error?.[resource]),
});

const COLUMNS: Column<Query>[] = [
  {
    key: "query",
    label: "Query",
    sort: ({ query }) => query,
    render: ({ query }) => <IdLink view="queries" id={query} />,
  },
  {
    key: "executed",
    label: "Executed",
    numeric: true,
    sort: (q) => q.executed,
    render: (q) => number(q.executed),
  },
  {
    key: "share",
    label: "Load share",
    numeric: true,
    hint: "Its share of all executions' cost",
    sort: (q) => q.load_share,
    render: (q) => share(q.load_share, 1),
  },
  ...RESOURCES.map(costColumn),
  {
    key: "identifiable",
    label: "Known",
    hint: "Whether its cost can be told apart from that of the queries that run beside it",
    sort: (q) => q.identifiable,
    render: (q) => (q.identifiable ? "yes" : "not yet"),
  },
  {
    key: "observations",
    label: "Observations",
    numeric: true,
    sort: (q) => q.observations,
    render: (q) => number(q.observations),
  },
  {
    key: "delay",
    label: "Added delay",
    numeric: true,
    hint: "Mean of what levelling added",
    sort: (q) => q.added_delay_ticks_mean,
    render: (q) => wait(q.added_delay_ticks_mean, tickMs.value, 1),
  },
  {
    key: "maximum",
    label: "Maximum delay",
    numeric: true,
    hint: "Longest that a slot may hold one of its executions",
    sort: (q) => q.max_delay_ticks,
    render: (q) => `${wait(q.max_delay_ticks, tickMs.value)}${q.own_max_delay ? ", its own" : ""}`,
  },
];

/** Of a real database: what each asks, and what it took together. */
const OF_STATEMENTS: Column<Query>[] = [
  {
    key: "duration",
    label: "Duration, together",
    numeric: true,
    hint: "From sending to the end of the answer, of all its executions",
    sort: (q) => q.duration_us,
    render: (q) => took(q.duration_us),
  },
  {
    key: "cpu-time",
    label: "CPU, together",
    numeric: true,
    hint: "CPU time of the database, of all its executions",
    sort: (q) => q.cpu_us,
    render: (q) => took(q.cpu_us),
  },
  { key: "text", label: "Statement", sort: (q) => q.text?.text, render: (q) => <Sql text={q.text} /> },
];

export function QueriesView() {
  const { data, error } = usePolled<Queries>(`/api/v1/queries?limit=${LIMIT}`, 5000);
  const [order, setOrder] = useState<Order>({ column: "share", direction: "descending" });
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    const has = ({ query, text }: Query) =>
      query.includes(wanted) || (text?.text.toLowerCase().includes(wanted) ?? false);
    const rows = (data?.queries ?? []).filter(has);
    const key = [...COLUMNS, ...OF_STATEMENTS].find(({ key }) => key === order.column)?.sort;
    return key === undefined ? rows : sorted(rows, key, order.direction);
  }, [data, order, search]);
  const asked = data?.queries.some(({ text }) => text !== null) ?? false;
  const over = data === null ? "" : ` over the last ${duration(data.over_ticks * tickMs.value)}`;
  return (
    <>
      <div class="section-head">
        <h1>Queries</h1>
        <p class="note">
          Costs in units per execution, as learned from window averages, ± two standard errors (about 95 %).
          Executions, load share and delay{over}.
          {data?.age_ms != null && ` Learned ${duration(data.age_ms)} ago.`}
        </p>
        <label class="field">
          <span class="unseen">Find by id or text</span>
          <input
            type="search"
            placeholder="Find by id or text"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
      </div>
      <Trouble error={error} />
      <Table
        label="Queries"
        columns={asked ? [...COLUMNS.slice(0, 3), ...OF_STATEMENTS, ...COLUMNS.slice(3)] : COLUMNS}
        rows={found.slice(0, limit)}
        rowKey={({ query }) => query}
        order={order}
        onOrder={setOrder}
        empty={
          data === null
            ? "Reading…"
            : search === ""
              ? "No query has run yet"
              : "No query has such an id or text"
        }
      />
      <p class="after">
        {number(Math.min(limit, found.length))} of {number(found.length)}
        {found.length > limit && (
          <button type="button" class="quiet" onClick={() => setLimit(limit + PAGE)}>
            Show {PAGE} more
          </button>
        )}
        {data?.next != null &&
          ` Of ${number(data.total)} queries these are the first ${number(LIMIT)} by id; the API has the rest.`}
      </p>
    </>
  );
}
