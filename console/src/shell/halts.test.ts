import { expect, test } from "vitest";
import type { HaltRow } from "../generated/api";
import { haltSentence, haltSummary, haltTexts, refusalText } from "./halts";

const halt = (kind: string, subject: string, level = "halt"): HaltRow => ({
  id: `${kind}|${subject}`, kind, subject, level, account: subject === "all" ? "" : subject, strategy: "", reason: "", by: "", at_ms: null, cure: "resume",
});

test("the head names the scope of a halt, and counts where several hold", () => {
  expect(haltSummary([])).toBe("");
  expect(haltSummary([halt("level", "all")])).toBe("HALTED");
  expect(haltSummary([halt("level", "paper", "reduce")])).toBe("paper REDUCE ONLY");
  expect(haltSummary([halt("strategy", "Condor", "off")])).toBe("Condor OFF");
  expect(haltSummary([halt("level", "paper"), halt("strategy", "Condor", "off")])).toBe("2 HALTS");
  expect(haltSummary([halt("level", "paper"), halt("level", "all")])).toBe("HALTED +1");
  expect(haltSummary([halt("level", "all"), halt("kill", "KILL")])).toBe("KILL +1");
});

test("a phone's head names each halt, those of all accounts first, and counts what is too many for it", () => {
  const [all, paper, condor] = [halt("level", "all"), halt("level", "paper"), halt("strategy", "Condor", "off")];
  expect(haltTexts([paper, condor, all])).toEqual(["all accounts HALTED", "paper HALTED", "Condor OFF"]);
  expect(haltTexts([paper, condor, all, halt("kill", "KILL")])).toEqual(["KILL", "all accounts HALTED", "2 more"]);
  expect(haltTexts([all])).toEqual(["HALTED"]);
  expect(haltTexts([])).toEqual([]);
});

test("a halt reads as a sentence: what is held, by whom, when and why", () => {
  const made = (row: HaltRow, by: string, reason: string): HaltRow => ({ ...row, by, reason });
  expect(haltSentence(made(halt("level", "all"), "console:asha", "lunch"), "11:25")).toBe("Entries halted by asha at 11:25: lunch");
  expect(haltSentence(made(halt("level", "paper", "reduce"), "vera", ""), "11:25")).toBe("Entries in paper limited to reducing by vera at 11:25");
  const off = { ...halt("strategy", "Condor", "off"), account: "", strategy: "Condor" };
  expect(haltSentence(made(off, "console:asha", "expiry"), "09:10")).toBe("Entries of Condor switched off by asha at 09:10: expiry");
  expect(haltSentence(made(halt("level", "all"), "console:asha", "halted by hand"), "11:25")).toBe("Entries halted by asha at 11:25");
  expect(haltSentence(made(halt("kill", "KILL"), "root", "broker"), "")).toBe("The file KILL says halt, written by root: broker");
});

test("a refusal names rule, figures, since when and how often", () => {
  const row = { rule: "positions per symbol 5 of 5", code: "MAX_POSITIONS_PER_SYMBOL", message: "", account: "", instrument: "", since_ms: 1, last_ms: 2, in_a_row: 35, signals: 36 };
  expect(refusalText(row, "09:20", "09:54")).toBe("refused since 09:20: positions per symbol 5 of 5 (35 in a row, of 36 today, the last at 09:54)");
  expect(refusalText({ ...row, account: "second", in_a_row: 1, signals: 4 }, "09:20", "09:20")).toBe("refused in second since 09:20: positions per symbol 5 of 5 (1 of 4 today)");
});
