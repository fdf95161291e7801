import { expect, test } from "vitest";
import { changed, loosens, rupeesAtRisk, termsAfter } from "./order_terms";

const SELL = { side: "SELL", purpose: "stop", order_type: "SL", price: 88, trigger_price: 90, quantity: 50 };
const BUY = { ...SELL, side: "BUY", price: 192, trigger_price: 190 };
const after = (order: typeof SELL, change: object) => termsAfter(order, { price: 0, trigger_price: 0, quantity: 0, ...change });

test("a limit that is not named moves along with the trigger", () => {
  expect(after(SELL, { trigger_price: 92 })).toEqual({ price: 90, trigger_price: 92, quantity: 50 });
  expect(after(SELL, { trigger_price: 92, price: 88 })).toEqual({ price: 88, trigger_price: 92, quantity: 50 });
  expect([changed(90, 90), changed(91, 90)]).toEqual([0, 91]);
});

test("a stop is looser with its trigger further away, with less room for its limit and with fewer units", () => {
  for (const [order, change, loose] of [
    [SELL, { trigger_price: 89 }, true],
    [SELL, { trigger_price: 92 }, false],
    [SELL, { price: 89 }, true],
    [SELL, { price: 87 }, false],
    [SELL, { trigger_price: 92, price: 91 }, true],
    [SELL, { quantity: 25 }, true],
    [BUY, { trigger_price: 195 }, true],
    [BUY, { trigger_price: 185 }, false],
    [BUY, { price: 191 }, true],
    [{ ...SELL, purpose: "entry" }, { trigger_price: 10 }, false],
  ] as const) expect([order.side, change, Boolean(loosens(order, after(order, change)))]).toEqual([order.side, change, loose]);
});

test("rupees at risk run from the last price to the trigger", () => {
  expect(rupeesAtRisk(SELL, SELL, 100)).toBe(500);
  expect(rupeesAtRisk(BUY, BUY, 180)).toBe(500);
  expect(rupeesAtRisk(SELL, SELL, null)).toBeNull();
});
