// One query: what it costs and how surely, and its last executions.

import { type Executions, type Query, RESOURCES, type Text } from "../api/types";
import { interval, number, share, wait } from "../logic/format";
import { Copyable } from "../parts/copy";
import { ExecutionsTable } from "../parts/executions_table";
import { Sql, took } from "../parts/statement";
import { type Fact, Facts } from "../parts/tile";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { link } from "../route";
import { tickMs } from "../state";

const LABELS = { cpu: "CPU", io: "IO", memory: "Memory" };

/** The estimate as a dot in its interval of two standard errors, on one scale for the three resources. */
function Intervals({ query }: { query: Query }) {
  const upper = (at: (typeof RESOURCES)[number]) =>
    (query.cost?.[at] ?? 0) + 2 * (query.standard_error?.[at] ?? 0);
  const most = Math.max(1, ...RESOURCES.map(upper));
  return (
    <dl class="intervals">
      {RESOURCES.map((resource) => {
        const cost = query.cost?.[resource];
        const error = query.standard_error?.[resource];
        const x = (value: number) => `${(Math.max(0, value) / most) * 100}%`;
        return (
          <div key={resource}>
            <dt>{LABELS[resource]}</dt>
            <dd>{interval(cost, error)}</dd>
            <svg aria-hidden="true">
              <line class="track" x1="0" x2="100%" y1="50%" y2="50%" />
              {cost != null && error != null && (
                <line class="whisker" x1={x(cost - 2 * error)} x2={x(cost + 2 * error)} y1="50%" y2="50%" />
              )}
              {cost != null && <circle cx={x(cost)} cy="50%" r="5" />}
            </svg>
          </div>
        );
      })}
    </dl>
  );
}

const statementFacts = (query: Query, text: Text): Fact[] => [
  ["Duration of late, together", took(query.duration_us)],
  ["CPU of late, together", took(query.cpu_us)],
  ["Kind", text.kind],
  ["Database", text.database],
];

const maximum = ({ max_delay_ticks, own_max_delay }: Query) =>
  `${wait(max_delay_ticks, tickMs.value)}, ${own_max_delay ? "its own" : "that of all others"}`;

export function QueryView({ id }: { id: string }) {
  const { data, error } = usePolled<Query>(`/api/v1/queries/${encodeURIComponent(id)}`, 5000);
  const executions = usePolled<Executions>(
    `/api/v1/executions?query=${encodeURIComponent(id)}&limit=50`,
    5000,
  );
  return (
    <>
      <div class="section-head">
        <h1>Query</h1>
        <p class="note">
          <a href={link("queries")}>All queries</a>
        </p>
      </div>
      <p>
        <Copyable text={id} label="the query's id" />
      </p>
      <Trouble error={error} />
      {data?.text != null && (
        <p>
          <Sql text={data.text} />
        </p>
      )}
      {data !== null && (
        <div class="pair">
          <section class="card" aria-label="Learned cost">
            <h2>Learned cost of one execution</h2>
            <p class="note">
              Cost units ± two standard errors.{" "}
              {!data.identifiable && "It cannot be told apart yet from the queries that run beside it."}
            </p>
            <Intervals query={data} />
          </section>
          <section class="card" aria-label="Load and delay">
            <h2>Load and delay</h2>
            <Facts
              facts={[
                ["Executed of late", number(data.executed)],
                ["Share of the load", share(data.load_share, 1)],
                ["Mean added delay", wait(data.added_delay_ticks_mean, tickMs.value, 1)],
                ["Maximum delay", maximum(data)],
                ["Observations", number(data.observations)],
                ...(data.text === null ? [] : statementFacts(data, data.text)),
              ]}
            />
          </section>
        </div>
      )}
      <div class="section-head">
        <h2>Last executions</h2>
      </div>
      <Trouble error={executions.error} />
      <ExecutionsTable executions={executions.data?.executions ?? []} withQuery={false} />
    </>
  );
}
