import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { defineConfig } from "@playwright/test";

function onPath(...names: string[]): string {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (found === undefined)
    throw new Error(`none of ${names.join(", ")} is on the PATH: \`make tools\` installs chromium`);
  return found;
}

// The system's chromium: nothing is downloaded. As root it needs to go without its sandbox.
const browser = {
  browserName: "chromium" as const,
  launchOptions: {
    executablePath: onPath("chromium", "chromium-browser", "google-chrome"),
    // Letters without coloured edges: smaller pictures, the same on every screen.
    args: ["--disable-lcd-text", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
  },
};

export default defineConfig({
  testDir: "tests",
  // Tests share the machine with the servers that they start.
  workers: 1,
  forbidOnly: true,
  reporter: "list",
  outputDir: "test-results",
  timeout: 90_000,
  expect: { timeout: 30_000 },
  projects: [
    { name: "unit", testMatch: "unit/*.test.ts" },
    {
      name: "page",
      testMatch: "page/*.test.ts",
      use: { ...browser, viewport: { width: 1440, height: 900 } },
    },
    {
      name: "screenshots",
      testMatch: "screenshots.ts",
      timeout: 600_000,
      use: { ...browser, viewport: { width: 1440, height: 800 } },
    },
  ],
});
