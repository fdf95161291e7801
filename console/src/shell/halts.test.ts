import { expect, test } from "vitest";
import type { HaltRow } from "../generated/api";
import { haltSummary, haltTexts } from "./halts";

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
