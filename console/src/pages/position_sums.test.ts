import { expect, test } from "vitest";
import { knownSum } from "./position_sums";

test("one position without a price does not hide the profit of the others", () => {
  expect(knownSum([120.5, null, -20.5])).toEqual({ sum: 100, unknown: 1 });
  expect(knownSum([120.5, -20.5])).toEqual({ sum: 100, unknown: 0 });
  expect(knownSum([null, null])).toEqual({ sum: null, unknown: 2 });
  expect(knownSum([])).toEqual({ sum: 0, unknown: 0 });
});
