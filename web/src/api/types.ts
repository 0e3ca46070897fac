// What the server's JSON looks like. Ticks are integers; `_ms` are milliseconds, times Unix ms; null is unknown.

export const RESOURCES = ["cpu", "io", "memory"] as const;
export type Resource = (typeof RESOURCES)[number];
export type PerResource<T> = Record<Resource, T>;

/** Per tick, within a window. */
export interface Extent {
  average: number;
  min: number;
  max: number;
}

export const MODES = ["off", "shadow", "enforce"] as const;
export type Mode = (typeof MODES)[number];

/** Delay in ticks from queueing to execution; 1 = none added. */
export interface DelayTicks {
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** What levelling brought over some windows, and what it cost. Shares are 0 to 1. */
export interface Benefit {
  windows: number;
  in_corridor: number | null;
  in_corridor_without: number | null;
  executed: number;
  delay_ticks: DelayTicks | null;
}

export interface Lease {
  client: string;
  epoch: number;
  until_tick: number;
  /** Whether it covers the next tick. */
  lives: boolean;
}

/** Executed + under way = journalled + still only in the outbox. */
export interface Capture {
  executed: number;
  journalled: number;
  in_outbox: number;
  /** Recorded, and on the way to the database. */
  under_way: number;
  complete: boolean;
}

export interface ClientStatus {
  age_ms: number;
  role: "levelling" | "standing by" | "gave up" | "restoring" | "waiting";
  holder: string | null;
  decided_tick: number | null;
  feasible: boolean;
  binding: "arrivals" | "budget" | "estimates" | "deadlines" | null;
  slots: number;
  residual: number | null;
}

export interface Status {
  name: string;
  version: string;
  form: "embedded" | "server";
  database: string;
  tick: number | null;
  tick_ms: number;
  started_ms: number;
  now_ms: number;
  mode: Mode | null;
  levelled: boolean;
  ready: boolean;
  reasons: string[];
  degraded: string[];
  lease: Lease | null;
  queued: number | null;
  oldest_wait_ticks: number | null;
  late_ticks: number;
  refused_arrivals: number;
  capture: Capture;
  minute: Benefit;
  five_minutes: Benefit;
  client: ClientStatus | null;
}

/** One step of history: a window, or several merged. */
export interface Point {
  first_tick: number;
  last_tick: number;
  closed_at_ms: number;
  windows: number;
  windows_in_corridor: number;
  /** The same as a share. */
  in_corridor: number;
  executed: number;
  measured: PerResource<Extent>;
  predicted: PerResource<number> | null;
  /** At learned costs, had every query run when it was due. */
  without: PerResource<Extent> | null;
  queued: number | null;
  oldest_wait_ticks: number | null;
  delay_ticks: DelayTicks | null;
}

export interface Change {
  status: Status;
  points: Point[];
}

export interface History {
  step_windows: number;
  points: Point[];
}

export interface Waiting {
  execution: string;
  query: string;
  queued_tick: number;
  due_tick: number;
  planned_tick: number;
  planned_ms: number;
  held_ticks: number;
  /** Null without a slot. */
  reason: string | null;
}

export interface Queued {
  total: number;
  executions: Waiting[];
}

export interface Query {
  query: string;
  cost: PerResource<number> | null;
  standard_error: PerResource<number> | null;
  observations: number;
  identifiable: boolean;
  executed: number;
  load_share: number | null;
  added_delay_ticks_mean: number | null;
}

export interface Queries {
  /** `executed`, shares and delays are over so many last ticks. */
  over_ticks: number;
  age_ms: number | null;
  background: PerResource<{ cost: number; standard_error: number }> | null;
  /** All that are known. */
  total: number;
  queries: Query[];
  /** Cursor for `after`. */
  next: string | null;
}

export interface Executed {
  id: string;
  seq: number;
  execution: string;
  query: string;
  queued_tick: number;
  due_tick: number;
  tick: number;
  finished_tick: number;
  delay_ticks: number;
  reason: string;
  outcome: string;
  executed_at_ms: number;
}

export interface Executions {
  executions: Executed[];
  /** Cursor for `before`. */
  next: string | null;
}

export interface Decision {
  execution: string;
  query: string;
  state: "waiting" | "executed";
  sentence: string;
  queued_tick: number;
  due_tick: number;
  planned_tick: number | null;
  tick: number | null;
  delay_ticks: number;
  held_ticks: number;
  added_ticks: number;
  reason: string;
}

export interface Group {
  name: string;
  pending: number;
  lag: number | null;
  last_delivered_id: string;
  consumers: number;
}

export interface Stream {
  stream: string;
  key: string;
  /** Entries that the outbox keeps. */
  length: number;
  /** Entries in Redis; null without it. */
  redis_length: number | null;
  first_seq: number | null;
  last_seq: number | null;
  last_id: string | null;
  shipped_seq: number | null;
  groups: Group[];
}

export interface Journal {
  journal: string;
  name: string;
  writer_epoch: number;
  revision: number;
  outbox: { bytes: number; pressure: string; unshipped: number; oldest_unshipped_ms: number | null };
  redis: {
    connected: boolean;
    trouble: string | null;
    lost: string[];
    warnings: string[];
    dead_letters: number;
  } | null;
  streams: Stream[];
  commands: string[];
}

export interface Actor {
  name: string;
  state: string;
  restarts: number;
  silent_ms: number;
  mailbox: number;
}

export interface Session {
  open: boolean;
  scopes: string[];
}
