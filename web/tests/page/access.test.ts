// Where tokens are asked for: no view without one, and no more than it allows.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { Evenkeel, output } from "../support/evenkeel";
import { expect, test } from "../support/world";

// The browser itself tells of each 401.
test.use({ allowed: [/status of 401/] });

test("a token opens the page, as far as it allows", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-tokens-"));
  const file = join(folder, "tokens");
  const token = (scope: string) =>
    output("token", "new", "--name", scope, "--scope", scope, "--tokens", file).trim();
  const [reader, admin] = [token("read"), token("admin")];
  const server = await new Evenkeel(["--scenario", "x10", "--tokens", file]).start();
  const field = page.getByLabel("Token");
  const signIn = async (secret: string) => {
    await field.fill(secret);
    await page.keyboard.press("Enter");
  };
  const live = page.getByText("Live", { exact: true });
  try {
    await page.goto(`${server.url}/#/actors`);
    await expect(field).toBeFocused();
    await expect(page.getByRole("table")).toHaveCount(0);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id }) => id)).toEqual([]);

    await signIn("evk_wrong");
    await expect(page.getByRole("alert")).not.toBeEmpty();
    await signIn(reader);
    await expect(live).toBeVisible();
    await expect(page.getByRole("heading", { name: "Actors" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Shadow" })).toBeDisabled();
    expect(await page.evaluate(() => document.cookie), "scripts see no session").toBe("");

    await page.reload();
    await expect(live).toBeVisible();
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(field).toBeFocused();

    await page.goto(`${server.url}/login`);
    await signIn(admin);
    await expect(live).toBeVisible();
    await expect(page).toHaveURL(`${server.url}/`);
    await expect(page.getByRole("button", { name: "Shadow" })).toBeEnabled();
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the page works under a path of its own, also where an address cannot be read", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-tokens-"));
  const file = join(folder, "tokens");
  const token = output("token", "new", "--name", "me", "--scope", "read", "--tokens", file).trim();
  const server = await new Evenkeel(["--scenario", "x10", "--tokens", file, "--base-path", "/a/b"]).start();
  const live = page.getByText("Live", { exact: true });
  try {
    await page.goto(`${server.url}/a/b`);
    await expect(page).toHaveURL(`${server.url}/a/b/`);
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await expect(live).toBeVisible();
    await page.goto(`${server.url}/a/b/login`);
    await expect(live).toBeVisible();
    await expect(page).toHaveURL(`${server.url}/a/b/`);
    await page.goto(`${server.url}/a/b/#/actors`);
    await expect(page.getByRole("heading", { name: "Actors" })).toBeVisible();
    const [cookie] = await page.context().cookies(`${server.url}/a/b/`);
    expect(cookie).toMatchObject({ path: "/a/b/", name: `evenkeel_session_${new URL(server.url).port}` });
    expect(await page.context().cookies(`${server.url}/elsewhere`)).toEqual([]);
    await page.goto("about:blank");
    await page.goto(`${server.url}/a/b/#/actors/%`);
    await expect(page.getByRole("heading", { name: "Actors" })).toBeVisible();
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
