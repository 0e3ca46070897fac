// The pictures in docs/: a real run, once it has been level for five minutes.

import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Status } from "../src/api/types";
import { expect, test } from "./support/world";

const BYTES_MAX = 200_000;

test("the dashboard, light and dark", async ({ page, open, server }) => {
  const levelled = async () => (await server.get<Status>("/api/v1/status")).five_minutes.windows;
  await expect.poll(levelled, { timeout: 500_000, intervals: [5000] }).toBeGreaterThanOrEqual(300);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await open();
    await expect(page.getByRole("figure", { name: "Delay", exact: true })).toBeVisible();
    const path = resolve(`../docs/dashboard-${colorScheme}.png`);
    await page.screenshot({ path, animations: "disabled" });
    expect(statSync(path).size, path).toBeLessThan(BYTES_MAX);
  }
});
