import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "@playwright/test";

const BYTES_MAX = 80 * 1024;

test("the whole page stays under 80 KB, compressed", () => {
  const files = readdirSync(resolve("dist"), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  expect(files.length).toBeGreaterThan(2);
  const sizes = files.map(({ parentPath, name }) => gzipSync(readFileSync(resolve(parentPath, name))).length);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(BYTES_MAX);
});

test("nothing in it is inline, and nothing comes from elsewhere", () => {
  const index = readFileSync(resolve("dist/index.html"), "utf8");
  expect(index).not.toMatch(/<style|style=|<script(?![^>]*src=)/);
  expect(index).not.toMatch(/(src|href)="(https?:)?\/\//);
});
