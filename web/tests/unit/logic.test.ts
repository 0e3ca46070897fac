import { expect, test } from "@playwright/test";
import type { ClientStatus, Point, Status } from "../../src/api/types";
import { backoffMs } from "../../src/logic/backoff";
import * as format from "../../src/logic/format";
import { clientSentence, health } from "../../src/logic/health";
import { inCorridor, merged, rollingShares, spans, timeline } from "../../src/logic/history";
import { nextOrder, sorted } from "../../src/logic/sort";

const EVEN = { average: 100, min: 90, max: 110 };
const UNEVEN = { average: 100, min: 50, max: 200 };

function point(last_tick: number, inside = true): Point {
  const extent = inside ? EVEN : UNEVEN;
  return {
    first_tick: last_tick - 9,
    last_tick,
    closed_at_ms: 1_000_000 + last_tick * 100,
    windows: 1,
    windows_in_corridor: inside ? 1 : 0,
    in_corridor: inside ? 1 : 0,
    executed: 10,
    measured: { cpu: extent, io: extent, memory: extent },
    predicted: null,
    without: { cpu: UNEVEN, io: UNEVEN, memory: UNEVEN },
    windows_known_without: 1,
    windows_in_corridor_without: 0,
    queued: 3,
    oldest_wait_ticks: null,
    delay_ticks: null,
  };
}

test("what is unknown is a dash in every format, and zero is a zero", () => {
  const formats: ((value: number | null) => string)[] = [
    format.number,
    format.significant,
    format.compact,
    format.share,
    format.bytes,
    format.duration,
    format.ticks,
    format.clock,
    format.dateTime,
    (value) => format.fixed(value, 1),
    (value) => format.wait(value, 100),
    (value) => format.interval(value, 1),
  ];
  for (const as of formats) {
    expect(as(null)).toBe("–");
    expect(as(Number.NaN)).toBe("–");
    expect(as(0)).not.toContain("–");
  }
});

test("only all is 100 % and only nothing is 0 %", () => {
  expect(format.share(1)).toBe("100 %");
  expect(format.share(0.9999)).toBe("99 %");
  expect(format.share(0.9999, 1)).toBe("99.9 %");
  expect(format.share(0.0001)).toBe("< 1 %");
  expect(format.share(0.983)).toBe("98 %");
  expect(format.share(0)).toBe("0 %");
});

test("numbers are rounded to what a person reads", () => {
  expect(format.number(12345.6)).toBe("12,346");
  expect(format.compact(12_345)).toBe("12.3k");
  expect(format.significant(2.34567)).toBe("2.35");
  expect(format.bytes(18_400_000)).toBe("18.4 MB");
  expect(format.duration(2040)).toBe("2 s");
  expect(format.duration(125_000)).toBe("2 min 5 s");
  expect(format.duration(90_000_000)).toBe("1 d 1 h");
  expect(format.ticks(1)).toBe("1 tick");
  expect(format.wait(34, 100)).toBe("3.4 s (34 ticks)");
  expect(format.wait(1, 100)).toBe("0.1 s (1 tick)");
  expect(format.wait(3, 10)).toBe("0.03 s (3 ticks)");
  expect(format.wait(1200, 100)).toBe("2 min (1,200 ticks)");
  expect(format.wait(13.62, 100, 1)).toBe("1.4 s (13.6 ticks)");
  expect(format.interval(48.24, 1.3)).toBe("48.2 ± 2.6");
  expect(format.shortId("0193a5c2-7b1e-7c3d-9e4f-00112233aabb")).toBe("0193a5c2…aabb");
});

test("history keeps the newest, takes the newer word, and never a window twice", () => {
  const history = [10, 20, 30].map((tick) => point(tick));
  expect(merged(history, [point(40)], 3).map((p) => p.last_tick)).toEqual([20, 30, 40]);
  const again = merged(history, [point(20, false), point(40)], 300);
  expect(again.map((p) => p.last_tick)).toEqual([10, 20, 30, 40]);
  expect(again.map((p) => p.windows_in_corridor)).toEqual([1, 0, 1, 1]);
  expect(merged(history, [], 300)).toBe(history);
});

test("spans have as many windows as fit, one at least", () => {
  expect(spans(1000)).toEqual({ minute: 60, recent: 300 });
  expect(spans(7 * 100)).toEqual({ minute: 85, recent: 428 });
  expect(spans(600_000)).toEqual({ minute: 1, recent: 1 });
  expect(spans(10)).toEqual({ minute: 3000, recent: 3000 });
});

test("a line breaks where nothing was measured", () => {
  const { seconds, rows } = timeline([point(10), point(20), point(30), point(400)]);
  expect(rows.map((row) => row?.last_tick ?? null)).toEqual([10, 20, 30, null, 400]);
  expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
});

test("the corridor is ten percent to either side, borders included, and an idle window is out of it", () => {
  expect(inCorridor(EVEN)).toBe(true);
  expect(inCorridor({ ...EVEN, max: 111 })).toBe(false);
  expect(inCorridor({ average: 0, min: 0, max: 0 })).toBe(false);
});

test("shares are over the windows up to each point", () => {
  const shares = rollingShares([point(10, false), point(20), point(30)], 2);
  expect(shares.map(({ measured }) => measured)).toEqual([0, 0.5, 1]);
  expect(shares.map(({ without }) => without)).toEqual([0, 0, 0]);
  const minute = { ...point(600), windows: 60, windows_in_corridor: 45, windows_known_without: 40 };
  const [share] = rollingShares([{ ...minute, windows_in_corridor_without: 10 }], 60);
  expect(share).toEqual({ measured: 0.75, without: 0.25 });
  const unknown = rollingShares([{ ...minute, windows_known_without: 0 }], 60);
  expect(unknown.map(({ without }) => without)).toEqual([null]);
});

test("what is unknown is sorted last, whatever the direction", () => {
  const rows = [{ v: 2 }, { v: null }, { v: 3 }, { v: 1 }];
  expect(sorted(rows, ({ v }) => v, "ascending").map(({ v }) => v)).toEqual([1, 2, 3, null]);
  expect(sorted(rows, ({ v }) => v, "descending").map(({ v }) => v)).toEqual([3, 2, 1, null]);
  const order = { column: "cpu", direction: "descending" } as const;
  expect(nextOrder(order, "cpu", true).direction).toBe("ascending");
  expect(nextOrder(order, "io", true)).toEqual({ column: "io", direction: "descending" });
});

test("attempts come slower and slower, and never slower than 8 s", () => {
  const longest = [0, 1, 2, 3, 4, 5, 50].map((attempt) => backoffMs(attempt, () => 1));
  expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
  expect(backoffMs(4, () => 0)).toBe(4000);
});

const CLIENT: ClientStatus = {
  age_ms: 900,
  role: "levelling",
  holder: null,
  decided_tick: 12,
  feasible: true,
  binding: null,
  cuts_peaks: false,
  reach: null,
  learning_s: null,
  slots: 3,
  residual: 0.1,
};

function healthy(change: Partial<Status> = {}): Status {
  const capture = { executed: 1, journalled: 1, in_outbox: 0, under_way: 0, complete: true };
  const whole = {
    ready: true,
    reasons: [],
    degraded: [],
    mode: "enforce",
    levelled: true,
    capture,
    client: CLIENT,
    delay: { objective_ticks: 100, objective_ms: 10_000, level: "good", sentence: null },
  };
  return { ...whole, ...change } as unknown as Status;
}

test("what the client told long ago, or what does not arrive, is not called levelling", () => {
  expect(clientSentence(healthy())).toBe("levelling");
  expect(clientSentence(healthy({ client: { ...CLIENT, age_ms: 65_000 } }))).toBe("silent for 1 min 5 s");
  expect(clientSentence(healthy({ levelled: false }))).toBe("connected, places no slots");
  expect(clientSentence(healthy({ levelled: false, mode: "shadow" }))).toBe("levelling");
  expect(clientSentence(healthy({ client: { ...CLIENT, role: "standing by", holder: "b" } }))).toBe(
    "standing by for b",
  );
  expect(clientSentence(healthy({ client: null }))).toBe("None");
});

test("every cause is shown once, and nothing is called impossible before anything was decided", () => {
  expect(health(healthy()).level).toBe("good");
  expect(health(healthy({ client: { ...CLIENT, feasible: null } })).level).toBe("good");
  const reach = "the corridor is out of reach with this budget; peaks are cut";
  const infeasible = health(healthy({ client: { ...CLIENT, feasible: false, binding: "budget", reach } }));
  expect(infeasible.details).toEqual(["The corridor is out of reach with this budget; peaks are cut"]);
  const causes = ["no client levels: …", "the log does not get out: …"];
  expect(health(healthy({ levelled: false, degraded: causes })).details).toEqual(causes);
  expect(health(healthy({ ready: false, reasons: ["no tick"], degraded: causes })).details).toEqual([
    "no tick",
    ...causes,
  ]);
});

test("nothing is called healthy while the delay is beyond its objective", () => {
  const delay = { objective_ticks: 20, objective_ms: 2000, sentence: "the oldest execution waits for 2.1 s" };
  const late = health(healthy({ delay: { ...delay, level: "warning" } }));
  expect(late).toEqual({
    level: "warning",
    title: "Needs a look",
    details: ["The oldest execution waits for 2.1 s"],
  });
  expect(health(healthy({ delay: { ...delay, level: "bad" } }))).toMatchObject({
    level: "bad",
    title: "Too late",
  });
});
