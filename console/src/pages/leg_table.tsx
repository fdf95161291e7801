/** The builder's table of legs: how each is chosen, the contract that it is now, and its own exits. */
import type { ChainLine } from "../generated/api";
import { number, percent, price, symbol } from "../ui/format";
import { Scrolled } from "../ui/parts";
import { type Found, HOW, type How, type Leg, startOf } from "./builder_legs";

export interface ChosenLeg {
  leg: Leg;
  /** Why it has no contract here, empty if it may have one. */
  elsewhere: string;
  at: Found | null;
}

interface Props {
  legs: readonly ChosenLeg[];
  lines: readonly ChainLine[];
  loaded: boolean;
  onChange: (id: number, fields: Partial<Leg>) => void;
  onRemove: (id: number) => void;
}

const NAMES = ["Side", "Contract type", "Lots", "Chosen by", "Value", "Contract"];
const FIGURES = ["Last ₹", "IV", "Δ"];
const EXITS = ["Stop", "Target", "Re-entries"];

export function LegTable(props: Props) {
  return (
    <Scrolled label="legs">
      <table>
        <thead>
          <tr>
            {NAMES.map((name) => <th key={name} scope="col"><span>{name}</span></th>)}
            {FIGURES.map((name) => <th key={name} scope="col" className="num"><span>{name}</span></th>)}
            {EXITS.map((name) => <th key={name} scope="col"><span>{name}</span></th>)}
            <th scope="col"><span className="hidden">Remove</span></th>
          </tr>
        </thead>
        <tbody>
          {props.legs.map((one, index) => (
            <LegLine key={one.leg.id} {...props} chosen={one} number={index + 1} />
          ))}
        </tbody>
      </table>
    </Scrolled>
  );
}

function LegLine(props: Props & { chosen: ChosenLeg; number: number }) {
  const { leg, at, elsewhere } = props.chosen;
  const future = leg.kind === "future";
  const change = (fields: Partial<Leg>) => props.onChange(leg.id, fields);
  const label = (what: string): string => `${what} of leg ${props.number}`;
  const remove = <td><button type="button" className="small" aria-label={`Remove leg ${props.number}`} onClick={() => props.onRemove(leg.id)}>✕</button></td>;
  if (leg.kept) {
    return (
      <tr>
        <td colSpan={NAMES.length + FIGURES.length + EXITS.length} className="text muted">as in the file: {leg.kept}</td>
        {remove}
      </tr>
    );
  }
  return (
    <tr>
      <td>
        <select aria-label={label("Side")} value={leg.side} onChange={(event) => change({ side: event.target.value === "1" ? 1 : -1 })}>
          <option value={1}>BUY</option>
          <option value={-1}>SELL</option>
        </select>
      </td>
      <td>
        <select aria-label={label("Contract type")} value={leg.kind} onChange={(event) => change({ kind: event.target.value as Leg["kind"], ...(future || event.target.value === "future" ? { expiry: "" } : {}) })}>
          <option value="call">call</option>
          <option value="put">put</option>
          <option value="future">future</option>
        </select>
      </td>
      <td>
        {leg.profile ? (
          <span title="The risk profile decides the lots; priced here as one lot">{leg.profile}</span>
        ) : (
          <input className="short" type="number" min={1} max={100} aria-label={label("Lots")} value={leg.lots} onChange={(event) => change({ lots: Math.max(1, Math.round(event.target.valueAsNumber) || 1) })} />
        )}
      </td>
      <td>
        <select aria-label={label("Choice")} value={leg.how} disabled={future} onChange={(event) => change(startOf(event.target.value as How, at))}>
          {Object.entries(HOW).map(([how, name]) => <option key={how} value={how}>{name}</option>)}
        </select>
      </td>
      <td>
        {future ? (
          <select aria-label={label("Expiry")} value={leg.expiry || "nearest"} onChange={(event) => change({ expiry: event.target.value })}>
            {["nearest", "next", ...(["", "nearest", "next"].includes(leg.expiry) ? [] : [leg.expiry])].map((word) => <option key={word}>{word}</option>)}
          </select>
        ) : leg.how === "strike" ? (
          <select aria-label={label("Strike")} value={leg.value} onChange={(event) => change({ value: Number(event.target.value) })}>
            {!props.lines.some((line) => line.strike === leg.value) && <option value={leg.value}>{number(leg.value)}</option>}
            {props.lines.map((line) => <option key={line.strike} value={line.strike}>{number(line.strike)}</option>)}
          </select>
        ) : (
          <input className="short" type="number" step={leg.how === "delta" ? 0.05 : 1} aria-label={label("Value")} value={leg.value} onChange={(event) => change({ value: event.target.valueAsNumber || 0 })} />
        )}
      </td>
      <td className="text">{at ? symbol(at.cell.instrument) : <span className="warn">{elsewhere || (props.loaded ? "no such strike in the chain" : "waiting for the chain")}</span>}</td>
      <td className="num">{price(at?.cell.ltp)}</td>
      <td className="num">{percent(at?.cell.iv)}</td>
      <td className="num">{number(at?.cell.delta, 2)}</td>
      <td><input className="short" aria-label={label("Stop")} placeholder="usual" value={leg.stop} maxLength={30} onChange={(event) => change({ stop: event.target.value })} /></td>
      <td><input className="short" aria-label={label("Target")} placeholder="none" value={leg.target} maxLength={30} onChange={(event) => change({ target: event.target.value })} /></td>
      <td><input className="short" type="number" min={0} max={10} aria-label={label("Re-entries")} value={leg.reentries} onChange={(event) => change({ reentries: Math.min(Math.max(Math.round(event.target.valueAsNumber) || 0, 0), 10) })} /></td>
      {remove}
    </tr>
  );
}
