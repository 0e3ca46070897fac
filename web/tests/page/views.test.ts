// Every view: readable by anybody, at any size, by keyboard.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import type { Executions, Queries } from "../../src/api/types";
import { expect, test } from "../support/world";

const VIEWS = ["overview", "queries", "decisions", "journal", "actors"] as const;
/** What a view shows once its data are there. */
const PRESENT = {
  overview: "CPU",
  queries: "Load share",
  decisions: "Ran, tick",
  journal: "Streams",
  actors: "Restarts",
};

/** A narrow screen names a cell beside its value, and shows no head. */
const present = (page: Page, view: (typeof VIEWS)[number]) =>
  page
    .getByText(PRESENT[view])
    .or(page.locator(`[data-label="${PRESENT[view]}"]`))
    .filter({ visible: true })
    .first();

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    for (const view of VIEWS) {
      test(`${view} has no barrier`, async ({ open }) => {
        const page = await open(`#/${view}`);
        await expect(present(page, view)).toBeVisible();
        await expect(page.locator("tbody .empty", { hasText: "Reading" })).toHaveCount(0);
        const { violations } = await new AxeBuilder({ page }).analyze();
        const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
      });
    }

    test("one query, one decision and the mode's question have no barrier", async ({ open, server }) => {
      await expect
        .poll(async () => (await server.get<Executions>("/api/v1/executions?limit=1")).executions.length)
        .toBe(1);
      const { executions } = await server.get<Executions>("/api/v1/executions?limit=1");
      const { query, execution } = executions[0] as Executions["executions"][number];
      for (const hash of [`#/queries/${query}`, `#/decisions/${execution}`]) {
        const page = await open(hash);
        await expect(page.locator(".facts").first()).toBeVisible();
        await page.getByRole("button", { name: "Shadow" }).click();
        const { violations } = await new AxeBuilder({ page }).analyze();
        const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
        await page.keyboard.press("Escape");
      }
    });
  });
}

for (const width of [360, 2560]) {
  test(`no view is wider than ${width} px`, async ({ page, open }) => {
    await page.setViewportSize({ width, height: 900 });
    for (const view of VIEWS) {
      await open(`#/${view}`);
      await expect(present(page, view)).toBeVisible();
      const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      await expect.poll(overflow, view).toBeLessThanOrEqual(0);
    }
  });
}

test("views are reached and tables are sorted by keyboard", async ({ open, server }) => {
  await expect
    .poll(async () => (await server.get<Queries>("/api/v1/queries")).queries.length)
    .toBeGreaterThan(3);
  const page = await open();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Skip to the content" })).toBeFocused();
  await page.getByRole("link", { name: "Queries" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Queries" })).toBeVisible();
  await expect(page.locator("main")).toBeFocused();

  const head = page.getByRole("columnheader", { name: "Query" });
  await head.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await expect(head).toHaveAttribute("aria-sort", "ascending");
  const ids = () =>
    page.locator("tbody a").evaluateAll((links) => links.map((link) => link.getAttribute("title")));
  await expect.poll(async () => (await ids()).length).toBeGreaterThan(3);
  const upwards = await ids();
  expect(upwards).toEqual([...upwards].sort());
  await page.keyboard.press("Enter");
  await expect(head).toHaveAttribute("aria-sort", "descending");
  const downwards = await ids();
  expect(downwards).toEqual([...downwards].sort().reverse());
});

test("the reader's colours stay chosen", async ({ page, open }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await open();
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "Switch to dark colours" }).click();
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await expect(page.getByRole("button", { name: "Switch to light colours" })).toBeVisible();
  expect(await ground()).toBe(dark);
});
