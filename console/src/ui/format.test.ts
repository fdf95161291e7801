import { expect, test } from "vitest";
import { compact, csvCell, moment, percent, price, profit, rupees, span, symbol, UNKNOWN, symbolParts, version } from "./format";

test.each([
  [profit(-1234567.5), "−₹12,34,567.50"],
  [profit(1200), "+₹1,200.00"],
  [profit(-0.001), "₹0.00"],
  [rupees(100000, 0), "₹1,00,000"],
  [price(24150.05), "24,150.05"],
  [compact(12_500_000), "1.25 Cr"],
  [compact(-250_000), "−2.50 L"],
  [percent(0.125), "12.5 %"],
  [span(0.85), "850 ms"],
  [span(7500), "2 h 05 min"],
  [symbol("NFO:NIFTY26NOV2624000CE"), "NIFTY26NOV2624000CE"],
])("%s", (text, expected) => expect(text).toBe(expected));

test("what is not known is a dash, never 0 or NaN", () => {
  for (const write of [price, profit, rupees, compact, percent, span, moment]) {
    expect([write(null), write(undefined), write(Number.NaN)]).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
  }
});

test("times are India's wherever the browser is", () => {
  expect(moment(Date.UTC(2026, 10, 23, 3, 45, 0))).toBe("23 Nov 2026 09:15:00");
});

test("text that a spreadsheet would run as a formula is quoted, numbers stay numbers", () => {
  expect(csvCell('=HYPERLINK("http://x")')).toBe(`"'=HYPERLINK(""http://x"")"`);
  expect(csvCell(" +1")).toBe(`"' +1"`);
  expect(csvCell(-5)).toBe("-5");
});

test("a version of a file is named by the moment at which it made way, in Indian time", () => {
  expect(version("20261124T130553-a74b6b1fa021b74c")).toBe("until 24 Nov 2026 18:35:53");
  expect(version("by hand")).toBe("by hand");
});

test("a symbol of an option may be broken before its strike, and no other one", () => {
  expect(symbolParts("NIFTY25NOV2624500CE")).toEqual(["NIFTY25NOV26", "24500CE"]);
  expect(symbolParts("USDINR25NOV2684.25PE")).toEqual(["USDINR25NOV26", "84.25PE"]);
  expect(symbolParts("NIFTY25NOV26FUT")).toEqual(["NIFTY25NOV26FUT"]);
  expect(symbolParts("SBIN")).toEqual(["SBIN"]);
});
