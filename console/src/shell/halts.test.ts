import { expect, test } from "vitest";
import type { HaltRow } from "../generated/api";
import { haltSummary } from "./halts";

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
