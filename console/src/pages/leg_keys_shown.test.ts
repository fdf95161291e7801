import { expect, test } from "vitest";
import { changes, keyRows, legLines } from "./leg_keys_shown";

const RUNNING = {
  name: "Condor", underlying: "NIFTY", entry_time: "09:20", exit_time: "15:10:00", risk: { max_loss: 5000, trailing: 30, trailing_activation: 500 },
  legs: [{ action: "buy", strike: "otm 5", right: "ce", lots: 2 }, { action: "SELL", strike: "DELTA 0.3", right: "CE", stop: "30%", target: "20 points", reentries: 1 }, { kind: "equity", action: "BUY", instrument: "NSE:SBIN", quantity: 500 }],
};

test("legs read as lines, all other keys by the names of the builder", () => {
  expect(legLines(RUNNING)).toEqual(["BUY 2 lots OTM 5 CE", "SELL 1 lot DELTA 0.3 CE, stop 30%, target 20 points, reentries 1", "BUY 500 NSE:SBIN shares"]);
  expect(keyRows(RUNNING)).toEqual([
    ["underlying", "NIFTY"], ["Entry", "09:20"], ["Exit", "15:10"], ["Run closes at a loss of ₹", "5000"], ["Trailing stop of the run", "30"], ["Trails from a profit of ₹", "500"],
  ]);
});

test("what the file says otherwise is named with both values", () => {
  const values = { ...RUNNING, exit_time: "15:05:00", risk: { max_loss: 5000, trailing: 30 }, legs: [RUNNING.legs[0], { ...RUNNING.legs[1], stop: "40%" }] };
  expect(changes({ file: "f", running: RUNNING, values, changed: ["exit_time", "risk", "legs"] })).toEqual([
    "Exit 15:10 → 15:05", "Trails from a profit of ₹ 500 → —",
    "leg 2 SELL 1 lot DELTA 0.3 CE, stop 30%, target 20 points, reentries 1 → SELL 1 lot DELTA 0.3 CE, stop 40%, target 20 points, reentries 1",
    "leg 3 BUY 500 NSE:SBIN shares → taken out",
  ]);
});
