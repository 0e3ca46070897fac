// The record: the outbox, its copy in Redis, who has read how far, and the lines to look for oneself.

import type { Group, Journal, Stream } from "../api/types";
import { bytes, capitalised, DASH, duration, number } from "../logic/format";
import { Copyable } from "../parts/copy";
import { type Column, Table } from "../parts/table";
import { Facts, Tile } from "../parts/tile";
import { Trouble } from "../parts/trouble";
import { usePolled } from "../polled";

/** The columns of a journal that is handed out; of one process alone without those of Redis. */
const STREAMS: (Column<Stream> & { ofRedis?: boolean })[] = [
  { key: "stream", label: "Stream", render: ({ stream, key }) => <code title={key}>{stream}</code> },
  { key: "length", label: "In the outbox", numeric: true, render: ({ length }) => number(length) },
  {
    key: "redis",
    ofRedis: true,
    label: "In Redis",
    numeric: true,
    render: ({ redis_length }) => number(redis_length),
  },
  { key: "first", label: "First seq", numeric: true, render: ({ first_seq }) => number(first_seq) },
  { key: "last", label: "Last seq", numeric: true, render: ({ last_seq }) => number(last_seq) },
  {
    key: "shipped",
    ofRedis: true,
    label: "Shipped to",
    numeric: true,
    render: ({ shipped_seq }) => number(shipped_seq),
  },
  { key: "id", label: "Last id", render: ({ last_id }) => <code>{last_id ?? DASH}</code> },
];

type GroupOfStream = Group & { stream: string };

const GROUPS: Column<GroupOfStream>[] = [
  { key: "stream", label: "Stream", render: ({ stream }) => <code>{stream}</code> },
  { key: "name", label: "Group", render: ({ name }) => name },
  { key: "lag", label: "Lag", numeric: true, hint: "Entries not yet read", render: ({ lag }) => number(lag) },
  {
    key: "pending",
    label: "Pending",
    numeric: true,
    hint: "Entries read and not yet acknowledged",
    render: ({ pending }) => number(pending),
  },
  { key: "consumers", label: "Consumers", numeric: true, render: ({ consumers }) => number(consumers) },
  { key: "id", label: "Last delivered", render: ({ last_delivered_id }) => <code>{last_delivered_id}</code> },
];

function OutboxTile({ outbox }: { outbox: Journal["outbox"] | undefined }) {
  const calm = outbox?.pressure === "none";
  return (
    <Tile
      title="Outbox"
      value={bytes(outbox?.bytes)}
      level={outbox === undefined || calm ? undefined : "warning"}
    >
      <Facts
        facts={[
          ["Pressure", outbox === undefined ? DASH : capitalised(outbox.pressure)],
          ["Unshipped entries", number(outbox?.unshipped)],
          ["Oldest unshipped", duration(outbox?.oldest_unshipped_ms)],
        ]}
      />
    </Tile>
  );
}

function RedisTile({ journal }: { journal: Journal | null }) {
  if (journal === null) return <Tile title="Redis" value={DASH} />;
  const { redis } = journal;
  if (redis === null) {
    return (
      <Tile title="Redis" value="Not used">
        <p class="note">One process: the journal is read from the outbox directly.</p>
      </Tile>
    );
  }
  const troubles = [...(redis.trouble === null ? [] : [redis.trouble]), ...redis.lost, ...redis.warnings];
  const level = !redis.connected || redis.lost.length > 0 ? "bad" : troubles.length > 0 ? "warning" : "good";
  return (
    <Tile title="Redis" value={redis.connected ? "Connected" : "Away"} level={level}>
      {troubles.length > 0 && (
        <ul class={`details ${level}`}>
          {troubles.map((trouble) => (
            <li key={trouble}>{trouble}</li>
          ))}
        </ul>
      )}
      <Facts facts={[["Dead letters", number(redis.dead_letters)]]} />
    </Tile>
  );
}

export function JournalView() {
  const { data, error } = usePolled<Journal>("/api/v1/journal", 2000);
  const groups = (data?.streams ?? []).flatMap(({ stream, groups }) =>
    groups.map((group) => ({ ...group, stream })),
  );
  const alone = data?.redis === null;
  return (
    <>
      <div class="section-head">
        <h1>Journal</h1>
        <p class="note">
          Every query is durable in the outbox before it runs; Redis is the copy that is handed out.
        </p>
      </div>
      <Trouble error={error} />
      <div class="tiles">
        <OutboxTile outbox={data?.outbox} />
        <RedisTile journal={data} />
        <section class="card tile" aria-label="Identity">
          <h2>Identity</h2>
          <Facts
            facts={[
              ["Name", data?.name ?? DASH],
              ["Journal", <code key="journal">{data?.journal ?? DASH}</code>],
              ["Writer epoch", number(data?.writer_epoch)],
              ["Revision", number(data?.revision)],
            ]}
          />
        </section>
      </div>
      <div class="section-head">
        <h2>Streams</h2>
      </div>
      <Table
        label="Streams"
        columns={STREAMS.filter(({ ofRedis }) => !(alone && ofRedis))}
        rows={data?.streams ?? []}
        rowKey={({ key }) => key}
      />
      {!alone && (
        <>
          <div class="section-head">
            <h2>Groups</h2>
          </div>
          <Table
            label="Groups"
            columns={GROUPS}
            rows={groups}
            rowKey={({ stream, name }) => `${stream} ${name}`}
          />
        </>
      )}
      {data !== null && data.commands.length > 0 && (
        <>
          <div class="section-head">
            <h2>See for yourself</h2>
          </div>
          <ul class="commands">
            {data.commands.map((command) => (
              <li key={command}>
                <Copyable text={command} label="the command" />
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
