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
import type { ChainCell, ChainHead, LegFile, LegFileRow, StructureMargin, UnderlyingRow } from "../generated/api";
import { useChains } from "../live/hooks";
import { type Leaving, useLeaving } from "../shell/leaving";
import { takeParameters } from "../shell/parameters";
import { capital, compact, day, number, percent, profit, rupees, span } from "../ui/format";
import { Card, Empty, ErrorNote, Field, Figure, Figures, Page } from "../ui/parts";
import { NumberField, useNumber } from "../ui/typed_field";
import { baseOf, findContract, findFuture, findShares, isIndex, kindOf, type Leg, legsText, type LegTexts, newLeg, pickedLegs, readLegs, sideOf, strikeProblem, TEMPLATES, underlyingOf } from "./builder_legs";
import { expiryDates, expiryName, expiryWord, MOST_LEGS } from "./expiries";
import { afterChange, amountOf, NO_MISTAKES, together, typedMistakes } from "./leg_problems";
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
      {row ? <Board row={row} rows={choice.rows} expiry={choice.expiry} legs={legs} setLegs={setLegs} opened={opened} onOpen={open} begun={begun} onBegin={begin} leaving={leaving} onUnsaved={setUnsaved} /> : <Card>Waiting for data…</Card>}
    </Page>
  );
}

const TIMES = { whole: true, least: 1, most: 100 };

interface BoardProps {
  row: UnderlyingRow;
  rows: readonly UnderlyingRow[];
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

/** What is known of a leg with a price: for the payoff and the margin, and the cell of the chain. */
type LegAtPrice = PricedLeg & { cell: ChainCell; spot: number; product: string };

/** A leg by its number, the underlying that it is of, and its price, or why it has none. */
interface BuiltLeg {
  number: number;
  base: string;
  /** Why it cannot have a price; empty if it may have one. */
  why: string;
  /** What it waits for. */
  wait: string;
  priced: LegAtPrice | null;
}

const isOption = (leg: Leg): boolean => kindOf(leg) === "call" || kindOf(leg) === "put";

function Board(props: BoardProps) {
  const { row, legs, setLegs, opened } = props;
  const mayAct = useRole("trader");
  const files = useAnswer<LegFileRow[]>(mayAct ? "/api/legs" : null);
  const [error, setError] = useState<unknown>(null);
  const times = useNumber("1", TIMES);
  const [wrong, setWrong] = useState(NO_MISTAKES);
  useEffect(() => {
    times.reset("1"); // the lots of the file are as they stand there
    setWrong(NO_MISTAKES);
  }, [opened]);
  const word = props.expiry ? expiryWord(props.expiry, row.expiries) : "nearest";
  const expiriesOf = (base: string): readonly string[] => (base === row.underlying ? row : props.rows.find((one) => one.underlying === base))?.expiries ?? [];
  const dateOf = (leg: Leg): string => {
    const base = baseOf(leg, row.underlying);
    if (!leg.keys.expiry && base === row.underlying) return props.expiry;
    return expiryDates(expiriesOf(base))[leg.keys.expiry || word || "nearest"] ?? "";
  };
  // of each underlying the chain that expires first; of one without options its spot and futures
  const firsts = new Map<string, string>([[row.underlying, ""]]);
  for (const leg of legs) {
    const [base, date] = [baseOf(leg, row.underlying), isOption(leg) ? dateOf(leg) : ""];
    const known = firsts.get(base) ?? "";
    firsts.set(base, [known, date].filter(Boolean).sort()[0] ?? "");
  }
  for (const [base, date] of firsts) if (!date) firsts.set(base, (base === row.underlying ? props.expiry : "") || (expiriesOf(base)[0] ?? ""));
  const lotOf = (base: string): number => (base === row.underlying ? row : props.rows.find((one) => one.underlying === base))?.lot ?? 0;
  const lots = [...firsts.keys()].filter((base) => lotOf(base) > 0).map((base) => `${number(lotOf(base))} units${firsts.size > 1 ? ` of ${base}` : ""}`).join(", ");
  const wanted = legs.flatMap((leg) => (isOption(leg) && dateOf(leg) ? [`${baseOf(leg, row.underlying)}:${dateOf(leg)}`] : []));
  const inUse = [...firsts].filter(([base, date]) => base !== row.underlying || date !== "" || legs.some((leg) => baseOf(leg, base) === base));
  const chains = useChains([...inUse.map(([base, date]) => `${base}:${date}`), ...wanted]);
  const sorted = useMemo(() => new Map([...chains].map(([name, { lines }]) => [name, [...lines.rows].sort((a, b) => a.strike - b.strike)])), [chains]);
  const headOf = (base: string): ChainHead | null => chains.get(`${base}:${firsts.get(base) ?? ""}`)?.head ?? null;

  const chosen = legs.map((leg): ChosenLeg => {
    const base = baseOf(leg, row.underlying);
    const none = { leg, at: null, lines: [], loaded: true };
    const [kind, head] = [kindOf(leg), headOf(base)];
    if (kind === "future" || kind === "equity") {
      const at = head && (kind === "future" ? findFuture(head.futures, leg, head.forward, head.expiry) : isIndex(head.spot_instrument) ? null : findShares(head));
      const why = head?.problem || (at ? "" : kind === "future" ? `no such future of ${base} is listed` : `${base} is an index, which has no shares`);
      return { ...none, elsewhere: head ? why : "", at, loaded: head !== null };
    }
    const date = dateOf(leg);
    const [chain, lines] = [chains.get(`${base}:${date}`), sorted.get(`${base}:${date}`) ?? []];
    const missing = expiriesOf(base).length ? `no ${expiryName(leg.keys.expiry || word || "nearest")} expiry of ${base} is listed` : `this stack has no options of ${base} today: ENABLED_SYMBOLS names what it keeps`;
    return { leg, lines, loaded: chain?.lines.loaded ?? false, elsewhere: strikeProblem(leg) ? "its value is no such number" : date ? (chain?.head?.problem ?? "") : missing, at: findContract(lines, leg) };
  });
  const built = chosen.map((one, at): BuiltLeg => {
    const { leg, at: found } = one;
    const [base, kind] = [baseOf(leg, row.underlying), kindOf(leg)];
    const amount = amountOf(leg).value;
    const mistyped = amount === null ? (kind === "equity" ? "its shares are no such number" : "its lots are no such number") : times.value === null ? "Times is no such number" : "";
    const why = one.elsewhere || mistyped || (one.loaded && !found ? "no such strike in the chain" : "");
    const head = headOf(base);
    const wait = !found ? "waiting for quotes" : found.cell.ltp === null ? "no price has come yet" : found.cell.iv === null && isOption(leg) ? "its price gives no volatility yet" : "";
    const made: BuiltLeg = { number: at + 1, base, why, wait: why ? "" : wait, priced: null };
    if (why || wait || !found || found.cell.ltp === null || amount === null || times.value === null) return made;
    const own = isOption(leg) ? (chains.get(`${base}:${dateOf(leg)}`)?.head ?? null) : null;
    const laterDays = own && head ? Math.max(own.days - head.days, 0) : 0;
    const basis = laterDays && own?.forward && head?.forward ? own.forward - head.forward : 0;
    const carry = kind === "equity" && head?.forward && head.spot && head.days ? Math.log(head.forward / head.spot) / head.days : 0;
    const quantity = sideOf(leg) * amount * times.value * (found.cell.lot || row.lot);
    const product = (leg.keys.product ?? "").toUpperCase() || (kind === "equity" ? "CNC" : "");
    return { ...made, priced: { kind: kind === "equity" ? "share" : kind, strike: found.line.strike, quantity, entry: found.cell.ltp, iv: found.cell.iv ?? 0, laterDays, basis, carry, cell: found.cell, spot: head?.spot ?? head?.forward ?? 0, product } };
  });

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
        <LegTable legs={chosen} wrong={together(typedMistakes({}, legs), wrong).legs} onChange={change} onRemove={(id) => setLegs((before) => before.filter((one) => one.id !== id))} />
        <div className="inside row">
          <button type="button" disabled={legs.length >= MOST_LEGS} onClick={() => setLegs([...legs, newLeg(-1, "call", 2)])}>Add a leg</button>
          <NumberField label="Times" of={times} className="short" />
          <span className="muted small">{lots && `1 lot is ${lots}. `}Prices are the last ones, as if entered now, before charges.</span>
        </div>
      </Card>
      <Structure legs={built} underlying={row.underlying} headOf={headOf} />
      <LegSaving
        key={opened?.turn ?? 0} files={files} underlying={row.underlying} legs={legs} expiry={word} times={times.value} opened={opened} onOpen={open} wrong={wrong} onWrong={setWrong}
        edited={legsText(legs) !== props.begun || times.text !== "1"} leaving={props.leaving} onUnsaved={props.onUnsaved}
        problem={!legs.length ? "no leg" : times.value === null ? `Times: ${times.problem}` : !word && legs.some((leg) => !leg.keys.expiry && (kindOf(leg) === "call" || kindOf(leg) === "put")) ? `a file names expiries as nearest, next, monthly or next monthly: ${day(props.expiry)} is none of them; choose one for each leg` : ""}
      />
    </>
  );
}

interface StructureProps {
  legs: readonly BuiltLeg[];
  /** Of the file. */
  underlying: string;
  /** Head of the chain of an underlying that expires first, null until it is known. */
  headOf: (base: string) => ChainHead | null;
}

const legNumbers = (found: readonly BuiltLeg[]): string => `leg${found.length > 1 ? "s" : ""} ${found.map((one) => one.number).join(", ")}`;

/** What legs without a price wait for, or why they have none. */
const reasons = (found: readonly BuiltLeg[]): string => found.map((one) => `leg ${one.number}: ${one.why || one.wait}`).join("; ");

/**
 * Payoff and facts of the legs of one underlying, if all of them have a price. Where there are several underlyings each
 * has a picture of its own, since their prices move by themselves; premium and margin are of all legs.
 */
function Structure({ legs, underlying, headOf }: StructureProps) {
  const [daysOn, setDaysOn] = useState(0);
  const [ivShift, setIvShift] = useState(0);
  const [move, setMove] = useState(0);
  const [wanted, setWanted] = useState("");
  const bases = [...new Set(legs.map((one) => one.base))];
  const base = bases.find((one) => one === wanted) ?? bases.find((one) => one === underlying) ?? bases[0] ?? "";
  const [mine, others] = [legs.filter((one) => one.base === base), legs.filter((one) => one.base !== base)];
  const pricesOf = (found: readonly BuiltLeg[]): LegAtPrice[] => found.flatMap((one) => one.priced ?? []);
  const [priced, all] = [pricesOf(mine), pricesOf(legs)];
  const head = headOf(base);
  const forward = head?.forward ?? head?.spot ?? null;
  const days = head?.days ?? 0;
  const forwardName = head?.forward && head.expiry ? `forward to ${day(head.expiry)} ${number(head.forward)}` : "spot";
  const iv = head?.atm_iv ?? null;
  const whole = priced.length === mine.length && mine.length > 0 && forward !== null && iv !== null;
  const complete = all.length === legs.length && legs.length > 0;
  const facts = whole ? payoffFacts(priced, forward, iv, days) : null;
  const calendar = priced.some((one) => one.laterDays);
  const net = (of: (cell: ChainCell) => number | null, found = priced): number | null =>
    !found.length || found.length < (found === all ? legs : mine).length || found.some((one) => of(one.cell) === null) ? null : found.reduce((sum, one) => sum + one.quantity * (of(one.cell) ?? 0), 0);
  const premium = complete ? all.reduce((sum, one) => sum - (one.kind === "call" || one.kind === "put" ? one.quantity * one.entry : 0), 0) : null;
  const margin = useMargin(complete ? all : []);
  const missing = mine.filter((one) => !one.priced);
  const unlike = others.length > 0 ? ` of ${base}, ${legNumbers(mine)}` : "";
  const alike = others.length > 0 ? " of all legs" : "";
  const bound = (value: number): string => (Number.isFinite(value) ? profit(value, 0) : "unlimited");
  const sigma = (forward ?? 0) * (iv ?? 0) * Math.sqrt(days / 365);
  const reach = forward === null ? 0 : Math.floor((payoffReach(priced, forward, sigma) / forward) * 1000) / 1000;
  const moved = Math.max(-reach, Math.min(move, reach));
  const chosen = forward === null ? 0 : forward * (1 + moved);
  const left = Math.max(days - daysOn, 0);
  return (
    <div className="columns">
      <Card
        title={`Payoff${unlike}, ₹`}
        actions={bases.length > 1 && <select aria-label="Underlying of the picture" value={base} onChange={(event) => setWanted(event.target.value)}>{bases.map((one) => <option key={one}>{one}</option>)}</select>}
      >
        {others.length > 0 && (
          <p className="note care">
            Incomplete: {legNumbers(others)} ({[...new Set(others.map((one) => one.base))].join(", ")}) {others.length > 1 ? "are" : "is"} not in this picture, since that price moves by itself.
            {others.some((one) => one.why) && ` No price: ${reasons(others.filter((one) => one.why))}.`}
          </p>
        )}
        {facts && forward !== null ? (
          <>
            <Payoff legs={priced} forward={forward} forwardName={forwardName} spot={head?.forward ? head.spot : null} sigma={sigma} days={left} ivShift={ivShift} breakevens={facts.breakevens} chosen={moved ? chosen : null} />
            <div className="form">
              <Field label={`Underlying at ${number(chosen)} (${forwardName}${head?.forward && head.spot ? `, spot ${number(head.spot)}` : ""}), ${moved < 0 ? "−" : "+"}${percent(Math.abs(moved))}: ${profit(profitAt(priced, chosen, left, ivShift), 0)} on the day`}>
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
          <Empty>{!legs.length ? "Choose a template or add a leg." : missing.length ? `Not drawn. ${capital(reasons(missing))}.` : head && !head.expiry ? `Not drawn: ${base} has no listed options, from which to know its volatility.` : "Waiting for data…"}</Empty>
        )}
      </Card>
      <Card title={`${calendar ? "Facts at the first expiry" : "Facts at expiry"}${unlike}`}>
        <Figures>
          <Figure name={`${(premium ?? 0) >= 0 ? "Premium received" : "Premium paid"}${alike}`}>{profit(premium, 0)}</Figure>
          <Figure name="Most profit">{facts ? bound(facts.maxProfit) : "—"}</Figure>
          <Figure name="Most loss">{facts ? <span className="loss">{bound(facts.maxLoss)}</span> : "—"}</Figure>
          <Figure name="Breakevens">{facts ? facts.breakevens.map((at) => number(at)).join(", ") || "none" : "—"}</Figure>
          <Figure name="Probability of profit" title="With the underlying lognormal around its forward at the volatility of the money">{percent(facts?.probability)}</Figure>
          <Figure name="Profit to loss">{facts && Number.isFinite(facts.maxLoss) && Number.isFinite(facts.maxProfit) ? number(facts.maxProfit / -facts.maxLoss, 2) : "—"}</Figure>
          <Figure name={`Margin together${alike}`} title="By the tables of config/risk.toml; the broker's own figure may differ">{rupees(margin?.margin, 0)}</Figure>
          <Figure name="Hedge benefit" title="What the legs need one by one, less what they need together: hedges, and sold legs of which only one side can lose">{margin ? rupees(margin.separate - margin.margin, 0) : "—"}</Figure>
          <Figure name="Margin leg by leg" title="What the first leg needs, the first two, and so on: the order in which legs are bought and sold counts">
            {margin && margin.after.length > 1 ? margin.after.map((one) => rupees(one, 0)).join(" → ") : "—"}
          </Figure>
          <Figure name="Net Δ (units)">{number(net((cell) => cell.delta), 1)}</Figure>
          <Figure name="Net Γ">{number(net((cell) => cell.gamma), 3)}</Figure>
          <Figure name={`Net Θ (₹ a day)${alike}`}>{compact(net((cell) => cell.theta, all))}</Figure>
          <Figure name={`Net vega (₹ a point)${alike}`}>{compact(net((cell) => cell.vega, all))}</Figure>
        </Figures>
      </Card>
    </div>
  );
}

/** What the legs need, asked again when they are others, not with each price. */
function useMargin(priced: readonly LegAtPrice[]): StructureMargin | null {
  const [found, setFound] = useState<StructureMargin | null>(null);
  const legs = priced.map((one) => ({ instrument: one.cell.instrument, units: one.quantity, price: one.entry, spot: one.spot, product: one.product }));
  const latest = useRef({ legs, spot: 0 });
  latest.current = { legs, spot: legs[0]?.spot ?? 0 };
  const held = legs.map((one) => `${one.units} ${one.instrument} ${one.product}`).join("\n");
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
