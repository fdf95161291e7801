/**
 * Builder of option structures over live quotes: templates, legs by strike, delta or premium, futures, payoff and its facts.
 *
 * A drawing board: nothing here places an order. Legs are saved as a strategy without code.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import { get, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import { Payoff } from "../charts/payoff";
import { payoffFacts, payoffReach, type PricedLeg, profitAt } from "../charts/payoff_math";
import type { ChainCell, LegFile, LegFileRow, StructureMargin, UnderlyingRow } from "../generated/api";
import { type Chain, useChains } from "../live/hooks";
import { type Leaving, useLeaving } from "../shell/leaving";
import { takeParameters } from "../shell/parameters";
import { compact, day, number, percent, profit, rupees, span } from "../ui/format";
import { Card, Empty, ErrorNote, Field, Figure, Figures, Page } from "../ui/parts";
import { findContract, findFuture, kindOf, type Leg, legsText, type LegTexts, newLeg, otherInstrument, pickedLegs, readLegs, sideOf, TEMPLATES, underlyingOf } from "./builder_legs";
import { expiryDates, expiryName, expiryWord, MOST_LEGS } from "./expiries";
import { afterChange, NO_MISTAKES } from "./leg_problems";
import { LegSaving, type OpenedFile } from "./leg_saving";
import { type ChosenLeg, LegTable } from "./leg_table";
import { useOptionChoice } from "./option_choice";

export default function Builder() {
  const [asked] = useState(takeParameters); // from the chain, or from a strategy
  const choice = useOptionChoice(asked.get("underlying") ?? "", asked.get("expiry") ?? "");
  const [legs, setLegs] = useState<readonly Leg[]>(() => {
    const picked = pickedLegs(asked.get("legs") ?? "");
    return picked.length ? picked : (TEMPLATES["Iron condor"]?.() ?? []);
  });
  const [opened, setOpened] = useState<OpenedFile | null>(null);
  const [begun, setBegun] = useState(() => legsText(legs)); // what edits count from
  const [unsaved, setUnsaved] = useState(false);
  const leaving = useLeaving(unsaved);
  const mayAct = useRole("trader");
  const latest = useRef(opened);
  latest.current = opened;
  const [error, setError] = useState<unknown>(null);
  // without a list of contracts a file can be changed all the same
  const row = choice.row ?? (choice.loaded || choice.error ? { underlying: opened ? underlyingOf(opened) : "NIFTY", expiries: [], lot: 0 } : null);

  function open(file: LegFile, asTemplate = false): void {
    const read = readLegs(file.values);
    choice.choose(underlyingOf(file), read.find((leg) => kindOf(leg) === "call" || kindOf(leg) === "put")?.keys.expiry);
    setLegs(read);
    setBegun(legsText(read));
    setOpened((before) => ({ ...file, asTemplate, turn: (before?.turn ?? 0) + 1 }));
  }

  const named = asked.get("file");
  useEffect(() => {
    if (named && mayAct) get<LegFile>(`/api/legs/${encodeURIComponent(named)}`).then((file) => open(file), setError);
  }, [named]);

  function begin(template: readonly Leg[]): void {
    setLegs(template);
    if (!latest.current) setBegun(legsText(template)); // in a file they are a change
  }

  return (
    <Page title="Strategy builder" actions={choice.fields}>
      <ErrorNote error={choice.error ?? error} />
      {named && !mayAct && <p className="note">{named} is not opened: files of legs take the role trader.</p>}
      {row ? <Board row={row} expiry={choice.expiry} legs={legs} setLegs={setLegs} opened={opened} onOpen={open} begun={begun} onBegin={begin} leaving={leaving} onUnsaved={setUnsaved} /> : <Card>Waiting for data…</Card>}
    </Page>
  );
}

interface BoardProps {
  row: UnderlyingRow;
  expiry: string;
  legs: readonly Leg[];
  setLegs: (change: readonly Leg[] | ((before: readonly Leg[]) => readonly Leg[])) => void;
  opened: OpenedFile | null;
  onOpen: (file: LegFile, asTemplate?: boolean) => void;
  begun: string;
  onBegin: (template: readonly Leg[]) => void;
  leaving: Leaving;
  onUnsaved: (unsaved: boolean) => void;
}

/** What is known of a leg with a price: for the payoff, and the cell of the chain. */
type LegAtPrice = PricedLeg & { cell: ChainCell };

function Board(props: BoardProps) {
  const { row, legs, setLegs, opened } = props;
  const mayAct = useRole("trader");
  const files = useAnswer<LegFileRow[]>(mayAct ? "/api/legs" : null);
  const [error, setError] = useState<unknown>(null);
  const [times, setTimes] = useState(1);
  const [wrong, setWrong] = useState(NO_MISTAKES);
  useEffect(() => {
    setTimes(1); // the lots of the file are as they stand there
    setWrong(NO_MISTAKES);
  }, [opened]);
  const dates = expiryDates(row.expiries);
  const word = props.expiry ? expiryWord(props.expiry, row.expiries) : "nearest";
  const dateOf = (leg: Leg): string | undefined => (leg.keys.expiry ? dates[leg.keys.expiry] : props.expiry || undefined);
  const ofChain = (leg: Leg): boolean => otherInstrument(leg, row.underlying) === "" && (kindOf(leg) === "call" || kindOf(leg) === "put");
  const asked = legs.flatMap((leg) => (ofChain(leg) ? dateOf(leg) ?? [] : []));
  const first = [...asked].sort()[0] ?? props.expiry;
  const chains = useChains(row.underlying, [props.expiry, ...asked]);
  const sorted = useMemo(() => new Map([...chains].map(([expiry, { lines }]) => [expiry, [...lines.rows].sort((a, b) => a.strike - b.strike)])), [chains]);
  const head = chains.get(first)?.head ?? null;

  const chosen = legs.map((leg): ChosenLeg => {
    const none = { leg, at: null, lines: [], loaded: true };
    const other = otherInstrument(leg, row.underlying);
    if (kindOf(leg) === "equity") return { ...none, elsewhere: `shares${other && ` of ${other}`}: not priced on this page` };
    if (other) return { ...none, elsewhere: `of ${other}: not priced on this page` };
    const date = dateOf(leg);
    if (kindOf(leg) === "future") {
      const at = findFuture(head?.futures ?? [], leg, head?.forward ?? null);
      return { ...none, elsewhere: at || !head ? "" : "no such future is listed", at, loaded: head !== null };
    }
    const chain = chains.get(date ?? "");
    const lines = sorted.get(date ?? "") ?? [];
    return { leg, lines, loaded: chain?.lines.loaded ?? false, elsewhere: date ? "" : `no ${expiryName(leg.keys.expiry || "nearest")} expiry is listed`, at: findContract(lines, leg) };
  });
  const priced = chosen.flatMap(({ leg, at }): LegAtPrice[] => {
    const kind = kindOf(leg);
    if (!at || at.cell.ltp === null || kind === "equity" || (at.cell.iv === null && kind !== "future")) return [];
    const own = kind === "future" ? null : (chains.get(dateOf(leg) ?? "")?.head ?? null);
    const laterDays = own && head ? Math.max(own.days - head.days, 0) : 0;
    const basis = laterDays && own?.forward && head?.forward ? own.forward - head.forward : 0;
    const lots = Math.max(Math.round(Number(leg.keys.lots || 1)) || 1, 1) * times;
    return [{ kind, strike: at.line.strike, quantity: sideOf(leg) * lots * (at.cell.lot || row.lot), entry: at.cell.ltp, iv: at.cell.iv ?? 0, laterDays, basis, cell: at.cell }];
  });
  const numbersOf = (found: (one: ChosenLeg) => boolean): number[] => chosen.flatMap((one, at) => (found(one) ? [at + 1] : []));
  const unpriced = numbersOf(({ elsewhere, at, loaded }) => elsewhere !== "" || (loaded && !at));
  const waiting = numbersOf(({ leg, at }) => !at || at.cell.ltp === null || (at.cell.iv === null && kindOf(leg) !== "future"));

  async function open(name: string, asTemplate = false) {
    setError(null);
    try {
      props.onOpen(await get<LegFile>(`/api/legs/${encodeURIComponent(name)}`), asTemplate);
    } catch (failure) {
      setError(failure);
    }
  }

  function change(id: number, keys: LegTexts): void {
    setLegs((before) => before.map((one) => (one.id === id ? { ...one, keys: { ...one.keys, ...keys } } : one)));
    setWrong((before) => afterChange(before, Object.keys(keys), id));
  }

  return (
    <>
      <Card title="Legs" plain actions={<TemplateChoice own={(files.data ?? []).map((one) => one.name)} onChoose={(name) => props.leaving.ask(() => props.onBegin(TEMPLATES[name]?.() ?? []))} onOwn={(name) => props.leaving.ask(() => void open(name, true))} />}>
        <ErrorNote error={files.error ?? error} />
        {!row.expiries.length && <p className="inside warn">No options of {row.underlying} are listed today: legs can be changed and saved, without prices.</p>}
        <LegTable legs={chosen} wrong={wrong.legs} onChange={change} onRemove={(id) => setLegs((before) => before.filter((one) => one.id !== id))} />
        <div className="inside row">
          <button type="button" disabled={legs.length >= MOST_LEGS} onClick={() => setLegs([...legs, newLeg(-1, "call", 2)])}>Add a leg</button>
          <label className="row small">Times <input className="short" type="number" min={1} max={100} value={times} onChange={(event) => setTimes(Math.max(1, Math.round(event.target.valueAsNumber) || 1))} /></label>
          <span className="muted small">{row.lot > 0 && `1 lot is ${number(row.lot)} units. `}Prices are the last ones, as if entered now, before charges.</span>
        </div>
      </Card>
      <Structure legs={legs} priced={priced} head={head} unpriced={unpriced} waiting={waiting} />
      <LegSaving
        key={opened?.turn ?? 0} files={files} underlying={row.underlying} legs={legs} expiry={word} times={times} opened={opened} onOpen={open} wrong={wrong} onWrong={setWrong}
        edited={legsText(legs) !== props.begun || times !== 1} leaving={props.leaving} onUnsaved={props.onUnsaved}
        problem={!legs.length ? "no leg" : !word && legs.some((leg) => !leg.keys.expiry && (kindOf(leg) === "call" || kindOf(leg) === "put")) ? `a file names expiries as nearest, next, monthly or next monthly: ${day(props.expiry)} is none of them; choose one for each leg` : ""}
      />
    </>
  );
}

interface StructureProps {
  legs: readonly Leg[];
  priced: readonly LegAtPrice[];
  /** Of the chain that expires first. */
  head: Chain["head"];
  /** Numbers of the legs that have no price on this page. */
  unpriced: readonly number[];
  /** Numbers of the legs without a price so far. */
  waiting: readonly number[];
}

const legNumbers = (found: readonly number[]): string => `leg${found.length > 1 ? "s" : ""} ${found.join(", ")}`;

/** Payoff and facts of the legs, if all of them have a price here. */
function Structure({ legs, priced, head, unpriced, waiting }: StructureProps) {
  const [daysOn, setDaysOn] = useState(0);
  const [ivShift, setIvShift] = useState(0);
  const [move, setMove] = useState(0);
  const forward = head?.forward ?? head?.spot ?? null;
  const days = head?.days ?? 0;
  const iv = head?.atm_iv ?? null;
  const whole = priced.length === legs.length && legs.length > 0 && forward !== null && iv !== null;
  const facts = whole ? payoffFacts(priced, forward, iv, days) : null;
  const calendar = priced.some((one) => one.laterDays);
  const net = (of: (cell: ChainCell) => number | null): number | null =>
    !whole || priced.some((one) => of(one.cell) === null) ? null : priced.reduce((sum, one) => sum + one.quantity * (of(one.cell) ?? 0), 0);
  const premium = whole ? priced.reduce((sum, one) => sum - (one.kind === "future" ? 0 : one.quantity * one.entry), 0) : null;
  const margin = useMargin(whole ? priced : [], head?.spot ?? forward ?? 0);
  const bound = (value: number): string => (Number.isFinite(value) ? profit(value, 0) : "unlimited");
  const sigma = (forward ?? 0) * (iv ?? 0) * Math.sqrt(days / 365);
  const reach = forward === null ? 0 : Math.floor((payoffReach(priced, forward, sigma) / forward) * 1000) / 1000;
  const moved = Math.max(-reach, Math.min(move, reach));
  const chosen = forward === null ? 0 : forward * (1 + moved);
  const left = Math.max(days - daysOn, 0);
  return (
    <div className="columns">
      <Card title="Payoff, ₹">
        {facts && forward !== null ? (
          <>
            <Payoff legs={priced} spot={forward} sigma={sigma} days={left} ivShift={ivShift} breakevens={facts.breakevens} chosen={moved ? chosen : null} />
            <div className="form">
              <Field label={`Underlying at ${number(chosen)}, ${moved < 0 ? "−" : "+"}${percent(Math.abs(moved))}: ${profit(profitAt(priced, chosen, left, ivShift), 0)} on the day`}>
                <input type="range" min={-reach} max={reach} step={0.001} value={moved} onChange={(event) => setMove(event.target.valueAsNumber)} />
              </Field>
              <Field label={`Day: ${daysOn ? `in ${span(daysOn * 86_400)}` : "now"}, ${number(left, 1)} days before ${calendar ? "the first expiry" : "expiry"}`}>
                <input type="range" min={0} max={Math.max(days, 0.01)} step={Math.max(days, 0.01) / 100} value={Math.min(daysOn, days)} onChange={(event) => setDaysOn(event.target.valueAsNumber)} />
              </Field>
              <Field label={`Implied volatility ${ivShift >= 0 ? "+" : "−"}${number(Math.abs(ivShift) * 100, 1)} points`}>
                <input type="range" min={-0.1} max={0.1} step={0.005} value={ivShift} onChange={(event) => setIvShift(event.target.valueAsNumber)} />
              </Field>
            </div>
          </>
        ) : (
          <Empty>{unpriced.length ? `Not drawn: no contract with a price here for ${legNumbers(unpriced)}.` : waiting.length ? `Waiting for the price and volatility of ${legNumbers(waiting)}.` : legs.length ? "Waiting for data…" : "Choose a template or add a leg."}</Empty>
        )}
      </Card>
      <Card title={calendar ? "Facts at the first expiry" : "Facts at expiry"}>
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
function useMargin(priced: readonly LegAtPrice[], spot: number): StructureMargin | null {
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

/** The legs of a structure, or a copy of an own file with all its settings. */
function TemplateChoice(props: { own: readonly string[]; onChoose: (name: string) => void; onOwn: (name: string) => void }) {
  const list = (names: readonly string[], first: string) => names.map((name) => <option key={name} value={`${first}${name}`}>{name}</option>);
  return (
    <select aria-label="Template" value="" onChange={(event) => (event.target.value.startsWith("/") ? props.onOwn(event.target.value.slice(1)) : props.onChoose(event.target.value))}>
      <option value="">Template…</option>
      <optgroup label="Structures">{list(Object.keys(TEMPLATES), "")}</optgroup>
      {props.own.length > 0 && <optgroup label="A copy of your own">{list(props.own, "/")}</optgroup>}
    </select>
  );
}
