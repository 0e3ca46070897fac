// What every browser test gets: a server, and a page that may neither complain nor ask anybody else.

import { test as base, type ConsoleMessage, expect, type Page } from "@playwright/test";
import { Evenkeel } from "./evenkeel";

interface Worlds {
  /** Opens a view, and waits until data flow. */
  open: (hash?: string) => Promise<Page>;
  /** Complaints that the test expects: a dead server cannot be told of silently. */
  allowed: RegExp[];
}

export const test = base.extend<Worlds, { server: Evenkeel }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern
    async ({}, use) => {
      const server = await new Evenkeel().start();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: as above
  allowed: async ({}, use) => use([]),
  page: async ({ page, allowed }, use) => {
    const complaints: string[] = [];
    const foreign: string[] = [];
    const complain = (text: string) => allowed.some((pattern) => pattern.test(text)) || complaints.push(text);
    page.on("console", (message: ConsoleMessage) => {
      if (["error", "warning"].includes(message.type())) complain(message.text());
    });
    page.on("pageerror", (error) => complain(String(error)));
    page.on("request", (request) => {
      const own = request.isNavigationRequest() || request.url().startsWith(`${new URL(page.url()).origin}/`);
      if (!own) foreign.push(request.url());
    });
    await use(page);
    expect(complaints, "the browser's console").toEqual([]);
    expect(foreign, "requests to others").toEqual([]);
  },
  open: async ({ page, server }, use) => {
    await use(async (hash = "") => {
      await page.goto(`${server.url}/${hash}`);
      await expect(page.getByText("Live", { exact: true })).toBeVisible();
      return page;
    });
  },
});

export { expect };
