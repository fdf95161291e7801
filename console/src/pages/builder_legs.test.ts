import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ChainLine } from "../generated/api";
import { asKind, baseOf, findContract, findFuture, findShares, isIndex, kindOf, type Leg, legsText, type LegTexts, newLeg, otherInstrument, pickedLegs, readLegs, sentLeg, strikeOf, strikeProblem, TEMPLATES, typedStrike } from "./builder_legs";
import { expiryWord } from "./expiries";
import { afterChange, amountOf, byField, NO_MISTAKES, toldOf, together, typedMistakes } from "./leg_problems";
import { PLACED, PLACES, SECTIONS } from "./leg_sections";

const EXPIRIES = ["2026-11-24", "2026-12-01", "2026-12-08", "2026-12-29", "2027-01-26"];
const FILE = {
  underlying: "NIFTY",
  legs: [
    { action: "buy", strike: "otm 5", right: "ce", lots: 2 },
    { action: "SELL", strike: "DELTA 0.3", right: "CE", expiry: "next monthly", profile: "Balanced", stop: "30%", roll_at: "delta 0.45", order_type: "limit", limit: "5%", product: "nrml" },
    { kind: "future", action: "SELL", instrument: "BANKNIFTY" },
    { kind: "equity", action: "BUY", instrument: "NSE:SBIN", quantity: 500 },
  ],
};
const put = (leg: Leg, keys: LegTexts): Leg => ({ ...leg, keys: { ...leg.keys, ...keys } });
const only = (values: Record<string, unknown>): Leg => {
  const [leg] = readLegs({ legs: [values] });
  if (!leg) throw new Error("no leg");
  return leg;
};

test("legs of a file that were not changed send nothing of themselves, whatever their spelling", () => {
  const legs = readLegs(FILE);
  expect(legs.map((leg) => sentLeg(leg, "next"))).toEqual([{ from: 1 }, { from: 2 }, { from: 3 }, { from: 4 }]);
  expect(legs.map(kindOf)).toEqual(["call", "call", "future", "equity"]);
  expect(legs.map((leg) => otherInstrument(leg, "NIFTY"))).toEqual(["", "", "BANKNIFTY", "NSE:SBIN"]);
});

test("a changed leg sends its changes, a new one all of itself", () => {
  const [first, sold, , shares] = readLegs(FILE);
  if (!first || !sold || !shares) throw new Error("no legs");
  expect(sentLeg(put(first, { strike: "OTM 7", lots: "3" }), "nearest")).toEqual({ from: 1, strike: "OTM 7", lots: 3 });
  expect(sentLeg(put(sold, { stop: "", strike: "DELTA 0.25" }), "nearest")).toEqual({ from: 2, strike: "DELTA 0.25", stop: null });
  expect(sentLeg(put(sold, { order_type: "", limit: "", product: "", reentries: "2", roll_to: "OTM 9", rolls: "3" }), "nearest")).toEqual({ from: 2, order_type: null, limit: null, product: null, reentries: 2, roll_to: "OTM 9", rolls: 3 });
  expect(sentLeg(put(sold, { profile: "" }), "nearest")).toEqual({ from: 2, profile: null, lots: 1 });
  expect(sentLeg(put(shares, { quantity: "750", product: "CNC" }), "nearest", 2)).toEqual({ from: 4, quantity: 1500, product: "CNC" });
  expect(sentLeg(newLeg(1, "put", -2), "next", 2)).toEqual({ from: null, action: "BUY", strike: "ITM 2", right: "PE", expiry: "next", lots: 2 });
  expect(sentLeg(put(newLeg(1, "put", 0), { lots: "many", expiry: "monthly" }), "next")).toMatchObject({ lots: "many", expiry: "monthly" });
});

test("a file with lots and a profile loses the lots once the leg is written", () => {
  expect(sentLeg(only({ action: "BUY", right: "CE", lots: 2, profile: "A" }), "nearest")).toEqual({ from: 1, lots: null });
});

test("a leg that becomes another contract loses what only the other has", () => {
  const call = only({ action: "SELL", strike: "ATM", right: "CE", roll_at: "delta 0.4", rolls: 2 });
  const future = put(call, asKind(call, "future"));
  expect(sentLeg(future, "next")).toEqual({ from: 1, kind: "future", strike: null, right: null, roll_at: null, rolls: null });
  const shares = put(future, asKind(future, "equity"));
  expect(sentLeg(shares, "next")).toEqual({ from: 1, kind: "equity", strike: null, right: null, expiry: null, lots: null, quantity: 1, roll_at: null, rolls: null });
  const back = put(shares, asKind(shares, "put"));
  expect(sentLeg(back, "next")).toEqual({ from: 1, right: "PE", expiry: "next", roll_at: null, rolls: null });
});

test("legs picked in a chain are contracts by strike", () => {
  const legs = pickedLegs("BUY 26000 CE,SELL 25950.5 PE,nonsense");
  expect(legs.map((leg) => sentLeg(leg, "next").strike)).toEqual(["STRIKE 26000", "STRIKE 25950.5"]);
  expect(legs.map((leg) => [leg.keys.action, kindOf(leg)])).toEqual([["BUY", "call"], ["SELL", "put"]]);
});

test("the strike of a file is read as a rule; other words are none, choose nothing and stay", () => {
  const rules = ["ATM", "itm 3", "OTM 4", "DELTA 0.3", "premium 120", "STRIKE 26000"].map((strike) => strikeOf(only({ action: "BUY", right: "CE", strike })));
  expect(rules.map((rule) => [rule?.how, rule?.value])).toEqual([["offset", 0], ["offset", -3], ["offset", 4], ["delta", 0.3], ["premium", 120], ["strike", 26000]]);
  expect(["OTM 0", "ITM 0", "OTM 25", "ITM 21"].map((strike) => strikeOf(only({ action: "BUY", right: "CE", strike }))?.value)).toEqual([1, -1, 20, -20]);
  const odd = only({ action: "BUY", right: "CE", strike: "near 3" });
  expect([strikeOf(odd), findContract([], odd), sentLeg(odd, "next")]).toEqual([null, null, { from: 1 }]);
});

test("a future of the file's underlying is a leg like another, by its own expiries", () => {
  const future = only({ kind: "future", action: "BUY", lots: 2, expiry: "next", order_type: "LIMIT", limit: "1%" });
  expect([kindOf(future), sentLeg(future, "nearest")]).toEqual(["future", { from: 1 }]);
  expect(sentLeg(put(future, { lots: "3" }), "nearest")).toEqual({ from: 1, lots: 3 });
  const fresh = newLeg(1, "call", 0);
  expect(sentLeg(put(fresh, asKind(fresh, "future")), "next")).toEqual({ from: null, action: "BUY", kind: "future", expiry: "nearest", lots: 1 });
  const listed = ["2026-12-29", "2027-01-26"].map((expiry, at) => ({ instrument: `NFO:F${at}`, expiry, lot: 65, ltp: 26100 + at }));
  expect(findFuture(listed, future, 26000)).toMatchObject({ line: { strike: 26000 }, cell: { instrument: "NFO:F1", ltp: 26101, delta: 1 } });
  expect(findFuture(listed, put(future, { expiry: "" }), 26000)?.cell.instrument).toBe("NFO:F0");
  expect(findFuture(listed, future, 26000, "2027-01-26")?.line.strike).toBe(26101); // ends at the price of the underlying
  expect(findFuture([], future, 26000)).toBeNull();
});

test("a premium is that of the middle of a plausible bid and ask, of two equally near ones the lower, as the engine chooses", () => {
  const line = (strike: number, ltp: number, bid: number | null = null, ask: number | null = null) => ({ strike, at_money: false, put: null, call: { instrument: `C${strike}`, ltp, bid, ask } }) as unknown as ChainLine;
  const leg = only({ action: "SELL", right: "CE", strike: "PREMIUM 100" });
  const chosen = (...lines: ChainLine[]): string | undefined => findContract(lines, leg)?.cell.instrument;
  expect(chosen(line(1, 100, 118, 122), line(2, 90, 98, 103))).toBe("C2"); // 120 and 100.5, whatever traded last
  expect(chosen(line(1, 100, 20, 200), line(2, 96, 94, 98))).toBe("C1"); // such a spread says nothing
  expect(chosen(line(1, 110), line(2, 90))).toBe("C2");
});

test("shares are those of the leg's underlying at its last price, an index has none", () => {
  const shares = only({ kind: "equity", action: "BUY", instrument: "nse:SBIN", quantity: 10 });
  expect([baseOf(shares, "NIFTY"), baseOf(only({ action: "BUY", right: "CE" }), "NIFTY")]).toEqual(["SBIN", "NIFTY"]);
  expect(findShares({ spot_instrument: "NSE:SBIN", spot: 801.5 })).toMatchObject({ line: { strike: 801.5 }, cell: { instrument: "NSE:SBIN", ltp: 801.5, lot: 1, delta: 1 } });
  expect(findShares({ spot_instrument: "NSE:SBIN", spot: null })?.cell.ltp).toBeNull();
  expect([findShares({ spot_instrument: "", spot: null }), isIndex("NSE_INDEX:NIFTY"), isIndex("NSE:SBIN")]).toEqual([null, true, false]);
});

test("legs are the same text whatever their identity, and another once one of their keys is changed", () => {
  const again = readLegs(FILE);
  expect(legsText(again)).toBe(legsText(readLegs(FILE)));
  expect(legsText(again.map((leg, at) => (at ? leg : put(leg, { stop: "9%" }))))).not.toBe(legsText(again));
  expect(legsText([...again].reverse())).not.toBe(legsText(again));
});

test("an expiry has the word by which a file names it, or none", () => {
  expect(EXPIRIES.map((one) => expiryWord(one, EXPIRIES))).toEqual(["nearest", "next", "", "next_monthly", ""]);
  expect(expiryWord("2026-12-29", EXPIRIES.slice(1))).toBe("monthly");
});

test("templates of two expiries name them, the others follow the chain that is shown", () => {
  expect(TEMPLATES["Calendar spread"]?.().map((leg) => sentLeg(leg, "next").expiry)).toEqual(["next", "nearest"]);
  expect(TEMPLATES["Iron condor"]?.().map((leg) => sentLeg(leg, "next").expiry)).toEqual(["next", "next", "next", "next"]);
});

test("each key of the file's schema has a place on the page, or a reason to have none", () => {
  const schema = JSON.parse(readFileSync(new URL("../../../docs/legs.schema.json", import.meta.url), "utf8")) as { properties: object; $defs: { LegConfig: { properties: object } } };
  const elsewhere = {
    name: "a field of its own", underlying: "chosen at the head of the page", legs: "the table of legs",
    risk: "its keys stand at the top, as risk_…, and are written where the file has them",
  };
  expect([...PLACED, ...Object.keys(elsewhere)].sort()).toEqual(Object.keys(schema.properties).sort());
  expect(new Set(Object.values(PLACES).map(([section]) => section))).toEqual(new Set(SECTIONS));
  expect(Object.keys(only({ action: "BUY" }).keys).sort()).toEqual(Object.keys(schema.$defs.LegConfig.properties).sort());
});

test("a mistake is kept with its field, whatever number its leg has by then, until that is changed", () => {
  const found = byField(
    [
      { field: "legs[2].limit", line: 9, text: "legs[2]: limit: expected 5%" },
      { field: "legs[2]", line: 9, text: "legs[2]: not on NFO" },
      { field: "legs[9].stop", line: 0, text: "legs[9].stop = 1" },
      { field: "risk.max_loss", line: 3, text: "risk.max_loss = -4: expected more" },
      { field: "exit_time", line: 0, text: "exit_time: too early" },
      { field: "exit_time", line: 0, text: "exit_time: odd" },
      { field: "", line: 4, text: "no TOML" },
    ],
    [17, 23],
  );
  expect(found).toEqual({
    legs: { 23: { limit: "limit: expected 5%", "": "not on NFO" } },
    file: { risk_max_loss: "risk.max_loss = -4: expected more", exit_time: "exit_time: too early · exit_time: odd" },
    other: ["legs[9].stop = 1", "line 4: no TOML"],
  });
  expect(toldOf(found, [23])).toBe("4 fields are wrong (leg 1, the strategy): what is expected stands beside each.");
  const left = afterChange(afterChange(found, ["limit"], 23), ["exit_time"]);
  expect([left.legs[23], Object.keys(left.file), toldOf(left, [23])]).toEqual([{}, ["risk_max_loss"], "1 field is wrong (the strategy): what is expected stands beside it."]);
  expect(toldOf(NO_MISTAKES, [1])).toBe("");
});

test("a value of a strike that is none stays as it was typed, chooses nothing and says what is expected", () => {
  const leg = (how: "offset" | "delta" | "premium", text: string): Leg => put(newLeg(-1, "call", 0), { strike: typedStrike(how, text) });
  expect([leg("offset", "3"), leg("offset", "-4"), leg("offset", "0"), leg("delta", ".25")].map((one) => one.keys.strike)).toEqual(["OTM 3", "ITM 4", "ATM", "DELTA 0.25"]);
  for (const one of [leg("offset", "25"), leg("offset", "1.5"), leg("offset", ""), leg("delta", "-0.3"), leg("delta", "3"), leg("premium", "abc")]) {
    expect(strikeOf(one)?.value).toBeNull();
    expect(findContract([], one)).toBeNull();
    expect(strikeProblem(one)).toContain(`found ${strikeOf(one)?.text || "nothing"}`);
  }
  expect(strikeOf(leg("delta", "abc"))).toEqual({ how: "delta", value: null, text: "abc" });
});

test("numbers and times are judged as they are typed, an emptied amount too", () => {
  const legs = readLegs(FILE);
  const [first, sold, , shares] = legs;
  if (!first || !sold || !shares) throw new Error("no legs");
  expect([toldOf(typedMistakes({ entry_time: "09:20", max_lots: "" }, legs), legs.map((leg) => leg.id)), amountOf(first).value, amountOf(sold).value, amountOf(shares).value]).toEqual(["", 2, 1, 500]);
  const bad = [put(first, { lots: "", reentries: "1.5" }), put(sold, { lots: "0" }), put(shares, { quantity: "many" })];
  const found = typedMistakes({ entry_time: "9:20 AM", risk_max_loss: "-4", max_lots: "0x10", exit_time: "15:10" }, bad);
  expect(Object.keys(found.file).sort()).toEqual(["entry_time", "max_lots", "risk_max_loss"]);
  expect(bad.map((leg) => Object.keys(found.legs[leg.id] ?? {}).sort())).toEqual([["lots", "reentries"], ["lots"], ["quantity"]]);
  expect(bad.map((leg) => amountOf(leg).value)).toEqual([null, null, null]);
  const both = together(found, { file: { risk_max_loss: "checked", sizing: "checked" }, legs: { [first.id]: { stop: "checked" } }, other: ["more"] });
  expect([both.file.sizing, both.file.risk_max_loss, both.legs[first.id]?.stop, both.other]).toEqual(["checked", found.file.risk_max_loss, "checked", ["more"]]);
});
