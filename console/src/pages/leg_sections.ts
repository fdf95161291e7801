/** Where the keys of a file of legs stand on the builder's page, and their names there. Each key of the schema has a place. */
import type { FileKeyName } from "../generated/leg_keys";

/** Sections of the strategy as a whole; the first is always in view, the last only for a file that has such keys. */
export const SECTIONS = [
  "", "Entry: days, conditions, range", "Exits of the whole", "Stops and targets of legs", "Trailing, profit locked in", "Supertrend",
  "Lots and accounts", "Orders, rolls", "Limits of a day", "Older names",
] as const;
type Section = (typeof SECTIONS)[number];

/** The keys with a field of their own elsewhere on the page. */
export type KeyElsewhere = "name" | "underlying";

/** Section and name of each key, in the order in which they are shown. */
export const PLACES: Record<Exclude<FileKeyName, KeyElsewhere>, readonly [Section, string]> = {
  entry_time: ["", "Entry"],
  exit_time: ["", "Exit"],
  product: ["", "Product"],
  accounts: ["", "Accounts"],

  days: ["Entry: days, conditions, range", "Days"],
  when: ["Entry: days, conditions, range", "Condition"],
  entry_minutes: ["Entry: days, conditions, range", "Entry window, minutes"],
  range: ["Entry: days, conditions, range", "Range breakout"],
  breakout: ["Entry: days, conditions, range", "Side of the range"],
  timeframes: ["Entry: days, conditions, range", "Bars"],
  risk_entry_time: ["Entry: days, conditions, range", "No entry before"],
  min_confidence: ["Entry: days, conditions, range", "Least confidence"],
  signal_cooldown: ["Entry: days, conditions, range", "Pause between entries, s"],
  options: ["Entry: days, conditions, range", "Options watched"],
  enabled: ["Entry: days, conditions, range", "May run"],

  square_off_time: ["Exits of the whole", "Flat by"],
  intraday: ["Exits of the whole", "Closed each day"],
  risk_max_loss: ["Exits of the whole", "Run closes at a loss of ₹"],
  risk_max_profit: ["Exits of the whole", "Run closes at a profit of ₹"],
  risk_auto_exit: ["Exits of the whole", "Reached levels close"],
  risk_auto_exit_on_max_loss: ["Exits of the whole", "That loss closes"],
  risk_auto_exit_on_max_profit: ["Exits of the whole", "That profit closes"],
  risk_exit_time: ["Exits of the whole", "Risk begins exits at"],
  risk_square_off_time: ["Exits of the whole", "Risk is flat by"],

  stop: ["Stops and targets of legs", "Stops held by"],
  stop_loss_percent: ["Stops and targets of legs", "Stop, % of the entry price"],
  take_profit_percent: ["Stops and targets of legs", "Target, % of the entry price"],
  risk_leg_stop_loss: ["Stops and targets of legs", "Stop of each leg"],
  risk_leg_stop_loss_type: ["Stops and targets of legs", "Unit of that stop"],
  risk_leg_take_profit: ["Stops and targets of legs", "Target of each leg"],
  risk_leg_take_profit_type: ["Stops and targets of legs", "Unit of that target"],
  risk_stop_to_cost: ["Stops and targets of legs", "Stops to cost after a stop"],
  risk_stop_to_cost_profit: ["Stops and targets of legs", "Stops to cost at a profit of ₹"],

  risk_trailing: ["Trailing, profit locked in", "Trailing stop of the run"],
  risk_trailing_type: ["Trailing, profit locked in", "Unit of that trail"],
  risk_trailing_activation: ["Trailing, profit locked in", "Trails from a profit of ₹"],
  risk_trailing_from_entry: ["Trailing, profit locked in", "Trails from the entry"],
  risk_leg_trailing_enabled: ["Trailing, profit locked in", "Stops of legs trail"],
  risk_leg_trailing: ["Trailing, profit locked in", "Trail of each leg"],
  risk_leg_trailing_type: ["Trailing, profit locked in", "Unit of a leg's trail"],

  risk_supertrend: ["Supertrend", "Turn that ends the run"],
  risk_supertrend_on: ["Supertrend", "Bars of"],
  risk_supertrend_timeframe: ["Supertrend", "Length of a bar"],
  risk_supertrend_period: ["Supertrend", "Period, bars"],
  risk_supertrend_multiplier: ["Supertrend", "Multiplier"],
  risk_supertrend_require_cross: ["Supertrend", "Only a turn after the entry"],

  sizing: ["Lots and accounts", "Sizing"],
  risk_per_trade: ["Lots and accounts", "Risk of an entry ₹"],
  max_lots: ["Lots and accounts", "Most lots of a leg"],
  confidence_scaling: ["Lots and accounts", "Fewer lots at less confidence"],
  allocation: ["Lots and accounts", "Split over accounts"],
  allocation_factors: ["Lots and accounts", "Factors of a custom split"],
  max_position_size: ["Lots and accounts", "Most held ₹"],

  orphan_legs: ["Orders, rolls", "A leg that fails"],
  orphan_tries: ["Orders, rolls", "Tries for such a leg"],
  roll_days: ["Orders, rolls", "Futures roll, days before expiry"],
  roll_first: ["Orders, rolls", "First leg of that roll"],

  max_daily_loss: ["Limits of a day", "Loss of a day ₹"],
  max_drawdown: ["Limits of a day", "Fall from the peak, share of equity"],
  daily_stop_r: ["Limits of a day", "Loss of a day in R"],
  daily_target_r: ["Limits of a day", "Gain of a day in R"],
  limit_action: ["Limits of a day", "At such a limit"],

  stop_loss_pct: ["Older names", "Stop, share of the entry price"],
  take_profit_pct: ["Older names", "Target, share of the entry price"],
  square_off: ["Older names", "Square-off"],
};

export type PlacedKey = keyof typeof PLACES;
export const PLACED = Object.keys(PLACES) as PlacedKey[];
