// One verdict over the whole: what the first tile says.

import type { ClientStatus, Lease, Status } from "../api/types";
import { capitalised, duration } from "./format";

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
  if (status.delay.level === "bad") return { level: "bad", title: "Too late", details };
  if (details.length > 0) return { level: "warning", title: "Needs a look", details };
  return { level: "good", title: "Healthy", details: [] };
}

function troubles({ capture, client, delay }: Status): string[] {
  const found: string[] = [];
  if (!capture.complete) found.push("Executions are missing from the journal");
  if (delay.sentence !== null) found.push(capitalised(delay.sentence));
  // Null before it has decided anything.
  if (client?.reach != null && !silent(client)) found.push(capitalised(client.reach));
  return found;
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
