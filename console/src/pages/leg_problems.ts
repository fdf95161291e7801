/** Mistakes of a draft of legs: of what is typed, and those of a check, kept with their fields until these are changed. */
import type { LegProblem } from "../generated/api";
import { FILE_KEYS, type FileKey, LEG_KEYS } from "../generated/leg_keys";
import { type ReadNumber, readNumber, timeProblem } from "../ui/typed";
import { kindOf, type Leg, strikeProblem } from "./builder_legs";
import { PLACES } from "./leg_sections";

/** What is wrong, by the place on the page. */
export interface Mistakes {
  /** By key of the file. */
  readonly file: Readonly<Record<string, string>>;
  /** By leg, its `id`, and key; under an empty key what is of the whole leg. */
  readonly legs: Readonly<Record<number, Readonly<Record<string, string>>>>;
  /** What has no field on the page. */
  readonly other: readonly string[];
}

export const NO_MISTAKES: Mistakes = { file: {}, legs: {}, other: [] };

/** The mistakes by field; `ids` are the legs in the order in which they were sent. */
export function byField(problems: readonly LegProblem[], ids: readonly number[]): Mistakes {
  const made = { file: {} as Record<string, string>, legs: {} as Record<number, Record<string, string>>, other: [] as string[] };
  const put = (place: Record<string, string>, key: string, text: string): void => {
    place[key] = place[key] ? `${place[key]} · ${text}` : text;
  };
  for (const { field, line, text } of problems) {
    const [, number, word = ""] = /^legs\[(\d+)\](?:\.(\w+))?$/.exec(field) ?? [];
    const id = number === undefined ? undefined : ids[Number(number) - 1];
    const key = field.replace(/^risk\./, "risk_");
    if (id !== undefined) put((made.legs[id] ??= {}), word in LEG_KEYS ? word : "", text.replace(/^legs\[\d+\][.:]? ?/, ""));
    else if (key in PLACES || key === "name") put(made.file, key, text);
    else made.other.push(line ? `line ${line}: ${text}` : text);
  }
  return made;
}

const without = (place: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(place).filter(([key]) => !keys.includes(key)));

/** The mistakes that are left once keys of the file, or of a leg, are others. */
export function afterChange(before: Mistakes, keys: readonly string[], leg?: number): Mistakes {
  if (leg === undefined) return { ...before, file: without(before.file, keys) };
  return { ...before, legs: { ...before.legs, [leg]: without(before.legs[leg] ?? {}, [...keys, ""]) } };
}

/** What is wrong with a text for a key by itself; empty if nothing is. */
function keyProblem(of: FileKey, text: string): string {
  if (of.kind === "time") return timeProblem(text);
  return of.kind === "number" ? readNumber(text, { empty: 0, ...of.rule }).problem : "";
}

const AMOUNT = { whole: true, least: 1 };

/** Lots of a leg, or its shares; null while they are no such number. A profile decides them itself, from one on. */
export function amountOf(leg: Leg): ReadNumber {
  if (kindOf(leg) === "equity") return readNumber(leg.keys.quantity ?? "", AMOUNT);
  return readNumber(leg.keys.lots ?? "", { ...LEG_KEYS.lots.rule, ...(leg.keys.profile ? { empty: 1 } : {}) });
}

/** Numbers and times that are none, as they are typed, before anybody is asked. */
export function typedMistakes(form: Readonly<Record<string, string>>, legs: readonly Leg[]): Mistakes {
  const wrong = (keys: Readonly<Record<string, FileKey>>, texts: Readonly<Record<string, string | undefined>>): Record<string, string> =>
    Object.fromEntries(Object.entries(keys).flatMap(([key, of]) => (keyProblem(of, texts[key] ?? "") ? [[key, keyProblem(of, texts[key] ?? "")]] : [])));
  const ofLeg = (leg: Leg): Record<string, string> => {
    const own = { strike: strikeProblem(leg), [kindOf(leg) === "equity" ? "quantity" : "lots"]: amountOf(leg).problem };
    return { ...wrong(LEG_KEYS, leg.keys), ...Object.fromEntries(Object.entries(own).filter(([, text]) => text)) };
  };
  return { file: wrong(FILE_KEYS, form), legs: Object.fromEntries(legs.map((leg) => [leg.id, ofLeg(leg)])), other: [] };
}

/** Both: of a field that is wrong twice, what is typed there. */
export const together = (typed: Mistakes, found: Mistakes): Mistakes => ({
  file: { ...found.file, ...typed.file },
  legs: Object.fromEntries([...new Set([...Object.keys(found.legs), ...Object.keys(typed.legs)])].map((id) => [id, { ...found.legs[Number(id)], ...typed.legs[Number(id)] }])),
  other: found.other,
});

/** How many fields are wrong, and where, in words; empty if none is. */
export function toldOf(mistakes: Mistakes, ids: readonly number[]): string {
  const legs = ids.flatMap((id, at) => (Object.keys(mistakes.legs[id] ?? {}).length ? [`leg ${at + 1}`] : []));
  const fields = Object.keys(mistakes.file).length + ids.reduce((sum, id) => sum + Object.keys(mistakes.legs[id] ?? {}).length, 0);
  if (!fields) return "";
  const where = [...legs, ...(Object.keys(mistakes.file).length ? ["the strategy"] : [])].join(", ");
  return `${fields === 1 ? "1 field is" : `${fields} fields are`} wrong (${where}): what is expected stands beside ${fields === 1 ? "it" : "each"}.`;
}
