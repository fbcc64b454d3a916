// Turns numbers and times into short text. What the store does not know is a dash.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A count: 12,345. */
export function count(value) {
  return isNumber(value) ? whole.format(value) : UNKNOWN;
}

/** A number in two or three digits: 0.31, 4.8, 120. */
export function measure(value) {
  if (!isNumber(value)) {
    return UNKNOWN;
  }
  const size = Math.abs(value);
  const format = size >= 100 || value === 0 ? whole : size >= 10 ? tenths : hundredths;
  return format.format(value);
}

/** A rate: below ten with a digit after the point. */
export function rate(value) {
  if (!isNumber(value)) {
    return UNKNOWN;
  }
  return (value > 0 && value < 10 ? tenths : whole).format(value);
}

/** A time in milliseconds, with its unit. */
export function milliseconds(value) {
  if (!isNumber(value)) {
    return UNKNOWN;
  }
  return value >= 1000 ? `${measure(value / 1000)} s` : `${measure(value)} ms`;
}

/** Bytes, in powers of 1,024. */
export function bytes(value) {
  if (!isNumber(value)) {
    return UNKNOWN;
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(size) : measure(size)} ${units[unit]}`;
}

/** A length of time in its two largest units: 3 d 4 h, 12 min 5 s, 8 s. */
export function duration(seconds) {
  if (!isNumber(seconds)) {
    return UNKNOWN;
  }
  const all = Math.max(0, Math.floor(seconds));
  const parts = [[Math.floor(all / 86400), "d"], [Math.floor(all / 3600) % 24, "h"], [Math.floor(all / 60) % 60, "min"],
    [all % 60, "s"]];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) {
    return "0 s";
  }
  return parts.slice(first, first + 2).filter(([value]) => value > 0).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** A time in milliseconds, with the digits below that `Date` leaves out. */
export function moment(at) {
  const [, below = ""] = /\.\d{3}(\d+)/.exec(at) ?? [];
  return Date.parse(at) + (below === "" ? 0 : Number(`0.${below}`));
}

/** The time between two moments, as text. */
export function elapsed(since, now) {
  return since ? duration((Date.parse(now) - Date.parse(since)) / 1000) : UNKNOWN;
}

/** A time of day in the reader's zone. */
export function clock(at) {
  return at ? new Date(at).toLocaleTimeString("en-GB") : UNKNOWN;
}

/** Money, with two digits after the point. */
export function money(value) {
  return isNumber(value) ? hundredths.format(value) : UNKNOWN;
}

/** A number with the noun that fits it. */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
