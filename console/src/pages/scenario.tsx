/** Scenario matrix: profit of the whole book, or of one underlying, by spot, volatility and date. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import type { ScenarioTable } from "../generated/api";
import { useTopic } from "../live/hooks";
import { clock, ist, percent, price, profit, symbol, units } from "../ui/format";
import { Card, ErrorNote, Scrolled } from "../ui/parts";
import { isOpen } from "./position_sums";

const AHEAD = [0, 1, 2, 3, 5, 7, 14, 30];
const DAY_MS = 86_400_000;
const SHOWN = 6;

export function Scenario() {
  const [days, setDays] = useState(0);
  const [underlying, setUnderlying] = useState("");
  const held = useTopic("positions").rows.some(isOpen);
  const answer = useAnswer<ScenarioTable>(held ? "/api/scenario" : null, { days, underlying });
  const table = answer.data;
  const names = [...new Set([...(table?.underlyings ?? []), ...(underlying ? [underlying] : [])])];
  const date = (ahead: number): string => (table?.at_ms ? `, ${ist(table.at_ms + ahead * DAY_MS)?.date.slice(0, -5)}` : "");
  return (
    <Card
      title="Scenario of the book, all accounts and strategies"
      actions={
        <>
          <select aria-label="Underlying" value={underlying} onChange={(event) => setUnderlying(event.target.value)}>
            <option value="">Whole book</option>
            {names.map((name) => <option key={name}>{name}</option>)}
          </select>
          <select aria-label="Date" value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {AHEAD.map((one) => (
              <option key={one} value={one}>{one === 0 ? "now" : `in ${one} ${one === 1 ? "day" : "days"}${date(one)}`}</option>
            ))}
          </select>
          <button type="button" className="small" onClick={answer.again} disabled={answer.busy || !held}>{answer.busy ? "Computing…" : "Compute again"}</button>
        </>
      }
    >
      <ErrorNote error={answer.error} />
      {!held && <p className="muted">No open position: nothing to compute.</p>}
      {held && table && <Matrix table={table} />}
    </Card>
  );
}

function Matrix({ table }: { table: ScenarioTable }) {
  const worst = Math.max(...table.profit.flat().map(Math.abs), 1);
  const count = table.positions + table.left_out.length;
  const spots = Object.entries(table.spots);
  const now = spots.slice(0, SHOWN).map(([name, spot]) => `${name} ${price(spot)}`).join(", ");
  const what = table.underlying ? `spot of ${table.underlying}` : "spot of all underlyings by the same share";
  return (
    <>
      <p className="muted small">
        Profit in ₹ against {clock(table.at_ms)} of {table.positions} of {count} {count === 1 ? "contract" : "contracts"}. Across: {what}
        {now && ` (${now}${spots.length > SHOWN ? ` and ${spots.length - SHOWN} more` : ""})`}; down: implied volatility. Shares and futures move as their underlying.
      </p>
      {table.left_out.length > 0 && (
        <div className="note care" role="status">
          {`Not in the figures, ${table.left_out.length} of ${count}: they are no total of the book.`}
          <ul>
            {table.left_out.map((gap) => <li key={gap.instrument}>{`${symbol(gap.instrument)}, ${units(gap.units)} units: ${gap.reason}`}</li>)}
          </ul>
        </div>
      )}
      {table.positions > 0 && (
        <Scrolled label="profit by spot and volatility" className="heat">
          <table>
            <thead>
              <tr>
                <th scope="col"><span>IV \ spot</span></th>
                {table.spot_moves.map((move) => <th key={move} scope="col"><span>{signed(move, 1)}</span></th>)}
              </tr>
            </thead>
            <tbody>
              {table.volatility_moves.map((move, row) => (
                <tr key={move}>
                  <th scope="row"><span>{signed(move, 0)}</span></th>
                  {table.profit[row]?.map((value, column) => (
                    <td key={table.spot_moves[column]} style={{ background: `color-mix(in srgb, var(--${value < 0 ? "loss" : "gain"}) ${Math.round((Math.abs(value) / worst) * 38)}%, transparent)` }}>
                      {profit(value, 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
      {table.last_known.length > 0 && <p className="muted small">{`By their last known price, since no quote came: ${table.last_known.map(symbol).join(", ")}.`}</p>}
    </>
  );
}

const signed = (move: number, decimals: number): string => `${move > 0 ? "+" : ""}${percent(move, decimals)}`;
