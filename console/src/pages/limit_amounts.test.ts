import { expect, test } from "vitest";
import { amount, scopeOf, standing } from "./limit_amounts";

const loss = (now: number | null) => ({ kind: "DAILY_LOSS", unit: "rupees", now });

test("a profit under a limit of losses is not read as a loss", () => {
  expect(standing(loss(1173))).toBe("no loss, P&L +₹1,173");
  expect(standing(loss(-309))).toBe("loss ₹309");
  expect(standing(loss(0))).toBe("no loss, P&L ₹0");
  expect(standing(loss(null))).toBe("—");
});

test("limits in R have the sign of the profit, a drawdown is a share", () => {
  expect(standing({ kind: "DAILY_STOP_R", unit: "r", now: 0.5 })).toBe("+0.50 R");
  expect(standing({ kind: "DAILY_TARGET_R", unit: "r", now: -1 })).toBe("−1.00 R");
  expect(standing({ kind: "DRAWDOWN", unit: "share", now: 0.025 })).toBe("2.5 %");
  expect(amount(loss(-309), 9_691)).toBe("₹9,691");
});

test("counts are plain numbers, sizes rupees, and both name account and subject", () => {
  const count = { kind: "MAX_POSITIONS_PER_SYMBOL", unit: "count", now: 5 };
  expect([standing(count), amount(count, 5)]).toEqual(["5", "5"]);
  expect(standing({ kind: "MAX_POSITION_SIZE", unit: "rupees", now: 48_750 })).toBe("₹48,750");
  expect(scopeOf({ scope: "underlying", name: "NIFTY", account: "paper" })).toBe("underlying NIFTY in paper");
  expect(scopeOf({ scope: "instrument", name: "NFO:NIFTY25NOV26FUT", account: "paper" })).toBe("instrument NIFTY25NOV26FUT in paper");
  expect(scopeOf({ scope: "account", name: "paper", account: "" })).toBe("account paper");
});
