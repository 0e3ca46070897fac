// Where the reader is: the part of the address after `#`.

import { signal } from "@preact/signals";

export const VIEWS = ["overview", "queries", "decisions", "journal", "actors"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** Of a query or an execution. */
  id: string | null;
}

/** What is typed into the address bar need not be an escape; then there is nothing of that name. */
function decoded(id: string): string | null {
  try {
    return decodeURIComponent(id) || null;
  } catch {
    return id;
  }
}

export function parse(hash: string): Route {
  const [view = "", id = ""] = hash.replace(/^#\/?/, "").split("/");
  const known = VIEWS.find((name) => name === view);
  return known === undefined ? { view: "overview", id: null } : { view: known, id: decoded(id) };
}

export function link(view: View, id?: string): string {
  return id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});
