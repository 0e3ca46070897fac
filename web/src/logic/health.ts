// One verdict over the whole: what the first tile says.

import type { ClientStatus, Lease, Status } from "../api/types";
import { duration } from "./format";

export interface Health {
  level: "good" | "warning" | "bad";
  title: string;
  details: string[];
}

export function health(status: Status): Health {
  if (!status.ready) {
    return { level: "bad", title: "Not ready", details: [...status.reasons, ...status.degraded] };
  }
  const details = [...status.degraded, ...troubles(status)];
  if (details.length > 0) return { level: "warning", title: "Needs a look", details };
  return { level: "good", title: "Healthy", details: [] };
}

function troubles(status: Status): string[] {
  const found: string[] = [];
  if (!status.capture.complete) found.push("Executions are missing from the journal");
  // Null before it has decided anything.
  if (status.client?.feasible === false && !silent(status.client)) found.push(infeasible(status.client));
  return found;
}

const BINDING: Record<string, string> = {
  arrivals: "too few executions arrive to fill every tick",
  budget: "the delay budget is too small for it",
  estimates: "the costs are not known well enough yet",
  deadlines: "too many executions have reached their maximum delay",
};

function infeasible(client: ClientStatus): string {
  const because = client.binding === null ? "" : `: ${BINDING[client.binding] ?? client.binding}`;
  return `The corridor cannot be reached${because}`;
}

/** It tells each second how it is. */
const SILENT_MS = 5000;

function silent(client: ClientStatus): boolean {
  return client.age_ms > SILENT_MS;
}

/** What the client does, in a few words: what it told long ago, or what the server sees nothing of, is no present. */
export function clientSentence({ client, levelled, mode }: Status): string {
  if (client === null) return "None";
  if (silent(client)) return `silent for ${duration(client.age_ms)}`;
  if (client.role === "standing by" && client.holder !== null) return `standing by for ${client.holder}`;
  const idle = client.role === "levelling" && mode === "enforce" && !levelled;
  const role = idle ? "connected, places no slots" : client.role;
  return client.holder === null ? role : `${role}: ${client.holder}`;
}

/** Who holds the lease, in a few words. */
export function leaseSentence(lease: Lease | null): string {
  if (lease === null) return "Nobody yet";
  const who = `${lease.client}, epoch ${lease.epoch}`;
  return lease.lives ? who : `Nobody since tick ${lease.until_tick}; before that ${who}`;
}
