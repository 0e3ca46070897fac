// A phone: every tab and every column is in sight without a gesture that nobody would think of.

import { expect, test } from "../support/world";

const WIDTH = 390;
const TABS = ["Overview", "Queries", "Decisions", "Journal", "Actors"];

test.use({ viewport: { width: WIDTH, height: 844 }, hasTouch: true });

test("all tabs are in sight", async ({ open }) => {
  const page = await open();
  for (const name of TABS) {
    const box = await page
      .getByRole("navigation", { name: "Views" })
      .getByRole("link", { name })
      .boundingBox();
    expect(box, name).not.toBeNull();
    expect(box?.x, name).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 0), name).toBeLessThanOrEqual(WIDTH);
  }
});

for (const [hash, ready, labels] of [
  ["#/queries", "Load share", ["Query", "CPU", "Added delay", "Maximum delay"]],
  ["#/decisions", "Ran, tick", ["Execution", "Query", "Delay", "Outcome", "Reason"]],
  ["#/journal", "In the outbox", ["Stream", "Last seq", "Last id"]],
  ["#/actors", "Restarts", ["Actor", "State", "Restarts"]],
] as const) {
  test(`no column of ${hash} is out of sight`, async ({ open }) => {
    const page = await open(hash);
    const cells = page.locator("main td[data-label]");
    await expect(cells.and(page.locator(`[data-label="${ready}"]`)).first()).toBeVisible();
    const found = await cells.evaluateAll((all) =>
      all.map((cell) => {
        const { left, right } = cell.getBoundingClientRect();
        const label = getComputedStyle(cell, "::before").content;
        return {
          name: (cell as HTMLElement).dataset.label,
          left,
          right,
          label,
          wide: cell.scrollWidth > cell.clientWidth + 1,
        };
      }),
    );
    for (const label of labels) expect(found.map(({ name }) => name)).toContain(label);
    for (const { name, left, right, label, wide } of found) {
      expect(left, name).toBeGreaterThanOrEqual(0);
      expect(right, name).toBeLessThanOrEqual(WIDTH);
      expect(label, `${name} is named beside its value`).toBe(`"${name}"`);
      expect(wide, `${name} is cut`).toBe(false);
    }
  });
}

test("what can be sorted is sorted on a phone, too", async ({ open }) => {
  const page = await open("#/queries");
  await expect(page.locator("tbody a").nth(3)).toBeVisible();
  const sort = page.getByRole("button", { name: "Executed", exact: true });
  await sort.click();
  const counts = () =>
    page
      .locator('td[data-label="Executed"]')
      .evaluateAll((all) => all.map((cell) => Number((cell.textContent ?? "").replaceAll(",", ""))));
  await expect
    .poll(async () => (await counts()).slice(0, 4))
    .toEqual((await counts()).slice(0, 4).sort((a, b) => b - a));
});
