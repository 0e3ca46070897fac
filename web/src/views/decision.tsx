// One execution: the sentence that says why, and its way through the queue.

import type { Decision } from "../api/types";
import { capitalised, number, wait } from "../logic/format";
import { Copyable } from "../parts/copy";
import { StatementCard, Together } from "../parts/statement";
import { Facts } from "../parts/tile";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";
import { link } from "../route";
import { tickMs } from "../state";
import { LookUp } from "./decisions";

/** Queued, due, run: as far apart as they were. */
function Way({ decision }: { decision: Decision }) {
  // What is held for a plan has no end yet: it is drawn as long as it has waited.
  const end = decision.tick ?? decision.planned_tick ?? decision.queued_tick + decision.delay_ticks;
  const span = Math.max(1, end - decision.queued_tick);
  const x = (tick: number) =>
    `${2 + (Math.min(Math.max(0, tick - decision.queued_tick), span) / span) * 96}%`;
  return (
    <svg class="way" aria-hidden="true">
      <line class="track" x1="2%" x2="98%" y1="50%" y2="50%" />
      <line class="whisker" x1={x(decision.due_tick)} x2={x(end)} y1="50%" y2="50%" />
      <circle class="start" cx={x(decision.queued_tick)} cy="50%" r="5" />
      <circle class="due" cx={x(decision.due_tick)} cy="50%" r="5" />
      <circle cx={x(end)} cy="50%" r="7" />
    </svg>
  );
}

const planned = ({ planned_tick }: Decision) =>
  planned_tick === null ? "none, held for a plan" : number(planned_tick);

export function DecisionView({ id }: { id: string }) {
  const { data, error } = usePolled<Decision>(`/api/v1/decisions/${encodeURIComponent(id)}`, 2000);
  const ran = data !== null && data.tick !== null;
  return (
    <>
      <div class="section-head">
        <h1>Decision</h1>
        <p class="note">
          <a href={link("decisions")}>All decisions</a>
        </p>
      </div>
      <LookUp />
      <p>
        <Copyable text={id} label="the execution's id" />
      </p>
      <Trouble error={error} />
      {data !== null && (
        <section class="card" aria-label="Why">
          <p class="sentence">{data.sentence}</p>
          <Way decision={data} />
          <p class="way-ends" aria-hidden="true">
            <span>queued</span>
            <span>{data.held_ticks > 0 && `held for ${wait(data.held_ticks, tickMs.value)}`}</span>
            <span>{ran ? "ran" : data.planned_tick === null ? "held for a plan" : "planned"}</span>
          </p>
          <Facts
            facts={[
              ["State", capitalised(data.state)],
              ["Queued at tick", number(data.queued_tick)],
              ["Due at tick", number(data.due_tick)],
              [ran ? "Ran at tick" : "Planned for tick", ran ? number(data.tick) : planned(data)],
              ["Delay", wait(data.delay_ticks, tickMs.value)],
              ["Held by levelling", wait(data.held_ticks, tickMs.value)],
              ["Added by /delay", wait(data.added_ticks, tickMs.value)],
              [
                "Query",
                <a key="query" href={link("queries", data.query)}>
                  <code>{data.query}</code>
                </a>,
              ],
            ]}
          />
        </section>
      )}
      {data?.statement != null && (
        <>
          <StatementCard statement={data.statement} answer={data.answer} text={data.text} />
          <Together statement={data.statement} />
        </>
      )}
    </>
  );
}
