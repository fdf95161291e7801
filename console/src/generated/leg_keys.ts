// Written by `python -m lab.console_types` from the schema of files of legs. Do not edit.

import type { NumberRule } from "../ui/typed";

/** A key of a file of legs: what it holds, and what counts where it is left out. */
export interface FileKey {
  kind: "text" | "time" | "number" | "yes" | "list" | "choice";
  /** What it is for, with its unit. */
  note: string;
  /** What counts where it is left out; empty for nothing. */
  usual: string;
  choices?: readonly string[];
  /** Of a number. */
  rule?: NumberRule;
}

export const FILE_KEYS = {
  name: { kind: "text", note: "Name of the strategy; default: that of the file.", usual: "" },
  timeframes: { kind: "list", note: "bars for the strategy; the first timeframe drives on_data", usual: "1m" },
  product: { kind: "choice", note: "MIS, NRML or CNC; default: the primary account's", usual: "", choices: ["MIS", "NRML", "CNC"] },
  min_confidence: { kind: "number", note: "lowest confidence of a signal", usual: "0", rule: { least: 0, most: 1 } },
  signal_cooldown: { kind: "number", note: "seconds of market time between signals that enter", usual: "0", rule: { least: 0 } },
  max_position_size: { kind: "number", note: "rupees held and ordered; 0: MAX_POSITION_SIZE alone", usual: "0", rule: { least: 0 } },
  stop: { kind: "choice", note: "holder of the stop: broker, engine (risk) or none", usual: "broker", choices: ["broker", "engine", "none"] },
  stop_loss_pct: { kind: "number", note: "until 0.3 for stop_loss_percent: a fraction (0.02 is 2 %)", usual: "0", rule: { least: 0 } },
  take_profit_pct: { kind: "number", note: "until 0.3 for take_profit_percent: a fraction (0.02 is 2 %)", usual: "0", rule: { least: 0 } },
  accounts: { kind: "list", note: "accounts that trade it, equal lots; empty: primary", usual: "" },
  orphan_legs: { kind: "choice", note: "reaction to a failed leg of several: retry (then unwind), unwind, or report", usual: "unwind", choices: ["retry", "unwind", "report"] },
  orphan_tries: { kind: "number", note: "new orders for such a leg", usual: "2", rule: { whole: true, least: 0, most: 10 } },
  max_daily_loss: { kind: "number", note: "loss of a day in rupees; 0: none", usual: "0", rule: { least: 0 } },
  max_drawdown: { kind: "number", note: "fall of its result from the peak, as a fraction of equity; 0: none", usual: "0", rule: { least: 0, below: 1 } },
  daily_stop_r: { kind: "number", note: "loss of a day in R (what entries risk at their stops); 0: none", usual: "0", rule: { least: 0 } },
  daily_target_r: { kind: "number", note: "gain of a day in R; 0: none", usual: "0", rule: { least: 0 } },
  limit_action: { kind: "choice", note: "reaction to these four limits", usual: "no_entries", choices: ["alert", "no_entries", "close_legs", "flatten", "halt"] },
  enabled: { kind: "yes", note: "false: not run, even if ENABLED_STRATEGIES names it", usual: "yes" },
  options: { kind: "text", note: "options watched around the last close, such as ATM 20 nearest", usual: "" },
  stop_loss_percent: { kind: "number", note: "stop-loss, per cent of the entry price (2 is 2 %); 0: DEFAULT_STOP_LOSS", usual: "0", rule: { least: 0, below: 100 } },
  take_profit_percent: { kind: "number", note: "take-profit, per cent of the entry price (2 is 2 %); 0: none", usual: "0", rule: { least: 0 } },
  intraday: { kind: "yes", note: "true: closed each day; default: true for product MIS", usual: "" },
  sizing: { kind: "text", note: "fixed, risk (risk_per_trade), or a profile or grade of risk.toml", usual: "fixed" },
  risk_per_trade: { kind: "number", note: "rupees that an entry loses at its stop, for sizing = risk", usual: "0", rule: { least: 0 } },
  max_lots: { kind: "number", note: "largest lots of a leg; 0: only the limit of config/risk.toml", usual: "0", rule: { whole: true, least: 0 } },
  confidence_scaling: { kind: "yes", note: "fewer lots for a signal of less confidence", usual: "no" },
  allocation: { kind: "choice", note: "lots over accounts: equal, by free margin (proportional), or by allocation_factors (custom)", usual: "equal", choices: ["equal", "proportional", "custom"] },
  allocation_factors: { kind: "list", note: "factors of a custom allocation: second=0.5", usual: "" },
  roll_days: { kind: "number", note: "trading days before expiry at which futures roll", usual: "0", rule: { whole: true, least: 0, most: 20 } },
  roll_first: { kind: "choice", note: "first traded leg of a roll", usual: "far", choices: ["far", "near"] },
  square_off: { kind: "text", note: "older name of risk_square_off_time", usual: "" },
  risk_max_loss: { kind: "number", note: "loss of one run in rupees", usual: "0", rule: { least: 0 } },
  risk_max_profit: { kind: "number", note: "profit of one run in rupees", usual: "0", rule: { least: 0 } },
  risk_auto_exit: { kind: "yes", note: "false: a breach raises an alert and closes nothing", usual: "yes" },
  risk_auto_exit_on_max_loss: { kind: "yes", note: "likewise for risk_max_loss only", usual: "yes" },
  risk_auto_exit_on_max_profit: { kind: "yes", note: "likewise for risk_max_profit only", usual: "yes" },
  risk_trailing: { kind: "number", note: "trailing distance of the stop on a run's profit", usual: "0", rule: { least: 0 } },
  risk_trailing_type: { kind: "choice", note: "percentage of the peak, points per unit, or amount in rupees", usual: "percentage", choices: ["percentage", "points", "amount"] },
  risk_trailing_activation: { kind: "number", note: "profit in rupees at which trailing begins", usual: "0", rule: { least: 0 } },
  risk_trailing_from_entry: { kind: "yes", note: "true: trailing begins at the entry", usual: "no" },
  risk_leg_stop_loss: { kind: "number", note: "stop-loss of each leg", usual: "0", rule: { least: 0 } },
  risk_leg_stop_loss_type: { kind: "choice", note: "percentage or points from the entry price, or premium (a price)", usual: "percentage", choices: ["percentage", "points", "premium"] },
  risk_leg_take_profit: { kind: "number", note: "take-profit of each leg", usual: "0", rule: { least: 0 } },
  risk_leg_take_profit_type: { kind: "choice", note: "percentage or points from the entry price, or premium (a price)", usual: "percentage", choices: ["percentage", "points", "premium"] },
  risk_leg_trailing_enabled: { kind: "yes", note: "true: stops of legs trail, by risk_leg_trailing or TRAILING_STOP_DISTANCE", usual: "no" },
  risk_leg_trailing: { kind: "number", note: "trailing distance of a leg's stop", usual: "0", rule: { least: 0 } },
  risk_leg_trailing_type: { kind: "choice", note: "percentage of the best price, or points", usual: "percentage", choices: ["percentage", "points"] },
  risk_stop_to_cost: { kind: "yes", note: "true: once a stop closed one leg, the stops of the others move to their entry prices", usual: "no" },
  risk_stop_to_cost_profit: { kind: "number", note: "profit of a run in rupees at which the stops of its legs move to their entry prices", usual: "0", rule: { least: 0 } },
  risk_supertrend: { kind: "choice", note: "turn of the Supertrend that ends a run", usual: "off", choices: ["off", "breakout", "breakdown"] },
  risk_supertrend_period: { kind: "number", note: "bars of its average true range", usual: "7", rule: { whole: true, least: 2, most: 100 } },
  risk_supertrend_multiplier: { kind: "number", note: "width of its bands in average ranges", usual: "3", rule: { most: 20, above: 0 } },
  risk_supertrend_timeframe: { kind: "choice", note: "length of its bars", usual: "5m", choices: ["3m", "5m", "10m", "15m", "30m", "1h"] },
  risk_supertrend_on: { kind: "choice", note: "bars of the Supertrend: the underlying's, or the premium of the held legs", usual: "underlying", choices: ["underlying", "premium"] },
  risk_supertrend_require_cross: { kind: "yes", note: "true: only a turn after the entry ends the run; false: the direction is enough", usual: "yes" },
  risk_entry_time: { kind: "time", note: "no entry before this time of day in India", usual: "" },
  risk_exit_time: { kind: "time", note: "time at which exits begin", usual: "" },
  risk_square_off_time: { kind: "time", note: "time by which every product is flat; empty: MIS only, at the venue's time", usual: "" },
  underlying: { kind: "text", note: "Underlying of the strikes; its bars drive the strategy.", usual: "NIFTY" },
  entry_time: { kind: "time", note: "Time of the daily entry: 09:20.", usual: "" },
  entry_minutes: { kind: "number", note: "Minutes of the entry window from entry_time.", usual: "15", rule: { whole: true, least: 1, most: 375 } },
  exit_time: { kind: "time", note: "Time at which the exit begins.", usual: "" },
  square_off_time: { kind: "time", note: "Time to be flat; the exit begins 3 minutes before.", usual: "" },
  days: { kind: "choice", note: "Days of entry: any, expiry or non_expiry, by the first leg that expires.", usual: "any", choices: ["any", "expiry", "non_expiry"] },
  when: { kind: "text", note: "Condition of the entry: always, or 'close above SMA(20) and RSI(14) below 70'.", usual: "always" },
  range: { kind: "text", note: "Range of the underlying, 09:15-09:45: entered when a bar closes beyond it.", usual: "" },
  breakout: { kind: "choice", note: "The side of the range that enters: above, below or either.", usual: "either", choices: ["above", "below", "either"] },
} as const satisfies Record<string, FileKey>;
export type FileKeyName = keyof typeof FILE_KEYS;

export const LEG_KEYS = {
  kind: { kind: "choice", note: "option, future or equity.", usual: "option", choices: ["option", "future", "equity"] },
  action: { kind: "choice", note: "BUY or SELL.", usual: "", choices: ["BUY", "SELL"] },
  instrument: { kind: "text", note: "NIFTY, NSE:RELIANCE …; default: the file's underlying.", usual: "" },
  expiry: { kind: "choice", note: "nearest, next, monthly or next_monthly.", usual: "nearest", choices: ["nearest", "next", "monthly", "next_monthly"] },
  strike: { kind: "text", note: "ATM, ITM n, OTM n (1 to 20), STRIKE n, PREMIUM n (rupees) or DELTA n (0.3).", usual: "ATM" },
  right: { kind: "choice", note: "CE or PE; only for options.", usual: "", choices: ["CE", "PE"] },
  lots: { kind: "number", note: "Lots; the strategy's sizing may multiply them.", usual: "1", rule: { whole: true, least: 1, most: 100 } },
  profile: { kind: "text", note: "Instead of lots: a profile or grade of config/risk.toml (Balanced, A). The lots of this leg follow from the free margin of each account.", usual: "" },
  quantity: { kind: "number", note: "Number of shares; only for an equity leg.", usual: "0", rule: { whole: true, least: 0 } },
  product: { kind: "choice", note: "MIS, NRML or CNC of this leg; default: the strategy's product.", usual: "", choices: ["MIS", "NRML", "CNC"] },
  order_type: { kind: "choice", note: "MARKET, or LIMIT with the price limit.", usual: "MARKET", choices: ["MARKET", "LIMIT"] },
  limit: { kind: "text", note: "Price of a LIMIT leg: 'price 150', or '5%' or '3 points' better than the market price.", usual: "" },
  stop: { kind: "text", note: "The leg's own stop: '30%', '20 points' or 'price 150'.", usual: "" },
  target: { kind: "text", note: "Take-profit of the leg: '50%', '40 points' or 'price 60'.", usual: "" },
  roll_at: { kind: "text", note: "Of a sold option: 'delta 0.45' or '50 points' (from its strike), at which it is rolled.", usual: "" },
  roll_to: { kind: "text", note: "The strike that takes its place, as for strike; default: the leg's own strike.", usual: "" },
  rolls: { kind: "number", note: "Times a day that the leg is rolled at most.", usual: "1", rule: { whole: true, least: 1, most: 10 } },
  reentries: { kind: "number", note: "Times a day that the leg is entered again after its stop or target.", usual: "0", rule: { whole: true, least: 0, most: 10 } },
} as const satisfies Record<string, FileKey>;
export type LegKeyName = keyof typeof LEG_KEYS;
