/** What a text typed into a field is: a number or a time of day, or why it is none. It is never put right in silence. */

/** What a number may be. */
export interface NumberRule {
  whole?: boolean;
  /** Itself included. */
  least?: number;
  most?: number;
  /** Itself left out. */
  above?: number;
  below?: number;
  /** What an empty field counts as; without it an empty one is wrong. */
  empty?: number;
}

export interface ReadNumber {
  /** Null while it is none. */
  value: number | null;
  /** What is expected, what was found, what to do; empty if nothing is wrong. */
  problem: string;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)$/;
/** With commas between thousands, or lakhs. */
const GROUPED = /^\d{1,3}(,\d{2,3})*,\d{3}(\.\d+)?$/;

/** The number that a text is; null for any other, also for what a script would take for one (0x10, 1e3). */
export const parseNumber = (text: string): number | null => (NUMBER.test(text.trim()) ? Number(text) : null);

function range({ least, most, above, below }: NumberRule): string {
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  const low = least !== undefined ? `of ${least} or more` : above !== undefined ? `above ${above}` : "";
  const high = most !== undefined ? `up to ${most}` : below !== undefined ? `below ${below}` : "";
  return [low, high].filter(Boolean).map((one) => ` ${one}`).join(" and");
}

function cure(text: string, value: number | null, rule: NumberRule): string {
  const { whole, least, most, above, below } = rule;
  if (value === null) {
    return !text ? "type one" : GROUPED.test(text) ? `type ${text.replaceAll(",", "")}` : whole ? "type digits only" : "type digits, with a point before decimals";
  }
  if (least !== undefined && value < least) return `type ${least} or more`;
  if (above !== undefined && value <= above) return `type more than ${above}`;
  if (most !== undefined && value > most) return `type ${most} or less`;
  if (below !== undefined && value >= below) return `type less than ${below}`;
  return whole && !Number.isInteger(value) ? `type ${Math.floor(value)} or ${Math.ceil(value)}` : "";
}

/** A typed text as the number that it has to be. */
export function readNumber(typed: string, rule: NumberRule): ReadNumber {
  const text = typed.trim();
  if (!text && rule.empty !== undefined) return { value: rule.empty, problem: "" };
  const value = parseNumber(text);
  const todo = cure(text, value, rule);
  if (!todo) return { value, problem: "" };
  return { value: null, problem: `expected a ${rule.whole ? "whole " : ""}number${range(rule)}, found ${text || "nothing"}: ${todo}` };
}

const TIME = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/;
const EXAMPLE = "say 09:20 or 15:10";

/** What is wrong with a time of day, of 24 hours whatever the browser's language; empty for none and for an empty text. */
export function timeProblem(typed: string): string {
  const text = typed.trim();
  return !text || TIME.test(text) ? "" : `expected a time of day in India as HH:MM, ${EXAMPLE}, found ${text}: type hours from 00 to 23 and minutes`;
}

/** What is wrong with a window of a day, START-END; empty for none and for an empty text. */
export function windowProblem(typed: string): string {
  const text = typed.trim();
  const [start = "", end = "", ...more] = text.split("-").map((one) => one.trim());
  if (!text || (!more.length && TIME.test(start) && TIME.test(end) && start < end)) return "";
  return `expected two times of day in India as HH:MM-HH:MM, say 09:20-15:00, found ${text}: type the start, a hyphen and a later end`;
}
