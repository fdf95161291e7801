import { expect, test } from "vitest";
import { knownSum, symbolParts } from "./position_sums";

test("one position without a price does not hide the profit of the others", () => {
  expect(knownSum([120.5, null, -20.5])).toEqual({ sum: 100, unknown: 1 });
  expect(knownSum([120.5, -20.5])).toEqual({ sum: 100, unknown: 0 });
  expect(knownSum([null, null])).toEqual({ sum: null, unknown: 2 });
  expect(knownSum([])).toEqual({ sum: 0, unknown: 0 });
});

test("a symbol of an option may be broken before its strike, and no other one", () => {
  expect(symbolParts("NIFTY25NOV2624500CE")).toEqual(["NIFTY25NOV26", "24500CE"]);
  expect(symbolParts("USDINR25NOV2684.25PE")).toEqual(["USDINR25NOV26", "84.25PE"]);
  expect(symbolParts("NIFTY25NOV26FUT")).toEqual(["NIFTY25NOV26FUT"]);
  expect(symbolParts("SBIN")).toEqual(["SBIN"]);
});
