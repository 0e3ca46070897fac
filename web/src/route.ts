// Where the reader is: the part of the address after `#`.

import { signal } from "@preact/signals";

export const VIEWS = ["overview", "queries", "decisions", "journal", "actors"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** Of a query or an execution. */
  id: string | null;
}

export function parse(hash: string): Route {
  const [view = "", id = ""] = hash.replace(/^#\/?/, "").split("/");
  const known = VIEWS.find((name) => name === view);
  return known === undefined
    ? { view: "overview", id: null }
    : { view: known, id: decodeURIComponent(id) || null };
}

export function link(view: View, id?: string): string {
  return id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});
