import { expect, test } from "vitest";
import { black, normal, type PricedLeg, payoffFacts, profitAt } from "./payoff_math";

const leg = (kind: "call" | "put", strike: number, quantity: number, entry: number, iv = 0.15): PricedLeg => ({ kind, strike, quantity, entry, iv });

test("Black's formula agrees with known values and with put-call parity", () => {
  // forward 100, strike 100, 20 % a year, one year: 100 (2 N(0.1) - 1)
  expect(black("call", 100, 100, 0.2, 365)).toBeCloseTo(7.9656, 3);
  expect(black("call", 110, 100, 0.2, 90) - black("put", 110, 100, 0.2, 90)).toBeCloseTo(10, 5);
  expect(black("put", 90, 100, 0.2, 0)).toBe(10);
  expect(normal(1.96)).toBeCloseTo(0.975, 4);
});

test("a short straddle gains between its breakevens and loses without bound above", () => {
  const legs = [leg("call", 24000, -75, 150), leg("put", 24000, -75, 140)];
  const facts = payoffFacts(legs, 24000, 0.15, 7);
  expect(facts.breakevens).toEqual([23710, 24290]);
  expect(facts.maxProfit).toBeCloseTo(75 * 290);
  expect(facts.maxLoss).toBe(Number.NEGATIVE_INFINITY);
  // lognormal: ln(24290/24000) and ln(23710/24000) over 0.15 sqrt(7/365)
  expect(facts.probability).toBeCloseTo(normal(0.5886) - normal(-0.5752), 2);
});

test("an iron condor is bounded on both sides", () => {
  const legs = [leg("put", 23500, 75, 20), leg("put", 23700, -75, 45), leg("call", 24300, -75, 50), leg("call", 24500, 75, 22)];
  const facts = payoffFacts(legs, 24000, 0.15, 7);
  expect(facts.maxProfit).toBeCloseTo(75 * 53);
  expect(facts.maxLoss).toBeCloseTo(-75 * 147);
  expect(facts.breakevens).toEqual([23647, 24353]);
});

test("a future is a straight line, which a bought put bounds below and a sold call above", () => {
  const future: PricedLeg = { kind: "future", strike: 24000, quantity: 75, entry: 24060, iv: 0 };
  expect([23000, 24000, 24500].map((at) => profitAt([future], at, 5, 0.02))).toEqual([-75000, 0, 37500]);
  expect(payoffFacts([future], 24000, 0.15, 7)).toMatchObject({ breakevens: [24000], maxProfit: Number.POSITIVE_INFINITY, maxLoss: -75 * 24000 });
  const guarded = payoffFacts([future, leg("put", 23800, 75, 60)], 24000, 0.15, 7);
  expect(guarded.maxLoss).toBeCloseTo(-75 * 260);
  expect(guarded.breakevens).toEqual([24060]);
  const covered = payoffFacts([future, leg("call", 24200, -75, 80)], 24000, 0.15, 7);
  expect([covered.maxProfit, covered.breakevens[0]]).toEqual([75 * 280, 23920]);
});

test("shares bought at the spot: nothing gained at the forward of now, and rupee for rupee at expiry; a sold call covers them", () => {
  const carry = Math.log(24_100 / 24_000) / 7;
  const shares: PricedLeg = { kind: "share", strike: 24_000, quantity: 75, entry: 24_000, iv: 0, carry };
  expect(profitAt([shares], 24_100, 7, 0)).toBeCloseTo(0, 6);
  expect([23_000, 24_500].map((at) => profitAt([shares], at, 0, 0.02))).toEqual([-75_000, 37_500]);
  const covered = payoffFacts([shares, leg("call", 24_200, -75, 80)], 24_100, 0.15, 7);
  expect([covered.maxProfit, covered.breakevens[0], covered.maxLoss]).toEqual([75 * 280, 23_920, -75 * 23_920]);
});

test("a long call: unlimited profit, loss of its premium; before expiry it is worth more than at it", () => {
  const legs = [leg("call", 24000, 75, 150)];
  const facts = payoffFacts(legs, 24000, 0.15, 7);
  expect([facts.maxProfit, facts.maxLoss]).toEqual([Number.POSITIVE_INFINITY, -11250]);
  expect(facts.breakevens).toEqual([24150]);
  expect(profitAt(legs, 24000, 5, 0)).toBeGreaterThan(profitAt(legs, 24000, 0, 0));
});

test("a calendar spread loses no more than it cost, and gains at the strike where the near leg ends worthless", () => {
  const [near, far] = [7, 14].map((days) => black("call", 26000, 26000, 0.12, days));
  const legs: PricedLeg[] = [
    { kind: "call", strike: 26000, quantity: -75, entry: near ?? 0, iv: 0.12 },
    { kind: "call", strike: 26000, quantity: 75, entry: far ?? 0, iv: 0.12, laterDays: 7 },
  ];
  const cost = 75 * ((far ?? 0) - (near ?? 0));
  const facts = payoffFacts(legs, 26000, 0.12, 7);
  expect(profitAt(legs, 26000, 7, 0)).toBeCloseTo(0, 6);
  expect(facts.maxProfit).toBeCloseTo(75 * (near ?? 0) - cost, 0);
  expect(facts.maxLoss).toBeCloseTo(-cost, 0);
  expect(facts.breakevens).toHaveLength(2);
  for (const at of facts.breakevens) expect(Math.abs(profitAt(legs, at, 0, 0))).toBeLessThan(cost * 0.01);
  expect(facts.probability).toBeGreaterThan(0.4);
  expect(facts.probability).toBeLessThan(0.8);
});
