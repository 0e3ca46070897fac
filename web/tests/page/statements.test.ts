// Statements of a real database: what they ask, what runs now, and a transaction together. The server of these tests
// has a simulated database, so what the API would say is said in its place.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import type { Decision, Executions, Queries, Query, RunningList, Statement, Text } from "../../src/api/types";
import { expect, test } from "../support/world";

const QUERY = "7d0f2b52-2d0e-5b7c-9d3b-6a1f0c9d8e7f";
const SESSION = "0193a5c2-0000-7000-8000-00000000000a";
const ids = [1, 2, 3].map((n) => `0193a5c2-0000-7000-8000-00000000000${n}`) as [string, string, string];

const TEXT: Text = {
  text: "update accounts set balance = balance + $1 where id = $2",
  database: "shop",
  kind: "update",
};
const STATEMENT: Statement = {
  class: "batch",
  user: "ann",
  database: "shop",
  application: "batch_night",
  client: "10.0.0.7:5123",
  session: SESSION,
  transaction: 3,
  pid: 4711,
  backend_start: null,
  tag: null,
};
const QUERY_TOLD: Query = {
  query: QUERY,
  cost: null,
  standard_error: null,
  observations: 0,
  identifiable: false,
  executed: 12,
  text: TEXT,
  duration_us: 1_500_000,
  cpu_us: 250_000,
  load_share: null,
  added_delay_ticks_mean: 2,
  max_delay_ticks: 600,
  own_max_delay: false,
};
const QUERIES: Queries = { over_ticks: 3000, age_ms: null, total: 1, queries: [QUERY_TOLD], next: null };
const RUNNING: RunningList = {
  statements: true,
  total: 1,
  executions: [
    {
      execution: ids[0],
      query: QUERY,
      text: TEXT,
      statement: STATEMENT,
      queued_tick: 5,
      tick: 6,
      since_ms: 1_800_000_000_000,
      reason: "",
    },
  ],
};
const ran = (execution: string, n: number): Executions["executions"][number] => ({
  id: `1800000000000-${n}`,
  seq: n,
  execution,
  query: QUERY,
  queued_tick: 5,
  due_tick: 6,
  tick: 6,
  finished_tick: 7,
  delay_ticks: 1,
  reason: "",
  outcome: n === 2 ? "failed" : "ok",
  executed_at_ms: 1_800_000_000_000,
  text: TEXT,
  statement: STATEMENT,
  answer: { sqlstate: n === 2 ? "23505" : null, rows: 1, duration_us: 1_500, cpu_us: 700, note: null },
});
const EXECUTIONS: Executions = { executions: [ran(ids[2], 2), ran(ids[1], 1)], next: null };
const DECISION: Decision = {
  execution: ids[1],
  query: QUERY,
  state: "executed",
  sentence: "Queued at tick 5 and due at tick 6; it ran then, nothing held it. It ended ok after 1.500 ms.",
  queued_tick: 5,
  due_tick: 6,
  planned_tick: null,
  tick: 6,
  delay_ticks: 1,
  held_ticks: 0,
  added_ticks: 0,
  reason: "",
  outcome: "ok",
  text: TEXT,
  statement: STATEMENT,
  answer: EXECUTIONS.executions[1]?.answer ?? null,
};

async function told(page: Page): Promise<void> {
  const say = (path: string, json: object) => page.route(path, (route) => route.fulfill({ json }));
  await say("**/api/v1/queries?*", QUERIES);
  await say(`**/api/v1/queries/${QUERY}`, QUERY_TOLD);
  await say("**/api/v1/executions?*", EXECUTIONS);
  await say("**/api/v1/running?*", RUNNING);
  await say(`**/api/v1/decisions/${ids[1]}`, DECISION);
}

async function noBarrier(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
}

test("queries say what they ask, are found by it, and are sorted by what they took", async ({
  page,
  open,
}) => {
  await told(page);
  await open("#/queries");
  const row = page.getByRole("row", { name: TEXT.text });
  await expect(row).toContainText("1.5 s");
  await expect(page.getByRole("columnheader", { name: "CPU, together" })).toBeVisible();
  await page.getByRole("columnheader", { name: "Duration, together" }).getByRole("button").click();
  await expect(page.getByRole("columnheader", { name: "Duration, together" })).toHaveAttribute(
    "aria-sort",
    "descending",
  );
  const search = page.getByRole("searchbox", { name: "Find by id or text" });
  await search.fill("BALANCE +");
  await expect(row).toBeVisible();
  await search.fill("delete");
  await expect(page.getByText("No query has such an id or text")).toBeVisible();
  await noBarrier(page);
});

test("one query says its text, its kind and what it took", async ({ page, open }) => {
  await told(page);
  await open(`#/queries/${QUERY}`);
  await expect(page.locator("code.sql").first()).toHaveText(TEXT.text);
  await expect(page.locator(".facts").first()).toContainText("update");
  await expect(page.getByRole("columnheader", { name: "User, application" })).toBeVisible();
  await noBarrier(page);
});

test("what runs now is told with whose it is", async ({ page, open }) => {
  await told(page);
  await open("#/decisions");
  const running = page.getByRole("region", { name: "Running now" });
  await expect(running.getByRole("row", { name: TEXT.text })).toContainText("ann · batch_night");
  await expect(running).toContainText("4711");
  await noBarrier(page);
});

test("a decision says its statement, and its transaction's statements together", async ({ page, open }) => {
  await told(page);
  await open(`#/decisions/${ids[1]}`);
  await expect(page.getByRole("region", { name: "Statement", exact: true })).toContainText("10.0.0.7:5123");
  const together = page.getByRole("region", { name: "Statements of its transaction" });
  await expect(together.locator("tbody tr")).toHaveCount(2);
  await expect(together).toContainText("failed, 23505");
  await noBarrier(page);
});

test("a simulated database has no statements and nothing of them", async ({ open }) => {
  const page = await open("#/decisions");
  await expect(page.getByRole("columnheader", { name: "Ran, tick" })).toBeVisible();
  await expect(page.getByText("Running now")).toHaveCount(0);
  await expect(page.getByRole("columnheader", { name: "User, application" })).toHaveCount(0);
});

for (const width of [360, 390, 1440]) {
  test(`statements are no wider than ${width} px`, async ({ page, open }) => {
    await told(page);
    await page.setViewportSize({ width, height: 844 });
    for (const hash of ["#/queries", `#/queries/${QUERY}`, "#/decisions", `#/decisions/${ids[1]}`]) {
      await open(hash);
      await expect(page.locator("code.sql").first()).toBeVisible();
      const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      await expect.poll(overflow, hash).toBeLessThanOrEqual(0);
    }
  });
}
