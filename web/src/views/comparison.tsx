// The database beside its twin, over the last hour: what `enforce` would do, or what levelling does.

import type { Comparison, Shadow, Summary } from "../api/types";
import { DASH, fixed, number, share, wait } from "../logic/format";
import { type Column, Table } from "../parts/table";
import { usePolled } from "../polled";
import { status } from "../state";

/** It is made anew every ten windows. */
const LOOK_EVERY_MS = 10_000;

interface Row {
  name: string;
  of: (summary: Summary) => string;
}

function rows(tickMs: number): Row[] {
  const delay = (name: string, of: (summary: Summary) => number | undefined, digits = 0): Row => ({
    name,
    of: (summary) => (summary.delay_ticks === null ? DASH : wait(of(summary), tickMs, digits)),
  });
  return [
    { name: "Windows in the corridor", of: (summary) => share(summary.in_corridor) },
    { name: "Peak of a minute over its mean", of: (summary) => fixed(summary.peak_to_mean_60s, 2) },
    delay("Mean delay", (summary) => summary.delay_ticks?.mean, 1),
    delay("Median delay", (summary) => summary.delay_ticks?.p50),
    delay("One in a hundred is delayed by", (summary) => summary.delay_ticks?.p99),
    { name: "Executions", of: (summary) => number(summary.executed) },
  ];
}

function columns({ actual, twin }: Comparison, twinName: string): Column<Row>[] {
  return [
    { key: "name", label: "Last hour", render: (row) => row.name },
    { key: "actual", label: "As it is", numeric: true, render: (row) => row.of(actual) },
    { key: "twin", label: twinName, numeric: true, render: (row) => row.of(twin) },
  ];
}

/** Nothing before the first comparison, and where nobody compares. */
export function ComparisonSection() {
  const compared = status.value?.compared === true;
  const { data } = usePolled<Shadow>(compared ? "/api/v1/shadow" : null, LOOK_EVERY_MS);
  if (data === null || !compared) return null;
  const enforced = data.twin === "enforced";
  const title = enforced ? "What enforce would do" : "What levelling does";
  return (
    <>
      <div class="section-head">
        <h2>{title}</h2>
      </div>
      <Table
        label={title}
        columns={columns(data.hour, enforced ? "Under enforce" : "Without evenkeel")}
        rows={rows(data.tick_ms)}
        rowKey={(row) => row.name}
      />
    </>
  );
}
