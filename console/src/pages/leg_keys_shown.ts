/** The keys of a file of legs as text to read: a line for each leg, a name and a value for all else. */
import type { RunningLegs } from "../generated/api";
import { words } from "../ui/format";
import { PLACES } from "./leg_sections";

type Values = Readonly<Record<string, unknown>>;

const NAMED: Record<string, readonly [string, string]> = PLACES;
const isTable = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);
const spelt = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(spelt).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "").replace(/^(\d\d:\d\d):00$/, "$1");
};

/** Keys by the names that PLACES has for them: those of a table `risk` begin with it. */
function flat(values: Values): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(values)) {
    if (key === "name" || key === "legs") continue;
    if (!isTable(value)) found.set(key, spelt(value));
    else for (const [part, inner] of Object.entries(value)) found.set(key === "risk" ? `risk_${part}` : `${key} ${part}`, spelt(inner));
  }
  return found;
}

const label = (key: string): string => NAMED[key]?.[1] ?? words(key);

/** Name and value of each key but the legs, in the order of the file. */
export const keyRows = (values: Values): readonly (readonly [string, string])[] => [...flat(values)].map(([key, value]) => [label(key), value] as const);

const USUAL_KEYS = ["action", "kind", "right", "lots", "quantity", "strike", "instrument", "expiry", "stop", "target"];

function legLine(leg: Values): string {
  const of = (key: string): string => spelt(leg[key]);
  const shares = leg.kind === "equity";
  const size = shares ? of("quantity") : leg.profile ? of("profile") : `${of("lots") || "1"} lot${(of("lots") || "1") === "1" ? "" : "s"}`;
  const what = shares || leg.kind === "future" ? [of("instrument"), shares ? "shares" : "future"] : [of("instrument"), of("strike").toUpperCase() || "ATM", of("right").toUpperCase()];
  const more = Object.keys(leg).filter((key) => !USUAL_KEYS.includes(key) && key !== "profile").map((key) => `${words(key)} ${of(key)}`);
  const levels = [of("stop") && `stop ${of("stop")}`, of("target") && `target ${of("target")}`];
  return [[of("action").toUpperCase(), size, ...what.filter(Boolean), shares ? "" : of("expiry")].filter(Boolean).join(" "), ...levels, ...more].filter(Boolean).join(", ");
}

/** A line for each leg: side, size, contract by its rule, stop, target, and what else its table says. */
export const legLines = (values: Values): readonly string[] => (Array.isArray(values.legs) ? values.legs.filter(isTable).map(legLine) : []);

/** What the file says otherwise than what runs, each as "Exit 15:10 → 15:05". */
export function changes(found: RunningLegs): string[] {
  const [before, after] = [flat(found.running), flat(found.values)];
  const keys = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
  const said = keys.map((key) => `${label(key)} ${before.get(key) ?? "—"} → ${after.get(key) ?? "—"}`);
  const [old, now] = [legLines(found.running), legLines(found.values)];
  for (let index = 0; index < Math.max(old.length, now.length); index += 1)
    if (old[index] !== now[index]) said.push(`leg ${index + 1} ${old[index] ?? "—"} → ${now[index] ?? "taken out"}`);
  return said.length ? said : found.changed.map(label);
}
