// Numbers, times and ids as people read them. What is unknown is a dash, never a zero.

export const DASH = "–";

type Maybe = number | null | undefined;

const known = (value: Maybe): value is number => value != null && Number.isFinite(value);

const formats = new Map<string, Intl.NumberFormat>();

function format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.NumberFormat("en-US", options);
  formats.set(key, format);
  return format;
}

/** With thousands separators and at most `digits` decimals. */
export function number(value: Maybe, digits = 0): string {
  return known(value) ? format({ maximumFractionDigits: digits }).format(value) : DASH;
}

/** With exactly `digits` decimals: for columns. */
export function fixed(value: Maybe, digits: number): string {
  if (!known(value)) return DASH;
  return format({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** As many decimals as three significant digits need. */
export function significant(value: Maybe): string {
  if (!known(value)) return DASH;
  if (Math.abs(value) >= 100) return number(value);
  return format({ maximumSignificantDigits: 3 }).format(value);
}

/** 12,345 → 12.3k: for axes. */
export function compact(value: Maybe): string {
  if (!known(value)) return DASH;
  if (Math.abs(value) < 10_000) return number(value, 2);
  return format({ notation: "compact", maximumFractionDigits: 1 }).format(value).toLowerCase();
}

/** A share of 0 to 1 in percent. Only all is 100 %, and only nothing is 0 %. */
export function share(value: Maybe, digits = 0): string {
  if (!known(value)) return DASH;
  const step = 10 ** digits;
  const most = 100 - 1 / step;
  const rounded = Math.round(value * 100 * step) / step;
  if (value < 1 && rounded > most) return `${fixed(most, digits)} %`;
  if (value > 0 && rounded === 0) return `< ${fixed(1 / step, digits)} %`;
  return value === 0 || value === 1 ? `${number(rounded)} %` : `${fixed(rounded, digits)} %`;
}

export function bytes(value: Maybe): string {
  if (!known(value)) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? number(scaled) : significant(scaled)} ${units[unit]}`;
}

export function duration(ms: Maybe): string {
  if (!known(ms)) return DASH;
  if (ms < 1000) return `${number(ms)} ms`;
  if (ms < 60_000) return `${number(ms / 1000, 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return units(minutes, "min", Math.floor((ms % 60_000) / 1000), "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return units(hours, "h", minutes % 60, "min");
  return units(Math.floor(hours / 24), "d", hours % 24, "h");
}

function units(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** "34 ticks"; "1 tick". */
export function ticks(value: Maybe, digits = 0): string {
  if (!known(value)) return DASH;
  const text = number(value, digits);
  return `${text} ${text === "1" ? "tick" : "ticks"}`;
}

/** "3.4 s": so many ticks, as people count time. */
export function time(value: Maybe, tickMs: number): string {
  if (!known(value)) return DASH;
  const seconds = (value * tickMs) / 1000;
  if (seconds >= 60) return duration(value * tickMs);
  // What is shorter than a tick at the default pace is not 0.
  return `${number(seconds, seconds < 0.1 ? 2 : 1)} s`;
}

/** "3.4 s (34 ticks)": a wait, as people count it and as the journal does. */
export function wait(value: Maybe, tickMs: number, digits = 0): string {
  return known(value) ? `${time(value, tickMs)} (${ticks(value, digits)})` : DASH;
}

/** What so many things are called. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** The reader's local time of day, with seconds. */
export function clock(ms: Maybe): string {
  return known(ms) ? CLOCK.format(ms) : DASH;
}

/** The reader's local time of day, without seconds. */
export function shortClock(ms: Maybe): string {
  return known(ms) ? SHORT_CLOCK.format(ms) : DASH;
}

/** The reader's local date and time. */
export function dateTime(ms: Maybe): string {
  return known(ms) ? `${DATE.format(ms)}, ${CLOCK.format(ms)}` : DASH;
}

/** Ids made in the same second begin alike: the end tells them apart. */
export function shortId(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 8)}…${id.slice(-4)}`;
}

/** An estimate with the interval of two standard errors to either side: about 95 %. */
export function interval(cost: Maybe, standardError: Maybe): string {
  if (!known(cost)) return DASH;
  const digits = Math.abs(cost) >= 100 ? 0 : 1;
  return known(standardError)
    ? `${fixed(cost, digits)} ± ${fixed(2 * standardError, digits)}`
    : `${fixed(cost, digits)} ± ${DASH}`;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
