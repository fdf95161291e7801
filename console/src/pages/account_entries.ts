/** Accounts as a strategy may name them: those of the stack and of its file, and names that a file has in vain. */
import type { AccountRow, AccountSetup } from "../generated/api";

export interface AccountEntry {
  name: string;
  role: string;
  chosen: boolean;
  /** Role and broker. */
  about: string;
  /** Why it takes no entries now, empty if it does. */
  idle: string;
  unknown: boolean;
}

/** The names in a text, each once. */
export const namesOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

const FIRST: Record<string, number> = { primary: 0, trading: 1 };

/** An entry for each account, and each name that its file has; `kept` are those of the file, which a stack takes up with its next start. */
export function accountEntries(chosen: readonly string[], ofFile: readonly string[], running: readonly AccountRow[], kept: readonly AccountSetup[], loaded: boolean): AccountEntry[] {
  const about = (...words: string[]): string => words.filter(Boolean).join(", ");
  const made = running.map((row): AccountEntry => ({
    name: row.account, role: row.role, chosen: chosen.includes(row.account), about: about(row.role, row.broker), unknown: false,
    idle: row.role === "backup" ? "backup: takes no orders" : row.level && row.level !== "normal" ? row.level.toLowerCase().replaceAll("_", " ") : "",
  }));
  for (const row of kept.filter((one) => !running.some((other) => other.account === one.id))) {
    made.push({ name: row.id, role: row.role, chosen: chosen.includes(row.id), about: about(row.role, row.broker, "from the next start on"), unknown: false, idle: row.role === "backup" ? "backup: takes no orders" : "" });
  }
  made.sort((a, b) => (FIRST[a.role] ?? 2) - (FIRST[b.role] ?? 2) || a.name.localeCompare(b.name));
  const missing = [...new Set([...ofFile, ...chosen])].filter((name) => !made.some((one) => one.name === name));
  return [...made, ...missing.map((name): AccountEntry => ({ name, role: "", chosen: chosen.includes(name), about: "", idle: "", unknown: loaded }))];
}
