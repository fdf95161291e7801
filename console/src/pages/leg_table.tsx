/** The builder's table of legs: how each is chosen, the contract that it is now, its exits, and its other keys below it. */
import { useLayoutEffect, useState } from "react";
import type { ChainLine } from "../generated/api";
import { LEG_KEYS, type LegKeyName } from "../generated/leg_keys";
import { compact, number, percent, price, symbol } from "../ui/format";
import { Badge, Figure, Figures, Scrolled } from "../ui/parts";
import { asKind, type Found, HOW, type How, kindOf, type Leg, type LegTexts, type Right, sideOf, startOf, strikeOf, typedStrike } from "./builder_legs";
import { expiryName } from "./expiries";
import { KeyControl, KeyField, marked, Wrong } from "./key_field";
import type { Mistakes } from "./leg_problems";

export interface ChosenLeg {
  leg: Leg;
  /** Why it has no contract here, empty if it may have one. */
  elsewhere: string;
  at: Found | null;
  /** Lines of its chain, sorted by strike. */
  lines: readonly ChainLine[];
  loaded: boolean;
}

interface Props {
  legs: readonly ChosenLeg[];
  wrong: Mistakes["legs"];
  onChange: (id: number, keys: LegTexts) => void;
  onRemove: (id: number) => void;
}

/** Keys with a control in the row itself; the contract type is `kind` and `right` in one. */
const IN_ROW = ["action", "kind", "right", "expiry", "lots", "quantity", "strike", "stop", "target"] as const satisfies readonly LegKeyName[];
/** The others, with their names. */
const DETAILS: Record<Exclude<LegKeyName, (typeof IN_ROW)[number]>, string> = {
  order_type: "Order",
  limit: "Limit",
  product: "Product",
  instrument: "Underlying or share",
  profile: "Lots by profile",
  reentries: "Re-entries a day",
  roll_at: "Rolled at",
  roll_to: "Rolled to",
  rolls: "Rolls a day",
};
const DETAIL_KEYS = Object.keys(DETAILS) as (keyof typeof DETAILS)[];
const NAMES = ["Side", "Contract type", "Expiry", "Lots", "Chosen by", "Value", "Contract"];
const FIGURES = ["Last ₹", "IV", "Δ"];
const EXITS = ["Stop", "Target"];
const COLUMNS = NAMES.length + FIGURES.length + EXITS.length + 1;
const KIND_NAMES: Record<Right, string> = { call: "call", put: "put", future: "future", equity: "shares" };

export function LegTable(props: Props) {
  return (
    <Scrolled label="legs" className="legs">
      <table>
        <thead>
          <tr>
            {NAMES.map((name) => <th key={name} scope="col"><span>{name}</span></th>)}
            {FIGURES.map((name) => <th key={name} scope="col" className="num"><span>{name}</span></th>)}
            {EXITS.map((name) => <th key={name} scope="col"><span>{name}</span></th>)}
            <th scope="col"><span className="hidden">More, remove</span></th>
          </tr>
        </thead>
        <tbody>
          {props.legs.map((one, index) => (
            <LegLines key={one.leg.id} {...props} chosen={one} number={index + 1} />
          ))}
        </tbody>
      </table>
    </Scrolled>
  );
}

function LegLines(props: Props & { chosen: ChosenLeg; number: number }) {
  const { leg, at, elsewhere, lines, loaded } = props.chosen;
  const wrong = props.wrong[leg.id] ?? {};
  const [open, setOpen] = useState(false);
  const bad = DETAIL_KEYS.filter((key) => wrong[key]).length;
  useLayoutEffect(() => {
    if (bad) setOpen(true);
  }, [bad]);
  const kind = kindOf(leg);
  const rule = strikeOf(leg);
  const option = kind === "call" || kind === "put";
  const listed = kind !== "equity";
  const change = (keys: LegTexts) => props.onChange(leg.id, keys);
  const label = (what: string): string => `${what} of leg ${props.number}`;
  const path = (key: string): string => `legs[${props.number}].${key}`;
  const text = (key: LegKeyName): string => leg.keys[key] ?? "";
  const control = (key: LegKeyName) => ({ path: path(key), of: LEG_KEYS[key], value: text(key), wrong: wrong[key], onChange: (value: string) => change({ [key]: value }) });
  const set = DETAIL_KEYS.filter((key) => text(key) !== "").length;
  const ofRow = ["", ...IN_ROW].filter((key) => wrong[key]);
  const amount = listed ? "lots" : "quantity";
  return (
    <>
      <tr>
        <td data-name="Side">
          <select {...marked(path("action"), wrong.action)} aria-label={label("Side")} value={sideOf(leg)} onChange={(event) => change({ action: event.target.value === "1" ? "BUY" : "SELL" })}>
            <option value={1}>BUY</option>
            <option value={-1}>SELL</option>
          </select>
        </td>
        <td data-name="Contract type">
          <select {...marked(path("kind"), wrong.kind ?? wrong.right)} aria-label={label("Contract type")} value={kind} onChange={(event) => change(asKind(leg, event.target.value as Right))}>
            {Object.entries(KIND_NAMES).map(([word, name]) => <option key={word} value={word}>{name}</option>)}
          </select>
        </td>
        <td data-name="Expiry">
          <select {...marked(path("expiry"), wrong.expiry)} className="short" aria-label={label("Expiry")} value={listed ? text("expiry") : ""} disabled={!listed} onChange={(event) => change({ expiry: event.target.value })}>
            <option value="">{kind === "future" ? "nearest" : listed ? "as shown" : "none"}</option>
            {LEG_KEYS.expiry.choices.filter((word) => kind !== "future" || word !== "nearest" || text("expiry") === word).map((word) => <option key={word} value={word}>{expiryName(word)}</option>)}
          </select>
        </td>
        <td data-name={listed ? "Lots" : "Shares"}>
          {text("profile") ? (
            <span title="The risk profile decides the lots; priced here as one lot">{text("profile")}</span>
          ) : (
            <input
              {...marked(path(amount), wrong[amount])} className="short" inputMode="numeric" maxLength={12} aria-label={label(listed ? "Lots" : "Shares")} value={text(amount)}
              onChange={(event) => change({ [amount]: event.target.value })}
            />
          )}
        </td>
        <td data-name="Chosen by">
          <select aria-label={label("Choice")} value={rule?.how ?? ""} disabled={!option} onChange={(event) => change(startOf(event.target.value as How, at))}>
            {!rule && <option value="">as written</option>}
            {Object.entries(HOW).map(([how, name]) => <option key={how} value={how}>{name}</option>)}
          </select>
        </td>
        <td data-name="Value">{option && <StrikeValue key={rule?.how} {...control("strike")} rule={rule} label={label(rule?.how === "strike" ? "Strike" : "Value")} lines={lines} onRule={(strike) => change({ strike })} />}</td>
        <td className="text wider" data-name="Contract">{at ? symbol(at.cell.instrument) : <span className="warn">{elsewhere || (loaded ? "no such strike in the chain" : "waiting for the chain")}</span>}</td>
        <td className="num" data-name="Last ₹">{price(at?.cell.ltp)}</td>
        <td className="num" data-name="IV">{percent(at?.cell.iv)}</td>
        <td className="num" data-name="Δ">{number(at?.cell.delta, 2)}</td>
        <td data-name="Stop"><KeyControl {...control("stop")} label={label("Stop")} className="short" /></td>
        <td data-name="Target"><KeyControl {...control("target")} label={label("Target")} className="short" /></td>
        <td className="acting">
          <div className="acts">
            <button type="button" className="small" aria-expanded={open} onClick={() => setOpen(!open)}>
              <span>More<span className="hidden"> of leg {props.number}</span></span>
              {bad > 0 ? <Badge tone="bad">{bad} wrong</Badge> : set > 0 && <Badge>{set}</Badge>}
            </button>
            <button type="button" className="small" aria-label={`Remove leg ${props.number}`} onClick={() => props.onRemove(leg.id)}>✕</button>
          </div>
        </td>
      </tr>
      {ofRow.length > 0 && (
        <tr className="below">
          <td colSpan={COLUMNS}><div className="stack">{ofRow.map((key) => <Wrong key={key} path={path(key === "right" && !wrong.kind ? "kind" : key)} text={`Leg ${props.number}: ${wrong[key]}`} />)}</div></td>
        </tr>
      )}
      <tr className="below" hidden={!open}>
        <td colSpan={COLUMNS}>
          <div className="stack" role="group" aria-label={`More of leg ${props.number}`}>
            <div className="form">{DETAIL_KEYS.map((key) => <KeyField key={key} {...control(key)} name={DETAILS[key]} hint />)}</div>
            {at && (
              <Figures>
                <Figure name="Γ of a unit">{number(at.cell.gamma, 5)}</Figure>
                <Figure name="Θ of a unit, ₹ a day">{number(at.cell.theta, 2)}</Figure>
                <Figure name="Vega of a unit, ₹ a point">{number(at.cell.vega, 2)}</Figure>
                <Figure name="Units of a lot">{number(at.cell.lot)}</Figure>
                <Figure name="Open interest">{compact(at.cell.open_interest)}</Figure>
              </Figures>
            )}
          </div>
        </td>
      </tr>
    </>
  );
}

type StrikeProps = Parameters<typeof KeyControl>[0] & { rule: ReturnType<typeof strikeOf>; lines: readonly ChainLine[]; onRule: (words: string) => void };

/** Of which strike, offset, delta or premium; words that are none of these are shown as they are. */
function StrikeValue({ rule, lines, onRule, ...control }: StrikeProps) {
  const [typed, setTyped] = useState<string | null>(null);
  if (!rule) return <KeyControl {...control} className="short" />;
  const same = { ...marked(control.path, control.wrong), "aria-label": control.label };
  if (rule.how === "strike") {
    return (
      <select {...same} value={rule.text} onChange={(event) => onRule(typedStrike("strike", event.target.value))}>
        {!lines.some((line) => line.strike === rule.value) && <option value={rule.text}>{number(rule.value)}</option>}
        {lines.map((line) => <option key={line.strike} value={line.strike}>{number(line.strike)}</option>)}
      </select>
    );
  }
  return (
    <input
      {...same} className="short" inputMode={rule.how === "offset" ? "text" : "decimal"} maxLength={12} value={typed ?? rule.text} onBlur={() => setTyped(null)}
      onChange={(event) => {
        const text = event.target.value.replaceAll('"', "");
        setTyped(text);
        onRule(typedStrike(rule.how, text));
      }}
    />
  );
}
