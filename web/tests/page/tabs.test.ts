// Many tabs of one browser: all live, none in another's way, with one stream of events between them.

import type { Page } from "@playwright/test";
import type { Mode } from "../../src/api/types";
import type { Evenkeel } from "../support/evenkeel";
import { expect, test } from "../support/world";

/** More than the six connections that a browser opens to a host. */
const TABS = 8;

const readers = async (server: Evenkeel) =>
  /^evenkeel_event_readers (\S+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1];

/** The last tick of the newest window that a tab shows. */
const newest = (page: Page) =>
  page.getByRole("figure", { name: "CPU", exact: true }).getByRole("img").getAttribute("aria-label");

test("eight tabs are live at once, and any of them switches the mode", async ({ context, server }) => {
  const tabs: Page[] = [];
  for (let n = 0; n < TABS; n += 1) {
    const tab = await context.newPage();
    await tab.goto(server.url);
    tabs.push(tab);
  }
  for (const tab of tabs) await expect(tab.getByText("Live", { exact: true })).toBeVisible();
  await expect.poll(() => readers(server)).toBe("1.0");
  // Each of them goes on, not only the one that was opened first.
  for (const tab of tabs) {
    const before = await newest(tab);
    await expect.poll(() => newest(tab)).not.toBe(before);
  }
  const last = tabs.at(-1) as Page;
  for (const mode of ["shadow", "enforce"] as const) {
    const name = new RegExp(`^${mode}$`, "i");
    await last.getByRole("button", { name }).click();
    await last.getByRole("button", { name: `Switch to ${mode}` }).click();
    await expect.poll(async () => (await server.get<{ mode: Mode }>("/api/v1/mode")).mode).toBe(mode);
    // All the others hear of it.
    for (const tab of tabs) {
      await expect(tab.getByRole("button", { name })).toHaveAttribute("aria-pressed", "true");
    }
  }
  // The tab that came first was nobody special.
  await tabs[0]?.close();
  const second = tabs[1] as Page;
  const before = await newest(second);
  await expect.poll(() => newest(second)).not.toBe(before);
  for (const tab of tabs.slice(1)) await tab.close();
  await expect.poll(() => readers(server)).toBe("0.0");
});
