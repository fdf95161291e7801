import { expect, test } from "vitest";
import { expiryWord, newLeg, pickedLegs, readLegs, sentLeg } from "./builder_legs";

const EXPIRIES = ["2026-11-24", "2026-12-01", "2026-12-08", "2026-12-29", "2027-01-26"];
const FILE = {
  underlying: "NIFTY",
  legs: [
    { action: "buy", strike: "otm 5", right: "ce", lots: 2 },
    { action: "SELL", strike: "DELTA 0.3", right: "CE", expiry: "next monthly", profile: "Balanced", stop: "30%", roll_at: "delta 0.45" },
    { kind: "future", action: "SELL", instrument: "BANKNIFTY" },
    { action: "BUY", strike: "ATM", right: "PE", instrument: "NSE:SBIN" },
  ],
};

test("legs of a file that were not changed send nothing of themselves, those without a price here are kept", () => {
  const legs = readLegs(FILE, "NIFTY");
  expect(legs.map((leg) => leg.kept !== "")).toEqual([false, false, true, true]);
  expect(legs.map((leg) => sentLeg(leg, "nearest"))).toEqual([{ from: 1 }, { from: 2 }, { from: 3 }, { from: 4 }]);
});

test("a changed leg sends its changes, a new one all of itself", () => {
  const [first, sold] = readLegs(FILE, "NIFTY");
  if (!first || !sold) throw new Error("no legs");
  expect(sentLeg({ ...first, value: 7, lots: 3 }, "nearest")).toEqual({ from: 1, strike: "OTM 7", lots: 3 });
  expect(sentLeg({ ...sold, stop: "", value: 0.25 }, "nearest")).toEqual({ from: 2, strike: "DELTA 0.25", stop: null });
  expect(sentLeg(newLeg(1, "put", -2), "next", 2)).toEqual({ from: null, action: "BUY", strike: "ITM 2", right: "PE", expiry: "next", lots: 2 });
});

test("legs picked in a chain are contracts by strike", () => {
  const legs = pickedLegs("BUY 26000 CE,SELL 25950.5 PE,nonsense");
  expect(legs.map((leg) => sentLeg(leg, "next").strike)).toEqual(["STRIKE 26000", "STRIKE 25950.5"]);
  expect(legs.map((leg) => [leg.side, leg.kind])).toEqual([[1, "call"], [-1, "put"]]);
});

test("an expiry has the word by which a file names it, or none", () => {
  expect(EXPIRIES.map((one) => expiryWord(one, EXPIRIES))).toEqual(["nearest", "next", "", "next_monthly", ""]);
  expect(expiryWord("2026-12-29", EXPIRIES.slice(1))).toBe("monthly");
});
