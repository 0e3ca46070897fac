import { defineConfig } from "vite";

// `npm run dev` shows the page of these sources with the data of a running `evenkeel run`.
const server = process.env.EVENKEEL_URL ?? "http://127.0.0.1:7070";

export default defineConfig({
  // Relative: a proxy may show the page under a path of its own (`--base-path`).
  base: "./",
  // `light-dark()` is understood by these and later.
  build: {
    target: ["chrome123", "firefox120", "safari17.5"],
    // Everything is a file of its own: the Content-Security-Policy allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(["/api", "/login", "/logout", "/metrics"].map((path) => [path, server])),
  },
});
