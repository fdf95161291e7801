import { expect, test } from "vitest";
import { expiryWord, findFuture, newLeg, pickedLegs, readLegs, sentLeg } from "./builder_legs";

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

test("a future of the file's underlying is a leg like another, by its own expiries", () => {
  const [future] = readLegs({ legs: [{ kind: "future", action: "BUY", lots: 2, expiry: "next", limit: "1%" }] }, "NIFTY");
  if (!future) throw new Error("no leg");
  expect([future.kind, future.kept, sentLeg(future, "nearest")]).toEqual(["future", "", { from: 1 }]);
  expect(sentLeg({ ...future, lots: 3 }, "nearest")).toEqual({ from: 1, lots: 3 });
  expect(sentLeg({ ...newLeg(1, "call", 0), kind: "future" }, "next")).toEqual({ from: null, action: "BUY", kind: "future", expiry: "nearest", lots: 1 });
  const [call] = readLegs({ legs: [{ action: "BUY", strike: "ATM", right: "CE" }] }, "NIFTY");
  if (!call) throw new Error("no leg");
  expect(sentLeg({ ...call, kind: "future" }, "next")).toEqual({ from: 1, kind: "future", strike: null, right: null });
  const listed = ["2026-12-29", "2027-01-26"].map((expiry, at) => ({ instrument: `NFO:F${at}`, expiry, lot: 65, ltp: 26100 + at }));
  expect(findFuture(listed, future, 26000)).toMatchObject({ line: { strike: 26000 }, cell: { instrument: "NFO:F1", ltp: 26101, delta: 1 } });
  expect(findFuture(listed, { ...future, expiry: "" }, 26000)?.cell.instrument).toBe("NFO:F0");
  expect(findFuture([], future, 26000)).toBeNull();
});

test("an expiry has the word by which a file names it, or none", () => {
  expect(EXPIRIES.map((one) => expiryWord(one, EXPIRIES))).toEqual(["nearest", "next", "", "next_monthly", ""]);
  expect(expiryWord("2026-12-29", EXPIRIES.slice(1))).toBe("monthly");
});
