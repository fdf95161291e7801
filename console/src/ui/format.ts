/** Numbers, times and words as an Indian trader reads them. What is not known is an em dash, never 0 or NaN. */

export const UNKNOWN = "—";

type Maybe = number | null | undefined;

const known = (value: Maybe): value is number => typeof value === "number" && Number.isFinite(value);

const formats = new Map<string, Intl.NumberFormat>();

function grouped(value: number, decimals: number, signed: boolean): string {
  const key = `${decimals}${signed}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat("en-IN", {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
      signDisplay: signed ? "exceptZero" : "negative",
    });
    formats.set(key, format);
  }
  return format.format(value).replace("-", "−");
}

/** A plain number with Indian groups: 12,34,567. */
export const number = (value: Maybe, decimals = 0): string => (known(value) ? grouped(value, decimals, false) : UNKNOWN);

/** Units with their sign, as a position has them: +75, −150. */
export const units = (value: Maybe): string => (known(value) ? grouped(value, 0, true) : UNKNOWN);

/** A price in rupees without the sign of the currency: 24,150.05. */
export const price = (value: Maybe): string => (known(value) ? grouped(value, 2, false) : UNKNOWN);

/** Rupees: ₹1,23,456.00. */
export const rupees = (value: Maybe, decimals = 2): string => {
  if (!known(value)) return UNKNOWN;
  const text = grouped(Math.abs(value), decimals, false);
  return `${value < 0 && /[1-9]/.test(text) ? "−" : ""}₹${text}`;
};

/** Profit or loss in rupees, always with its sign: +₹1,200.00. */
export const profit = (value: Maybe, decimals = 2): string => {
  if (!known(value)) return UNKNOWN;
  const text = grouped(Math.abs(value), decimals, false);
  return /[1-9]/.test(text) ? `${value < 0 ? "−" : "+"}₹${text}` : `₹${text}`;
};

/** A large number in lakh (L) and crore (Cr): 1.25 Cr. */
export const compact = (value: Maybe): string => {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 1e7) return `${grouped(value / 1e7, 2, false)} Cr`;
  if (size >= 1e5) return `${grouped(value / 1e5, 2, false)} L`;
  return grouped(value, 0, false);
};

/** A share as a percentage: 0.125 → 12.5 %. */
export const percent = (share: Maybe, decimals = 1): string =>
  known(share) ? `${grouped(share * 100, decimals, false)} %` : UNKNOWN;

/** A time span in the largest unit that says enough: 850 ms, 12 s, 4 min, 2 h 05 min, 3 d. */
export const span = (seconds: Maybe): string => {
  if (!known(seconds)) return UNKNOWN;
  const size = Math.max(seconds, 0);
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 120) return `${Math.round(size)} s`;
  if (size < 7200) return `${Math.round(size / 60)} min`;
  if (size < 172_800) return `${Math.floor(size / 3600)} h ${String(Math.floor((size % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.round(size / 86_400)} d`;
};

const IST_MS = 19_800_000;
const two = (value: number): string => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Indian time of a moment in milliseconds since 1970: the browser's own zone plays no part. */
export function ist(ms: Maybe): { date: string; day: string; time: string; millis: string } | null {
  if (!known(ms) || ms <= 0) return null;
  const at = new Date(Math.floor(ms) + IST_MS);
  return {
    date: `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`,
    day: DAYS[at.getUTCDay()] ?? "",
    time: `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    millis: String(at.getUTCMilliseconds()).padStart(3, "0"),
  };
}

/** Time of day in India: 09:15:03. */
export const clock = (ms: Maybe): string => ist(ms)?.time ?? UNKNOWN;

let marketDay = "";

/** Tells which day the market has now: times of other days are written with their date. */
export function setMarketTime(ms: Maybe): void {
  marketDay = ist(ms)?.date ?? "";
}

/** Time of day in India, with the date if it is not the market's day: 09:15:03, 26 Nov 09:15:03. */
export const when = (ms: Maybe): string => {
  const at = ist(ms);
  if (!at) return UNKNOWN;
  return at.date === marketDay || !marketDay ? at.time : `${at.date.slice(0, -5)} ${at.time}`;
};

/** Date and time in India: 23 Nov 2026 09:15:03. */
export const moment = (ms: Maybe): string => {
  const at = ist(ms);
  return at ? `${at.date} ${at.time}` : UNKNOWN;
};

/** An expiry or any ISO date as 26 Nov 2026. */
export const day = (iso: string | null | undefined): string => {
  const found = /^(\d{4})-(\d{2})-(\d{2})/.exec(iso ?? "");
  return found ? `${Number(found[3])} ${MONTHS[Number(found[2]) - 1]} ${found[1]}` : iso || UNKNOWN;
};

/** Symbol of an instrument without its exchange: NFO:NIFTY26NOV2624000CE → NIFTY26NOV2624000CE. */
export const symbol = (instrument: string): string => instrument.slice(instrument.indexOf(":") + 1);

/** Symbol in its two parts, what it is of with its expiry and which one: NIFTY25NOV26, 24500CE; one part if it has no strike. */
export function symbolParts(symbol: string): readonly string[] {
  const found = /^(.+\d{2}[A-Z]{3}\d{2})(\d+(?:\.\d+)?(?:CE|PE))$/.exec(symbol);
  return found ? found.slice(1) : [symbol];
}

/** A word of the code for people: no_entries → no entries. */
export const words = (code: string | null | undefined): string => (code ?? "").replaceAll("_", " ").toLowerCase() || UNKNOWN;

/** The sign of a number for colours: "gain", "loss" or nothing. The text has the sign too. */
export const tone = (value: Maybe): "gain" | "loss" | "" => (!known(value) || value === 0 ? "" : value > 0 ? "gain" : "loss");

/** A cell of a CSV file. Text that a spreadsheet would run as a formula gets an apostrophe in front. */
export function csvCell(value: string | number | boolean | null | undefined): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = value ?? "";
  const safe = /^[\s]*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** A text that begins with a capital letter. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The name of a kept version of a file as the moment at which it made way; another text as it is. */
export const version = (name: string): string => {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)-/.exec(name) ?? [];
  const [year = 0, month = 1, date, hours, minutes, seconds] = parts.map(Number);
  return parts.length ? `until ${moment(Date.UTC(year, month - 1, date, hours, minutes, seconds))}` : name;
};

/** How many signals there were, and how many of them a rule refused: 26, 19 refused. */
export const signalCount = (all: Maybe, refused: Maybe): string => `${number(all)}, ${refused === 0 ? "none" : number(refused)} refused`;
