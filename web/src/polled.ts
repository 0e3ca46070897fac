import { useEffect, useState } from "preact/hooks";
import { get, Problem } from "./api/client";
import { denied } from "./state";

export interface Polled<T> {
  data: T | null;
  /** Why the last attempt failed; `data` is then what was known before. */
  error: string | null;
}

/** What `path` answers, asked for again `everyMs` after each answer while the page is visible. */
export function usePolled<T>(path: string | null, everyMs: number): Polled<T> {
  const [polled, setPolled] = useState<Polled<T> & { path: string | null }>({
    path,
    data: null,
    error: null,
  });
  useEffect(() => {
    if (path === null) return;
    let timer = 0;
    let over = false;
    async function ask(url: string): Promise<void> {
      if (!document.hidden) {
        try {
          const data = await get<T>(url);
          if (!over) setPolled({ path: url, data, error: null });
        } catch (error) {
          if (over) return;
          if (error instanceof Problem && error.status === 401) denied.value = true;
          const detail = error instanceof Error ? error.message : String(error);
          setPolled((before) => ({
            path: url,
            data: before.path === url ? before.data : null,
            error: detail,
          }));
        }
      }
      if (!over) timer = window.setTimeout(() => void ask(url), everyMs);
    }
    void ask(path);
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [path, everyMs]);
  return polled.path === path ? polled : { data: null, error: null };
}
