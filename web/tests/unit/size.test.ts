import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "@playwright/test";

// As the server compresses: fast.
const BYTES_MAX = 80 * 1024;
const LINES_MAX = 300;

test("the whole page stays under 80 KB, compressed", () => {
  const files = readdirSync(resolve("dist"), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  expect(files.length).toBeGreaterThan(2);
  const sizes = files.map(
    ({ parentPath, name }) => gzipSync(readFileSync(resolve(parentPath, name)), { level: 1 }).length,
  );
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(BYTES_MAX);
});

test("a source file has one subject", () => {
  const sources = readdirSync(resolve("src"), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const long = sources.filter(
    ({ parentPath, name }) => readFileSync(resolve(parentPath, name), "utf8").split("\n").length > LINES_MAX,
  );
  expect(long.map(({ name }) => name).filter((name) => !name.endsWith(".css"))).toEqual([]);
});

test("nothing in it is inline, and nothing comes from elsewhere", () => {
  const index = readFileSync(resolve("dist/index.html"), "utf8");
  expect(index).not.toMatch(/<style|style=|<script(?![^>]*src=)/);
  expect(index).not.toMatch(/(src|href)="(https?:)?\/\//);
});
