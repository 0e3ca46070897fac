// What each delay budget brings is seen before one is chosen: as a picture, as a table, on a phone.

import AxeBuilder from "@axe-core/playwright";
import type { FrontierAnswer, FrontierRow } from "../../src/api/types";
import { Evenkeel } from "../support/evenkeel";
import { expect, test } from "../support/world";

const row = (
  policy: string,
  budget: number | null,
  mean: number,
  share: number,
  peak: number,
): FrontierRow => ({
  policy,
  budget_ticks: budget,
  budget_s: budget === null ? null : budget / 10,
  share,
  any_alignment: share,
  peak_to_mean_60s: peak,
  mean_delay_ticks: mean,
  mean_delay_s: mean / 10,
  p99_delay_ticks: Math.ceil(2 * mean),
  binding: null,
  cuts_peaks: false,
});

const READY: FrontierAnswer = {
  state: "ready",
  note: null,
  progress: null,
  frontier: {
    age_ms: 120_000,
    first_tick: 10_000,
    counted_from_tick: 11_200,
    last_tick: 15_999,
    tick_ms: 100,
    complete: true,
    rows: [
      row("none", null, 1, 0, 1.8),
      row("evenkeel", 1.5, 1.5, 0.3, 1.3),
      row("evenkeel", 4, 3.9, 0.999, 1.12),
      row("least-loaded", 1.5, 1.5, 0.05, 1.5),
      row("least-loaded", 4, 4, 0.2, 1.3),
    ],
  },
};

test("share and peak over delay are a picture and a table", async ({ page, open }) => {
  await page.route("**/api/v1/frontier", (route) => route.fulfill({ json: READY }));
  await open();
  for (const name of ["Level windows", "Peaks"]) {
    const figure = page.getByRole("figure", { name, exact: true });
    await expect(figure.getByRole("img")).toHaveAttribute("aria-label", /Without levelling: 0 % of windows/);
    await expect(figure.locator(".reading")).toHaveText(
      "evenkeel with a budget of 0.4 s (4 ticks): 99.9 % of windows in the corridor, peak 1.12 times the mean, " +
        "for 0.4 s (3.9 ticks) of delay.",
    );
  }
  await expect(page.getByText("8 min of recorded load, as of 2 min ago")).toBeVisible();
  const figure = page.getByRole("figure", { name: "Peaks", exact: true });
  // Under the pointer at the left there is the shortest delay.
  await figure.locator(".u-over").hover({ position: { x: 2, y: 20 } });
  await expect(figure.locator(".reading")).toContainText("Without levelling: 0 %");
  await figure.getByRole("button", { name: "Peaks as a table" }).click();
  await expect(figure.locator("tbody tr")).toHaveCount(5);
  await expect(figure.locator('td[data-label="Who levels"]')).toHaveText([
    "nobody",
    "evenkeel",
    "evenkeel",
    "least-loaded",
    "least-loaded",
  ]);
  await expect(figure.locator('td[data-label="Peak over mean"]').first()).toHaveText("1.80");
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
});

test("why there is none yet is said, and how far it is", async ({ page, open }) => {
  let answer: FrontierAnswer = {
    state: "waiting",
    note: "costs are not known yet",
    progress: null,
    frontier: null,
  };
  await page.route("**/api/v1/frontier", (route) => route.fulfill({ json: answer }));
  await open();
  await expect(page.getByText("It is not made yet: costs are not known yet.")).toBeVisible();
  answer = { state: "computing", note: null, progress: 0.35, frontier: null };
  await expect(page.getByText("It is being made from the last load: 35 %.")).toBeVisible();
  answer = READY;
  await expect(page.getByRole("figure", { name: "Level windows", exact: true })).toBeVisible();
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true });

  test("picture and table are within its width", async ({ page, open }) => {
    await page.route("**/api/v1/frontier", (route) => route.fulfill({ json: READY }));
    await open();
    const figure = page.getByRole("figure", { name: "Level windows", exact: true });
    const within = async () => {
      const box = await figure.boundingBox();
      expect(box?.x).toBeGreaterThanOrEqual(0);
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(390);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    };
    await expect(figure.getByRole("img")).toBeVisible();
    await within();
    await figure.getByRole("button", { name: "Level windows as a table" }).click();
    await expect(figure.locator('td[data-label="Mean delay"]').first()).toHaveText("0.1 s (1 tick)");
    await within();
  });
});

test("a real server makes it of what it has recorded", async ({ page }) => {
  const server = await new Evenkeel(["--scenario", "x10", "--fast-forward", "2min"]).start();
  try {
    await page.goto(server.url);
    const figure = page.getByRole("figure", { name: "Level windows", exact: true });
    await expect(figure.getByRole("img")).toBeVisible({ timeout: 80_000 });
    const { frontier } = await server.get<FrontierAnswer>("/api/v1/frontier");
    const of = (policy: string) => (frontier?.rows ?? []).filter((one) => one.policy === policy);
    expect(of("none").map(({ mean_delay_ticks }) => mean_delay_ticks)).toEqual([1]);
    expect(of("evenkeel").length).toBeGreaterThan(2);
    expect(Math.max(...of("evenkeel").map(({ share }) => share))).toBeGreaterThan(0.8);
    expect(of("least-loaded").length).toBeGreaterThan(2);
  } finally {
    await server.stop();
  }
});
