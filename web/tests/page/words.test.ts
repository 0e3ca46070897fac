// What a person reads first, and of what waits.

import type { Queued, Status } from "../../src/api/types";
import { Evenkeel } from "../support/evenkeel";
import { expect, test } from "../support/world";

const status = (server: Evenkeel) => server.get<Status>("/api/v1/status");

test("the first sentence names peak, share and delay, with and without", async ({ open, server }) => {
  await expect.poll(async () => (await status(server)).headline, { timeout: 60_000 }).not.toBeNull();
  const page = await open();
  await expect(page.locator(".headline")).toHaveText(
    /^(CPU|IO|Memory) peak [\d,]+ instead of [\d,]+, .+ % of windows in the corridor instead of .+ %, for [\d.]+ s of delay\.$/,
  );
});

test("beyond the objective the page is not healthy", async ({ page }) => {
  const server = await new Evenkeel(["--scenario", "x10", "--delay-objective", "100ms"]).start();
  try {
    await expect.poll(async () => (await status(server)).delay.level).not.toBe("good");
    await page.goto(server.url);
    const tile = page.getByRole("region", { name: "Mode and health", exact: true });
    await expect(tile.locator(".figure-value")).toHaveText(/Too late|Needs a look/);
    await expect(tile).toContainText("the delay objective is 0.1 s");
    await expect(page.getByRole("region", { name: "Mean delay, last minute" })).toContainText(
      "0.1 s (1 tick)",
    );
  } finally {
    await server.stop();
  }
});

test("what waits says when it is planned, or that it is held for a plan", async ({ page, open }) => {
  const waiting = (planned_tick: number | null) => ({
    execution: `0193a5c2-7b1e-7c3d-9e4f-00112233${planned_tick === null ? "aabb" : "ccdd"}`,
    query: "db52b83a-32d9-52cf-bbb9-13700f0b713a",
    queued_tick: 100,
    due_tick: 101,
    planned_tick,
    planned_ms: planned_tick === null ? null : 1_795_273_852_457,
    held_for_plan: planned_tick === null,
    held_until_tick: planned_tick === null ? 1300 : null,
    held_ticks: 12,
    reason: null,
    statement: null,
  });
  const body: Queued = { total: 2, executions: [waiting(113), waiting(null)] };
  await page.route("**/api/v1/queued*", (route) => route.fulfill({ json: body }));
  await open("#/decisions");
  const table = page.getByRole("region", { name: "Waiting executions" });
  const planned = table.locator('td[data-label="Planned, tick"]');
  await expect(planned).toHaveText(["113", "held for a plan"]);
  await expect(table.locator('td[data-label="Held"]')).toHaveText(["1.2 s (12 ticks)", "1.2 s (12 ticks)"]);
  await expect(table).not.toContainText("1,300");
});

test("p50, p95 and p99 differ in more than their colours", async ({ open }) => {
  const page = await open();
  const figure = page.getByRole("figure", { name: "Delay", exact: true });
  const styles = await figure
    .locator(".swatch")
    .evaluateAll((all) => all.map((swatch) => getComputedStyle(swatch).borderTopStyle));
  expect(styles).toEqual(["solid", "dashed", "dotted"]);
});

test("a day comes from the server's minutes", async ({ open }) => {
  const page = await open();
  const asked = page.waitForRequest((request) => request.url().endsWith("/api/v1/minutes?last=1440"));
  await page.getByRole("button", { name: "1 d", exact: true }).click();
  await asked;
  const figure = page.getByRole("figure", { name: "Queue", exact: true });
  await expect(figure.locator(".reading")).toContainText("waiting", { timeout: 60_000 });
});
