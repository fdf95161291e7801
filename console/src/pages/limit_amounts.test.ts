import { expect, test } from "vitest";
import { amount, standing } from "./limit_amounts";

const loss = (now: number | null) => ({ kind: "DAILY_LOSS", now });

test("a profit under a limit of losses is not read as a loss", () => {
  expect(standing(loss(1173))).toBe("no loss, P&L +₹1,173");
  expect(standing(loss(-309))).toBe("loss ₹309");
  expect(standing(loss(0))).toBe("no loss, P&L ₹0");
  expect(standing(loss(null))).toBe("—");
});

test("limits in R have the sign of the profit, a drawdown is a share", () => {
  expect(standing({ kind: "DAILY_STOP_R", now: 0.5 })).toBe("+0.50 R");
  expect(standing({ kind: "DAILY_TARGET_R", now: -1 })).toBe("−1.00 R");
  expect(standing({ kind: "DRAWDOWN", now: 0.025 })).toBe("2.5 %");
  expect(amount(loss(-309), 9_691)).toBe("₹9,691");
});
