// One verdict over the whole: what the first tile says.

import type { ClientStatus, Lease, Status } from "../api/types";

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
  if (status.refused_arrivals > 0) {
    found.push(`${status.refused_arrivals} arrivals were refused because the outbox was full`);
  }
  if (status.client?.feasible === false) found.push(infeasible(status.client));
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

/** What the client does, in a few words. */
export function clientSentence(client: ClientStatus | null): string {
  if (client === null) return "None";
  if (client.role === "standing by" && client.holder !== null) return `standing by for ${client.holder}`;
  return client.holder === null ? client.role : `${client.role}: ${client.holder}`;
}

/** Who holds the lease, in a few words. */
export function leaseSentence(lease: Lease | null): string {
  if (lease === null) return "Nobody yet";
  const who = `${lease.client}, epoch ${lease.epoch}`;
  return lease.lives ? who : `Nobody since tick ${lease.until_tick}; before that ${who}`;
}
