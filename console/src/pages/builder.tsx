/**
 * Builder of option structures over live quotes: templates, legs by strike, delta or premium, futures, payoff and its facts.
 *
 * A drawing board: nothing here places an order. Legs are saved as a strategy without code.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import { post } from "../api/client";
import { Payoff } from "../charts/payoff";
import { type PricedLeg, payoffFacts } from "../charts/payoff_math";
import type { ChainCell, ChainHead, LegFile, StructureMargin, UnderlyingRow } from "../generated/api";
import { useChain } from "../live/hooks";
import { takeParameters } from "../shell/parameters";
import { compact, day, number, percent, profit, rupees, span } from "../ui/format";
import { Card, Empty, ErrorNote, Field, Figure, Figures, Page } from "../ui/parts";
import { expiryDates, expiryWord, findContract, findFuture, type Leg, MOST_LEGS, newLeg, pickedLegs, readLegs, TEMPLATES } from "./builder_legs";
import { LegSaving } from "./leg_saving";
import { type ChosenLeg, LegTable } from "./leg_table";
import { useOptionChoice } from "./option_choice";

export default function Builder() {
  const [asked] = useState(takeParameters); // from the chain
  const choice = useOptionChoice(asked.get("underlying") ?? "", asked.get("expiry") ?? "");
  const [legs, setLegs] = useState<readonly Leg[]>(() => {
    const picked = pickedLegs(asked.get("legs") ?? "");
    return picked.length ? picked : (TEMPLATES["Iron condor"]?.() ?? []);
  });
  const [opened, setOpened] = useState<LegFile | null>(null);
  const { row, expiry } = choice;

  function open(file: LegFile): void {
    const underlying = String(file.values.underlying ?? "NIFTY").toUpperCase().replace(/^.*:/, "");
    const read = readLegs(file.values, underlying);
    choice.choose(underlying, read.find((leg) => !leg.kept)?.expiry);
    setLegs(read);
    setOpened(file);
  }

  return (
    <Page title="Strategy builder" actions={choice.fields}>
      <ErrorNote error={choice.error} />
      {row && expiry ? (
        <Board row={row} expiry={expiry} legs={legs} setLegs={setLegs} opened={opened} onOpen={open} />
      ) : (
        <Card>{choice.loaded ? "No instrument with options is known." : "Waiting for data…"}</Card>
      )}
    </Page>
  );
}

interface BoardProps {
  row: UnderlyingRow;
  expiry: string;
  legs: readonly Leg[];
  setLegs: (change: readonly Leg[] | ((before: readonly Leg[]) => readonly Leg[])) => void;
  opened: LegFile | null;
  onOpen: (file: LegFile) => void;
}

function Board(props: BoardProps) {
  const { row, legs, setLegs } = props;
  const { lines, head } = useChain(row.underlying, props.expiry);
  const sorted = useMemo(() => [...lines.rows].sort((a, b) => a.strike - b.strike), [lines.rows]);
  const [times, setTimes] = useState(1);
  const dates = expiryDates(row.expiries);
  const word = expiryWord(props.expiry, row.expiries);

  const chosen = legs.map((leg): ChosenLeg => {
    if (leg.kind === "future" && !leg.kept) {
      const at = findFuture(head?.futures ?? [], leg, head?.forward ?? null);
      return { leg, elsewhere: at || !head ? "" : "no such future is listed", at };
    }
    const date = leg.expiry ? dates[leg.expiry] : props.expiry;
    const elsewhere = date === props.expiry ? "" : date ? `expires ${day(date)}` : `no ${leg.expiry} expiry is listed`;
    return { leg, elsewhere, at: leg.kept || elsewhere ? null : findContract(sorted, leg) };
  });
  const priced = chosen.flatMap(({ leg, at }): (PricedLeg & { cell: ChainCell })[] =>
    at && at.cell.ltp !== null && (at.cell.iv !== null || leg.kind === "future")
      ? [{ kind: leg.kind, strike: at.line.strike, quantity: leg.side * leg.lots * times * (at.cell.lot || row.lot), entry: at.cell.ltp, iv: at.cell.iv ?? 0, cell: at.cell }]
      : [],
  );

  return (
    <>
      <Card title="Legs" plain actions={<TemplateChoice onChoose={(name) => setLegs(TEMPLATES[name]?.() ?? [])} />}>
        <LegTable
          legs={chosen} lines={sorted} loaded={lines.loaded}
          onChange={(id, fields) => setLegs((before) => before.map((one) => (one.id === id ? { ...one, ...fields } : one)))}
          onRemove={(id) => setLegs((before) => before.filter((one) => one.id !== id))}
        />
        <div className="inside row">
          <button type="button" disabled={legs.length >= MOST_LEGS} onClick={() => setLegs([...legs, newLeg(-1, "call", 2)])}>Add a leg</button>
          <label className="row small">Times <input className="short" type="number" min={1} max={100} value={times} onChange={(event) => setTimes(Math.max(1, Math.round(event.target.valueAsNumber) || 1))} /></label>
          <span className="muted small">1 lot is {number(row.lot)} units. Prices are the last ones, as if entered now, before charges.</span>
        </div>
      </Card>
      <Structure legs={legs} priced={priced} head={head} />
      <LegSaving
        key={props.opened?.digest} underlying={row.underlying} legs={legs} expiry={word} times={times} opened={props.opened} onOpen={props.onOpen}
        problem={!legs.length ? "no leg" : !word && legs.some((leg) => !leg.kept && !leg.expiry && leg.kind !== "future") ? `a file names expiries as nearest, next, monthly or next monthly: ${day(props.expiry)} is none of them` : ""}
      />
    </>
  );
}

/** Payoff and facts of the legs, if all of them have a price here. */
function Structure({ legs, priced, head }: { legs: readonly Leg[]; priced: readonly (PricedLeg & { cell: ChainCell })[]; head: ChainHead | null }) {
  const [daysOn, setDaysOn] = useState(0);
  const [ivShift, setIvShift] = useState(0);
  const forward = head?.forward ?? head?.spot ?? null;
  const days = head?.days ?? 0;
  const iv = head?.atm_iv ?? null;
  const whole = priced.length === legs.length && legs.length > 0 && forward !== null && iv !== null;
  const facts = whole ? payoffFacts(priced, forward, iv, days) : null;
  const net = (of: (cell: ChainCell) => number | null): number | null =>
    !whole || priced.some((one) => of(one.cell) === null) ? null : priced.reduce((sum, one) => sum + one.quantity * (of(one.cell) ?? 0), 0);
  const premium = whole ? priced.reduce((sum, one) => sum - (one.kind === "future" ? 0 : one.quantity * one.entry), 0) : null;
  const margin = useMargin(whole ? priced : [], head?.spot ?? forward ?? 0);
  const bound = (value: number): string => (Number.isFinite(value) ? profit(value, 0) : "unlimited");
  return (
    <div className="columns">
      <Card title="Payoff, ₹">
        {facts && forward !== null && iv !== null ? (
          <>
            <Payoff legs={priced} spot={forward} sigma={forward * iv * Math.sqrt(days / 365)} days={Math.max(days - daysOn, 0)} ivShift={ivShift} breakevens={facts.breakevens} />
            <div className="form">
              <Field label={`Day: ${daysOn ? `in ${span(daysOn * 86_400)}` : "now"}, ${number(Math.max(days - daysOn, 0), 1)} days before expiry`}>
                <input type="range" min={0} max={Math.max(days, 0.01)} step={Math.max(days, 0.01) / 100} value={Math.min(daysOn, days)} onChange={(event) => setDaysOn(event.target.valueAsNumber)} />
              </Field>
              <Field label={`Implied volatility ${ivShift >= 0 ? "+" : "−"}${number(Math.abs(ivShift) * 100, 1)} points`}>
                <input type="range" min={-0.1} max={0.1} step={0.005} value={ivShift} onChange={(event) => setIvShift(event.target.valueAsNumber)} />
              </Field>
            </div>
          </>
        ) : (
          <Empty>{legs.some((leg) => leg.kept) ? "Not drawn: a leg of the file has no price on this page." : legs.length ? "Waiting for a price of each leg." : "Choose a template or add a leg."}</Empty>
        )}
      </Card>
      <Card title="Facts at expiry">
        <Figures>
          <Figure name={(premium ?? 0) >= 0 ? "Premium received" : "Premium paid"}>{profit(premium, 0)}</Figure>
          <Figure name="Most profit">{facts ? bound(facts.maxProfit) : "—"}</Figure>
          <Figure name="Most loss">{facts ? <span className="loss">{bound(facts.maxLoss)}</span> : "—"}</Figure>
          <Figure name="Breakevens">{facts ? facts.breakevens.map((at) => number(at)).join(", ") || "none" : "—"}</Figure>
          <Figure name="Probability of profit" title="With the underlying lognormal around its forward at the volatility of the money">{percent(facts?.probability)}</Figure>
          <Figure name="Profit to loss">{facts && Number.isFinite(facts.maxLoss) && Number.isFinite(facts.maxProfit) ? number(facts.maxProfit / -facts.maxLoss, 2) : "—"}</Figure>
          <Figure name="Margin together" title="By the tables of config/risk.toml; the broker's own figure may differ">{rupees(margin?.margin, 0)}</Figure>
          <Figure name="Saved by hedges">{margin ? rupees(margin.separate - margin.margin, 0) : "—"}</Figure>
          <Figure name="Margin leg by leg" title="What the first leg needs, the first two, and so on: the order in which legs are bought and sold counts">
            {margin && margin.after.length > 1 ? margin.after.map((one) => rupees(one, 0)).join(" → ") : "—"}
          </Figure>
          <Figure name="Net Δ (units)">{number(net((cell) => cell.delta), 1)}</Figure>
          <Figure name="Net Γ">{number(net((cell) => cell.gamma), 3)}</Figure>
          <Figure name="Net Θ (₹ a day)">{compact(net((cell) => cell.theta))}</Figure>
          <Figure name="Net vega (₹ a point)">{compact(net((cell) => cell.vega))}</Figure>
        </Figures>
      </Card>
    </div>
  );
}

/** What the legs need, asked again when they are others, not with each price. */
function useMargin(priced: readonly (PricedLeg & { cell: ChainCell })[], spot: number): StructureMargin | null {
  const [found, setFound] = useState<StructureMargin | null>(null);
  const legs = priced.map((one) => ({ instrument: one.cell.instrument, units: one.quantity, price: one.entry }));
  const latest = useRef({ legs, spot });
  latest.current = { legs, spot };
  const held = legs.map((one) => `${one.units} ${one.instrument}`).join("\n");
  useEffect(() => {
    setFound(null);
    if (!held) return;
    let dropped = false;
    const later = setTimeout(() => post<StructureMargin>("/api/structure/margin", { ...latest.current }).then((made) => dropped || setFound(made), () => {}), 400);
    return () => {
      dropped = true;
      clearTimeout(later);
    };
  }, [held]);
  return found;
}

function TemplateChoice(props: { onChoose: (name: string) => void }) {
  return (
    <select aria-label="Template" value="" onChange={(event) => props.onChoose(event.target.value)}>
      <option value="">Template…</option>
      {Object.keys(TEMPLATES).map((name) => <option key={name}>{name}</option>)}
    </select>
  );
}
