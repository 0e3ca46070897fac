/** Where the server is: the page's own folder. A worker's script lies elsewhere, so it is told by its name. */
export const SERVER = new URL(typeof document === "undefined" ? self.name : ".", location.href);

/** The address of `path` there, which begins with a slash. */
export function at(path: string): URL {
  return new URL(path.slice(1), SERVER);
}
