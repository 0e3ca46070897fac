// The types that are made of the API's description: the page's are of this server, and what they promise comes.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import createClient from "openapi-fetch";
import type { paths } from "../../openapi/schema";
import { expect, test } from "../support/world";

const FILE = resolve("openapi/schema.ts");
const NOWHERE = "01890000-0000-7000-8000-000000000000";

/** What openapi-typescript makes of `document`. */
function types(document: unknown): string {
  const generator = createRequire(resolve("openapi/package.json")).resolve("openapi-typescript/package.json");
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-types-"));
  try {
    const file = join(folder, "openapi.json");
    writeFileSync(file, JSON.stringify(document));
    return execFileSync("node", [join(dirname(generator), "bin/cli.js"), file], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the page's types are those of this server's description", async ({ server }) => {
  const made = types(await server.get("/api/v1/openapi.json"));
  if (process.env.EVENKEEL_WRITE !== undefined) writeFileSync(FILE, made);
  expect(readFileSync(FILE, "utf8") === made, "openapi/schema.ts is old: `npm run types` makes it anew").toBe(
    true,
  );
});

test("a client made of the description speaks with the server", async ({ server }) => {
  const api = createClient<paths>({ baseUrl: server.url });
  const page = () => api.GET("/api/v1/executions", { params: { query: { limit: 3 } } });
  await expect.poll(async () => (await page()).data?.executions.length).toBe(3);
  const { data } = await page();
  const ran = data?.executions[0];
  const why = await api.GET("/api/v1/decisions/{execution}", {
    params: { path: { execution: ran?.execution ?? NOWHERE } },
  });
  expect([why.data?.state, why.data?.tick]).toEqual(["executed", ran?.tick]);

  const status = await api.GET("/api/v1/status");
  expect(status.data?.ready).toBe(true);
  const some = () => api.GET("/api/v1/queries", { params: { query: { limit: 2 } } });
  await expect.poll(async () => (await some()).data?.queries.length).toBe(2);
  const queries = await some();
  expect(queries.data?.next).toBe(queries.data?.queries[1]?.query);

  const set = await api.PUT("/api/v1/mode", { body: { mode: "enforce" } });
  expect(set.data).toEqual({ mode: "enforce" });
  const refused = await api.POST("/delay", { body: { id: NOWHERE, delay: 1 } });
  expect([refused.response.status, refused.error?.status]).toEqual([404, 404]);
  expect(refused.error?.detail).toContain("is not queued");
});
