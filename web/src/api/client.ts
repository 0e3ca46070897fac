// Requests to the server. Errors are problem+json (RFC 9457); their detail is what the reader sees.

import type { Mode, Session } from "./types";
import { at } from "./where";

export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

/** No answer after so long is none: the page polls, a hanging request must not stop it. */
const TIMEOUT_MS = 10_000;

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(at(path), {
    credentials: "same-origin",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...init,
  }).catch(() => {
    throw new Problem(0, "the server does not answer");
  });
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string };
  throw new Problem(
    response.status,
    problem.detail ?? problem.title ?? `the server answered ${response.status}`,
  );
}

export async function get<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

function withBody(method: string, body: unknown): RequestInit {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** The mode that the server then has. */
export async function setMode(mode: Mode): Promise<Mode> {
  const response = await request("/api/v1/mode", withBody("PUT", { mode }));
  return ((await response.json()) as { mode: Mode }).mode;
}

export const session = () => get<Session>("/api/v1/session");

/** Exchanges a token for the session's cookie. */
export async function login(token: string): Promise<void> {
  await request("/login", withBody("POST", { token }));
}

export async function logout(): Promise<void> {
  await request("/logout", { method: "POST" });
}
