// What node-postgres does, through the front at a port of loopback: pg_through.mjs PORT.

import assert from "node:assert/strict";
import { once } from "node:events";
import pg from "pg";

const address = { host: "127.0.0.1", port: Number(process.argv[2]), user: "postgres", database: "postgres" };

async function connected() {
  const client = new pg.Client(address);
  await client.connect();
  return client;
}

async function prepared(client) {
  for (let number = 0; number < 20; number++) {
    const { rows } = await client.query({ name: "adds", text: "select $1::int + 1 as n", values: [number] });
    assert.deepEqual(rows, [{ n: number + 1 }]);
  }
  const several = await client.query("select 1 as a; select 2 as b");
  assert.deepEqual(
    several.map(({ rows }) => rows[0]),
    [{ a: 1 }, { b: 2 }],
  );
}

async function transaction(client) {
  await client.query("create table through_pg (n int primary key, t text)");
  await client.query("begin");
  await client.query("insert into through_pg values ($1, $2)", [1, "one"]);
  await client.query("savepoint s");
  await assert.rejects(client.query("insert into through_pg values ($1, $2)", [1, "again"]), { code: "23505" });
  await assert.rejects(client.query("select 1"), { code: "25P02" });
  await client.query("rollback to s");
  await client.query("insert into through_pg values ($1, $2)", [3, "three"]);
  await client.query("commit");
  const { rows } = await client.query("select n from through_pg order by n");
  assert.deepEqual(rows, [{ n: 1 }, { n: 3 }]);
}

async function errorThenOn(client) {
  for (const [text, code] of [
    ["selec 1", "42601"],
    ["select 1 / 0", "22012"],
    ["select * from nowhere", "42P01"],
  ]) {
    await assert.rejects(client.query(text), { code });
    await assert.rejects(client.query({ text, values: [], queryMode: "extended" }), { code });
    assert.deepEqual((await client.query("select 7 as n")).rows, [{ n: 7 }]);
  }
}

async function cancel(client) {
  const other = await connected();
  for (let attempt = 0; attempt < 3; attempt++) {
    const sleeps = assert.rejects(client.query("select pg_sleep(30)"), { code: "57014" });
    // The process id is the backend's, and the secret the front's.
    const sleeping = "select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    while ((await other.query(sleeping, [client.processID])).rows.length === 0);
    const canceller = new pg.Connection({});
    canceller.connect(address.port, address.host);
    await once(canceller, "connect");
    // PostgreSQL signals twice, and closes after that: a statement that begins earlier may be hit.
    const closed = once(canceller, "end");
    canceller.cancel(client.processID, client.secretKey);
    await Promise.all([sleeps, closed]);
    assert.deepEqual((await client.query("select $1::int as n", [attempt])).rows, [{ n: attempt }]);
  }
  await other.end();
}

async function notify(client) {
  const listens = await connected();
  await listens.query("listen through_pg");
  const told = once(listens, "notification");
  await client.query("select pg_notify('through_pg', $1)", ["hello"]);
  assert.equal((await told)[0].payload, "hello");
  await listens.end();
}

async function pool() {
  const connections = new pg.Pool({ ...address, max: 4 });
  const asked = Array.from({ length: 40 }, (_, number) =>
    connections.query("select $1::int * 2 as n from pg_sleep(0.01)", [number]),
  );
  const answers = await Promise.all(asked);
  assert.deepEqual(
    answers.map(({ rows }) => rows[0].n),
    Array.from({ length: 40 }, (_, number) => number * 2),
  );
  await connections.end();
}

const client = await connected();
for (const step of [prepared, transaction, errorThenOn, cancel, notify]) await step(client);
await pool();
await client.query("drop table through_pg");
await client.end();
console.log("ok");
