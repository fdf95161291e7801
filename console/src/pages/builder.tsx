/**
 * Builder of option structures over live quotes: templates, legs by strike, delta or premium, payoff and its facts.
 *
 * A drawing board: nothing here places an order. Legs are saved as a strategy without code.
 */
import { useMemo, useState } from "react";
import { useAnswer } from "../api/hooks";
import { Payoff } from "../charts/payoff";
import { type PricedLeg, payoffFacts } from "../charts/payoff_math";
import type { ChainCell, ChainLine, UnderlyingRow } from "../generated/api";
import { useChain } from "../live/hooks";
import { type FileLeg, LegSaving } from "./leg_saving";
import { compact, day, number, percent, price, profit, span, symbol } from "../ui/format";
import { Card, Empty, ErrorNote, Field, Figure, Figures, Page } from "../ui/parts";

type How = "offset" | "delta" | "premium" | "strike";

interface Leg {
  id: number;
  side: 1 | -1;
  kind: "call" | "put";
  lots: number;
  how: How;
  value: number;
}

const HOW: Record<How, string> = { offset: "strikes out of the money", delta: "delta nearest", premium: "premium ₹ nearest", strike: "strike ₹" };
const MOST_LEGS = 20;

let nextId = 1;
const leg = (side: 1 | -1, kind: "call" | "put", value: number): Leg => ({ id: nextId++, side, kind, lots: 1, how: "offset", value });

const TEMPLATES: Record<string, () => Leg[]> = {
  "Short straddle": () => [leg(-1, "call", 0), leg(-1, "put", 0)],
  "Short strangle": () => [leg(-1, "call", 4), leg(-1, "put", 4)],
  "Iron condor": () => [leg(1, "put", 8), leg(1, "call", 8), leg(-1, "put", 4), leg(-1, "call", 4)],
  "Iron butterfly": () => [leg(1, "put", 6), leg(1, "call", 6), leg(-1, "put", 0), leg(-1, "call", 0)],
  "Bull call spread": () => [leg(1, "call", 0), leg(-1, "call", 4)],
  "Bear put spread": () => [leg(1, "put", 0), leg(-1, "put", 4)],
  "Long straddle": () => [leg(1, "call", 0), leg(1, "put", 0)],
};

interface Found {
  line: ChainLine;
  cell: ChainCell;
}

function find(lines: readonly ChainLine[], wish: Leg): Found | null {
  const sided = lines.flatMap((line): Found[] => {
    const cell = wish.kind === "call" ? line.call : line.put;
    return cell ? [{ line, cell }] : [];
  });
  const nearest = (far: (one: Found) => number | null): Found | null => {
    let best: Found | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const one of sided) {
      const distance = far(one);
      if (distance === null || distance > least || (distance === least && (one.cell.ltp ?? 0) >= (best?.cell.ltp ?? 0))) continue;
      [best, least] = [one, distance];
    }
    return best;
  };
  switch (wish.how) {
    case "offset": {
      const money = lines.findIndex((line) => line.at_money);
      const line = lines[money + (wish.kind === "call" ? wish.value : -wish.value)];
      return money < 0 || !line ? null : (sided.find((one) => one.line === line) ?? null);
    }
    case "strike":
      return sided.find((one) => one.line.strike === wish.value) ?? null;
    case "delta":
      return nearest((one) => (one.cell.delta === null ? null : Math.abs(Math.abs(one.cell.delta) - Math.abs(wish.value))));
    case "premium":
      return nearest((one) => (one.cell.ltp === null ? null : Math.abs(one.cell.ltp - wish.value)));
  }
}

export default function Builder() {
  const underlyings = useAnswer<UnderlyingRow[]>("/api/underlyings");
  const [chosen, setChosen] = useState("");
  const [expiry, setExpiry] = useState("");
  const row = underlyings.data?.find((one) => one.underlying === chosen) ?? underlyings.data?.find((one) => one.underlying === "NIFTY") ?? underlyings.data?.[0];
  const of = row?.expiries.includes(expiry) ? expiry : row?.expiries[0];
  return (
    <Page
      title="Strategy builder"
      actions={
        <>
          <select aria-label="Underlying" value={row?.underlying ?? ""} onChange={(event) => setChosen(event.target.value)}>
            {underlyings.data?.map((one) => <option key={one.underlying}>{one.underlying}</option>)}
          </select>
          <select aria-label="Expiry" value={of ?? ""} onChange={(event) => setExpiry(event.target.value)}>
            {row?.expiries.map((one) => <option key={one} value={one}>{day(one)}</option>)}
          </select>
        </>
      }
    >
      <ErrorNote error={underlyings.error} />
      {row && of ? <Board key={row.underlying} underlying={row.underlying} expiry={of} place={row.expiries.indexOf(of)} lot={row.lot} /> : <Card>{underlyings.busy ? "Waiting for data…" : "No instrument with options is known."}</Card>}
    </Page>
  );
}

function Board(props: { underlying: string; expiry: string; place: number; lot: number }) {
  const { lines, head } = useChain(props.underlying, props.expiry);
  const sorted = useMemo(() => [...lines.rows].sort((a, b) => a.strike - b.strike), [lines.rows]);
  const [legs, setLegs] = useState<readonly Leg[]>(() => TEMPLATES["Iron condor"]?.() ?? []);
  const [times, setTimes] = useState(1);
  const [daysOn, setDaysOn] = useState(0);
  const [ivShift, setIvShift] = useState(0);
  const change = (id: number, fields: Partial<Leg>) => setLegs((before) => before.map((one) => (one.id === id ? { ...one, ...fields } : one)));

  const found = legs.map((wish) => ({ wish, at: find(sorted, wish) }));
  const priced = found.flatMap(({ wish, at }): (PricedLeg & { cell: ChainCell })[] =>
    at && at.cell.ltp !== null && at.cell.iv !== null
      ? [{ kind: wish.kind, strike: at.line.strike, quantity: wish.side * wish.lots * times * (at.cell.lot || props.lot), entry: at.cell.ltp, iv: at.cell.iv, cell: at.cell }]
      : [],
  );
  const forward = head?.forward ?? head?.spot ?? null;
  const days = head?.days ?? 0;
  const iv = head?.atm_iv ?? null;
  const whole = priced.length === legs.length && legs.length > 0 && forward !== null && iv !== null;
  const facts = whole ? payoffFacts(priced, forward, iv, days) : null;
  const net = (of: (cell: ChainCell) => number | null): number | null =>
    priced.some((one) => of(one.cell) === null) ? null : priced.reduce((sum, one) => sum + one.quantity * (of(one.cell) ?? 0), 0);
  const premium = priced.reduce((sum, one) => sum - one.quantity * one.entry, 0);
  const bound = (value: number): string => (Number.isFinite(value) ? profit(value, 0) : "unlimited");

  return (
    <>
      <Card title="Legs" plain actions={<TemplateChoice onChoose={(name) => setLegs(TEMPLATES[name]?.() ?? [])} />}>
        <div className="table">
          <table>
            <thead>
              <tr>
                {["Side", "Option", "Lots", "Chosen by", "Value", "Contract"].map((name) => <th key={name} scope="col"><span>{name}</span></th>)}
                {["Last ₹", "IV", "Δ"].map((name) => <th key={name} scope="col" className="num"><span>{name}</span></th>)}
                <th scope="col"><span className="hidden">Remove</span></th>
              </tr>
            </thead>
            <tbody>
              {found.map(({ wish, at }, index) => (
                <tr key={wish.id}>
                  <td>
                    <select aria-label={`Side of leg ${index + 1}`} value={wish.side} onChange={(event) => change(wish.id, { side: event.target.value === "1" ? 1 : -1 })}>
                      <option value={1}>BUY</option>
                      <option value={-1}>SELL</option>
                    </select>
                  </td>
                  <td>
                    <select aria-label={`Option of leg ${index + 1}`} value={wish.kind} onChange={(event) => change(wish.id, { kind: event.target.value as Leg["kind"] })}>
                      <option value="call">call</option>
                      <option value="put">put</option>
                    </select>
                  </td>
                  <td><input className="short" type="number" min={1} max={100} aria-label={`Lots of leg ${index + 1}`} value={wish.lots} onChange={(event) => change(wish.id, { lots: Math.max(1, Math.round(event.target.valueAsNumber) || 1) })} /></td>
                  <td>
                    <select aria-label={`How leg ${index + 1} is chosen`} value={wish.how} onChange={(event) => change(wish.id, startOf(event.target.value as How, at))}>
                      {Object.entries(HOW).map(([how, name]) => <option key={how} value={how}>{name}</option>)}
                    </select>
                  </td>
                  <td>
                    {wish.how === "strike" ? (
                      <select aria-label={`Strike of leg ${index + 1}`} value={wish.value} onChange={(event) => change(wish.id, { value: Number(event.target.value) })}>
                        {sorted.map((line) => <option key={line.strike} value={line.strike}>{number(line.strike)}</option>)}
                      </select>
                    ) : (
                      <input className="short" type="number" step={wish.how === "delta" ? 0.05 : 1} aria-label={`Value of leg ${index + 1}`} value={wish.value} onChange={(event) => change(wish.id, { value: event.target.valueAsNumber || 0 })} />
                    )}
                  </td>
                  <td className="text">{at ? symbol(at.cell.instrument) : <span className="loss">{lines.loaded ? "no such strike in the chain" : "waiting for the chain"}</span>}</td>
                  <td className="num">{price(at?.cell.ltp)}</td>
                  <td className="num">{percent(at?.cell.iv)}</td>
                  <td className="num">{number(at?.cell.delta, 2)}</td>
                  <td><button type="button" className="small" aria-label={`Remove leg ${index + 1}`} onClick={() => setLegs(legs.filter((one) => one.id !== wish.id))}>✕</button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div className="inside row">
          <button type="button" disabled={legs.length >= MOST_LEGS} onClick={() => setLegs([...legs, leg(-1, "call", 2)])}>Add a leg</button>
          <label className="row small">Times <input className="short" type="number" min={1} max={100} value={times} onChange={(event) => setTimes(Math.max(1, Math.round(event.target.valueAsNumber) || 1))} /></label>
          <span className="muted small">1 lot is {number(props.lot)} units. Prices are the last ones, as if entered now, before charges.</span>
        </div>
      </Card>
      <div className="columns">
        <Card title="Payoff, ₹">
          {facts && forward !== null && iv !== null ? (
            <>
              <Payoff legs={priced} spot={forward} sigma={forward * iv * Math.sqrt(days / 365)} days={Math.max(days - daysOn, 0)} ivShift={ivShift} breakevens={facts.breakevens} />
              <div className="form">
                <Field label={`Day: in ${span(daysOn * 86_400)}, ${number(Math.max(days - daysOn, 0), 1)} days before expiry`}>
                  <input type="range" min={0} max={Math.max(days, 0.01)} step={Math.max(days, 0.01) / 100} value={Math.min(daysOn, days)} onChange={(event) => setDaysOn(event.target.valueAsNumber)} />
                </Field>
                <Field label={`Implied volatility ${ivShift >= 0 ? "+" : "−"}${number(Math.abs(ivShift) * 100, 1)} points`}>
                  <input type="range" min={-0.1} max={0.1} step={0.005} value={ivShift} onChange={(event) => setIvShift(event.target.valueAsNumber)} />
                </Field>
              </div>
            </>
          ) : (
            <Empty>{legs.length ? "Waiting for a price of each leg." : "Choose a template or add a leg."}</Empty>
          )}
        </Card>
        <Card title="Facts at expiry">
          <Figures>
            <Figure name={premium >= 0 ? "Premium received" : "Premium paid"}>{profit(premium, 0)}</Figure>
            <Figure name="Most profit">{facts ? bound(facts.maxProfit) : "—"}</Figure>
            <Figure name="Most loss">{facts ? <span className="loss">{bound(facts.maxLoss)}</span> : "—"}</Figure>
            <Figure name="Breakevens">{facts ? facts.breakevens.map((at) => number(at)).join(", ") || "none" : "—"}</Figure>
            <Figure name="Probability of profit" title="With the underlying lognormal around its forward at the volatility of the money">{percent(facts?.probability)}</Figure>
            <Figure name="Profit to loss">{facts && Number.isFinite(facts.maxLoss) && Number.isFinite(facts.maxProfit) ? number(facts.maxProfit / -facts.maxLoss, 2) : "—"}</Figure>
            <Figure name="Net Δ (units)">{number(net((cell) => cell.delta), 1)}</Figure>
            <Figure name="Net Γ">{number(net((cell) => cell.gamma), 3)}</Figure>
            <Figure name="Net Θ (₹ a day)">{compact(net((cell) => cell.theta))}</Figure>
            <Figure name="Net vega (₹ a point)">{compact(net((cell) => cell.vega))}</Figure>
          </Figures>
        </Card>
      </div>
      <LegSaving underlying={props.underlying} expiry={props.place === 0 ? "nearest" : props.place === 1 ? "next" : "monthly"} legs={legs.map((wish) => written(wish, times))} onLoad={(values) => setLegs(read(values) ?? legs)} />
    </>
  );
}

const money = (value: number): string => (value === 0 ? "ATM" : `${value > 0 ? "OTM" : "ITM"} ${Math.abs(value)}`);

/** A leg in the words of a file of legs. */
function written(wish: Leg, times: number): FileLeg {
  const strike = { offset: money(wish.value), delta: `DELTA ${Math.abs(wish.value)}`, premium: `PREMIUM ${wish.value}`, strike: `STRIKE ${wish.value}` }[wish.how];
  return { action: wish.side > 0 ? "BUY" : "SELL", strike, right: wish.kind === "call" ? "CE" : "PE", lots: wish.lots * times };
}

/** The legs of a file, if the builder can show all of them. */
function read(values: Record<string, unknown>): Leg[] | null {
  const found = (Array.isArray(values.legs) ? values.legs : []).map((one: Record<string, unknown>): Leg | null => {
    const [word = "ATM", size = "0"] = String(one.strike ?? "ATM").toUpperCase().split(" ");
    const how = ({ DELTA: "delta", PREMIUM: "premium", STRIKE: "strike" } as Record<string, How>)[word] ?? "offset";
    const right = String(one.right ?? "").toUpperCase();
    if (right !== "CE" && right !== "PE") return null;
    const value = how === "offset" && word === "ITM" ? -Number(size) : Number(size);
    return { ...leg(String(one.action).toUpperCase() === "BUY" ? 1 : -1, right === "CE" ? "call" : "put", value), how, lots: Number(one.lots ?? 1) };
  });
  return found.length && found.every((one) => one !== null) ? (found as Leg[]) : null;
}

/** The value with which another way to choose begins: that of the contract chosen so far. */
function startOf(how: How, at: Found | null): Partial<Leg> {
  const value = { offset: 0, delta: Math.abs(Math.round((at?.cell.delta ?? 0.3) * 100) / 100), premium: Math.round(at?.cell.ltp ?? 50), strike: at?.line.strike ?? 0 }[how];
  return { how, value };
}

function TemplateChoice(props: { onChoose: (name: string) => void }) {
  return (
    <select aria-label="Template" value="" onChange={(event) => props.onChoose(event.target.value)}>
      <option value="">Template…</option>
      {Object.keys(TEMPLATES).map((name) => <option key={name}>{name}</option>)}
    </select>
  );
}
