// The page's names for what the server's JSON looks like. The types themselves are made of the API's description:
// `npm run types`. Ticks are integers; `_ms` are milliseconds, times Unix ms; null is unknown.

import type { components } from "../../openapi/schema";

type Schemas = components["schemas"];

export const RESOURCES = ["cpu", "io", "memory"] as const;
export type Resource = (typeof RESOURCES)[number];
export type PerResource<T> = Record<Resource, T>;

export const MODES = ["off", "shadow", "enforce"] as const satisfies readonly Mode[];
export type Mode = Schemas["ModeName"];

/** Per tick, within a window. */
export type Extent = Schemas["TickExtent"];
/** Delay in ticks from queueing to execution; 1 = none added. */
export type DelayTicks = Schemas["DelayTicks"];
/** What levelling brought over some windows, and what it cost. Shares are 0 to 1. */
export type Benefit = Schemas["Benefit"];
export type Lease = Schemas["LeaseView"];
export type ClientStatus = Schemas["ClientView"];
export type Status = Schemas["Status"];
/** One step of history: a window, or several merged. */
export type Point = Schemas["Point"];
export type Change = Schemas["Change"];
export type History = Schemas["History"];
export type Minutes = Schemas["MinutesBody"];
/** The database beside its twin. */
export type Shadow = Schemas["ShadowView"];
export type Comparison = Schemas["ComparisonView"];
export type Summary = Schemas["SummaryView"];
/** Share and peak over delay, as far as they are known. */
export type FrontierAnswer = Schemas["FrontierView"];
export type Frontier = Schemas["Frontier"];
export type FrontierRow = Schemas["FrontierRow"];
export type Waiting = Schemas["Waiting"];
export type Queued = Schemas["WaitingList"];
export type Query = Schemas["Query"];
export type Queries = Schemas["Queries"];
export type Executed = Schemas["Execution"];
export type Executions = Schemas["Executions"];
export type Decision = Schemas["Explanation"];
export type Statement = Schemas["Statement"];
export type Answer = Schemas["Answer"];
export type Text = Schemas["Text"];
export type Running = Schemas["Running"];
export type RunningList = Schemas["RunningList"];
export type Group = Schemas["Group"];
export type Stream = Schemas["StreamView"];
export type Journal = Schemas["Journal"];
export type Actor = Schemas["Actor"];
export type Session = Schemas["Session"];
