// The page against a server that runs: what moves, what is true, what survives.

import type { Decision, Executions, History, Mode, Point, Status } from "../../src/api/types";
import { Evenkeel } from "../support/evenkeel";
import { expect, test } from "../support/world";

const CHARTS = ["CPU", "IO", "Memory", "Queue", "Delay", "In the corridor"];

const windows = async (server: Evenkeel) =>
  (await server.get<History>("/api/v1/resources/history")).points.length;

test("all charts move, and say what they show", async ({ open, server }) => {
  await expect.poll(() => windows(server)).toBeGreaterThan(3);
  const page = await open();
  for (const name of CHARTS) {
    const plot = page.getByRole("figure", { name, exact: true }).getByRole("img");
    const picture = () => plot.locator("canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    const [before, words] = [await picture(), await plot.getAttribute("aria-label")];
    await expect.poll(picture, name).not.toBe(before);
    await expect.poll(() => plot.getAttribute("aria-label"), name).not.toBe(words);
  }
});

test("a chart's table says what the API says", async ({ open, server }) => {
  await expect.poll(() => windows(server)).toBeGreaterThan(5);
  const page = await open();
  for (const [name, resource] of [
    ["CPU", "cpu"],
    ["IO", "io"],
    ["Memory", "memory"],
  ] as const) {
    const figure = page.getByRole("figure", { name, exact: true });
    await figure.getByRole("button", { name: `${name} as a table` }).click();
    const rows = figure.locator("tbody tr");
    await expect.poll(() => rows.count()).toBeGreaterThan(5);
    const shown = await rows.evaluateAll((all) =>
      all.map((row) => [...row.querySelectorAll("td")].slice(1, 5).map((cell) => cell.textContent)),
    );
    const { points } = await server.get<History>("/api/v1/resources/history");
    const number = (value: number) => value.toLocaleString("en-US");
    const expected = (point: Point) => {
      const { average, min, max } = point.measured[resource];
      return [`${point.first_tick}–${point.last_tick}`, number(average), number(min), number(max)];
    };
    const known = points.map(expected).reverse();
    // The API may have closed another window meanwhile: from the page's newest on, all are the same.
    const from = known.findIndex(([ticks]) => ticks === shown[0]?.[0]);
    expect(from, "the page's newest window is one of the API's").toBeGreaterThanOrEqual(0);
    expect(shown.slice(0, known.length - from)).toEqual(known.slice(from, from + shown.length));
  }
});

test("the mode is switched by keyboard, once confirmed", async ({ open, server }) => {
  const mode = async () => (await server.get<{ mode: Mode }>("/api/v1/mode")).mode;
  const page = await open();
  await expect.poll(mode).toBe("enforce");
  const shadow = page.getByRole("button", { name: "Shadow", exact: true });
  const dialog = page.getByRole("dialog", { name: "Switch to shadow?" });

  await shadow.focus();
  await page.keyboard.press("Enter");
  await expect(dialog).toContainText("nothing is held");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(shadow).toBeFocused();
  expect(await mode()).toBe("enforce");

  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Switch to shadow" }).focus();
  await page.keyboard.press("Enter");
  await expect.poll(mode).toBe("shadow");
  await expect(dialog).toBeHidden();
  await expect(shadow).toHaveAttribute("aria-pressed", "true");

  await page.getByRole("button", { name: "Enforce", exact: true }).click();
  await page.getByRole("button", { name: "Switch to enforce" }).click();
  await expect.poll(mode).toBe("enforce");
  await expect.poll(async () => (await server.get<Status>("/api/v1/status")).mode).toBe("enforce");
});

test("an execution's id finds the sentence that says why", async ({ open, server }) => {
  const last = async () =>
    (await server.get<Executions>("/api/v1/executions?limit=1")).executions[0]?.execution;
  await expect.poll(last).toBeTruthy();
  const execution = (await last()) as string;
  const { sentence } = await server.get<Decision>(`/api/v1/decisions/${execution}`);
  const page = await open("#/decisions");
  await page.getByLabel("Execution id").fill(execution);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Why" })).toContainText(sentence);
  await page.goBack();
  await expect(page.getByRole("heading", { name: "Decisions" })).toBeVisible();
});

test.describe("when the server dies", () => {
  test.use({ allowed: [/net::ERR_/] });

  test("the page says so, and goes on by itself when it is back", async ({ page }) => {
    const server = await new Evenkeel().start();
    try {
      await expect.poll(() => windows(server)).toBeGreaterThan(2);
      await page.goto(server.url);
      await expect(page.getByText("Live", { exact: true })).toBeVisible();
      const newest = async () => {
        const words = await page
          .getByRole("figure", { name: "Queue", exact: true })
          .locator(".reading")
          .textContent();
        return words ?? "";
      };
      await server.kill();
      await expect(page.getByRole("alert").filter({ hasText: "The server does not answer" })).toBeVisible();
      await expect(page.locator("main")).toHaveAttribute("data-stale", "true");
      const last = await newest();

      await server.start();
      await expect(page.getByText("Live", { exact: true })).toBeVisible();
      await expect(page.locator("main")).toHaveAttribute("data-stale", "false");
      await expect(page.getByText("The server does not answer")).toBeHidden();
      await expect.poll(newest).not.toBe(last);
    } finally {
      await server.stop();
    }
  });
});
