// What is not known yet is a dash: a zero would be a statement.

import type { Benefit, Status } from "../../src/api/types";
import { expect, test } from "../support/world";

const NOTHING: Benefit = {
  windows: 0,
  in_corridor: null,
  in_corridor_without: null,
  executed: 0,
  delay_ticks: null,
  peaks: null,
};

// The stream of one event ends at once, again and again: the page takes that for a lost connection. What a shared
// worker asks for cannot be answered here, so the tab has a stream of its own, as in browsers without such workers.
test("before the first window every unknown figure is a dash", async ({ page, server }) => {
  const status = await server.get<Status>("/api/v1/status");
  const young: Status = {
    ...status,
    tick: null,
    mode: null,
    client: null,
    headline: null,
    oldest_wait_ticks: null,
    minute: NOTHING,
    five_minutes: NOTHING,
  };
  const data = JSON.stringify({ status: young, points: [] });
  await page.route("**/api/v1/events*", (route) =>
    route.fulfill({ contentType: "text/event-stream", body: `event: snapshot\ndata: ${data}\n\n` }),
  );
  await page.addInitScript(() => Reflect.deleteProperty(window, "SharedWorker"));
  await page.goto(server.url);
  const tile = (name: string) => page.getByRole("region", { name, exact: true });
  await expect(tile("In corridor, last minute").locator(".figure-value")).toHaveText("–");
  await expect(tile("In corridor, last minute").locator("dd")).toHaveText(["–", "–", "–"]);
  await expect(tile("Mean delay, last minute").locator(".figure-value")).toHaveText("–");
  await expect(tile("Mode and health").locator("dd").first()).toHaveText("–");
  await expect(tile("Queue").locator("dd").first()).toHaveText("–");
  for (const name of ["Off", "Shadow", "Enforce"]) {
    await expect(page.getByRole("button", { name, exact: true })).toHaveAttribute("aria-pressed", "false");
  }
});
