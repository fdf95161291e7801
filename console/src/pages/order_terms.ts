/** What a change makes of an order's terms, and how a stop protects less by it; the gateway judges the same by itself. */

export interface Terms {
  price: number;
  trigger_price: number;
  quantity: number;
}

interface Guard extends Terms {
  side: string;
  purpose: string;
  order_type: string;
}

const SAME = 1e-6;
const PROTECTS: readonly string[] = ["stop", "target", "exit", "unwind"];

export const protects = (order: { purpose: string }): boolean => PROTECTS.includes(order.purpose);

/** A field's value where it differs from what the order has; 0: it stays. */
export const changed = (value: number, now: number): number => (Math.abs(value - now) < SAME ? 0 : value);

/** The terms after a change in which 0 leaves a term as it is: the limit of a stop moves along with its trigger. */
export function termsAfter(order: Guard, change: Terms): Terms {
  const along = change.trigger_price && !change.price && order.order_type === "SL";
  return {
    price: along ? Math.round((order.price + change.trigger_price - order.trigger_price) * 1e4) / 1e4 : change.price || order.price,
    trigger_price: change.trigger_price || order.trigger_price,
    quantity: change.quantity || order.quantity,
  };
}

/** Why an order protects less with these terms; empty if it does not. */
export function loosens(order: Guard, wanted: Terms): string {
  if (!protects(order)) return "";
  const sign = order.side === "BUY" ? 1 : -1;
  const room = (terms: Terms) => (terms.price - terms.trigger_price) * sign;
  if (wanted.trigger_price && (wanted.trigger_price - order.trigger_price) * sign > SAME) return "its trigger moves away from the price";
  if (wanted.price && room(wanted) < room(order) - SAME) return "its limit leaves less room to fill";
  return wanted.quantity < order.quantity ? "it is for fewer units" : "";
}

/** Rupees that units lose from the last price to a trigger; null without a price. */
export const rupeesAtRisk = (order: { side: string }, terms: Terms, last: number | null): number | null =>
  last === null || !terms.trigger_price ? null : (terms.trigger_price - last) * (order.side === "BUY" ? 1 : -1) * terms.quantity;
