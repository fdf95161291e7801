/** Close a position or a whole run, or claim units that nobody owns. */
import { useState } from "react";
import type { ActionTaken, PositionRow, StructureRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { FlattenDialog } from "../shell/emergency";
import { ActionDialog } from "../ui/action";
import { Dialog } from "../ui/dialog";
import { clock, number, profit, rupees, symbol, units } from "../ui/format";
import { Field } from "../ui/parts";
import { NumberField, useNumber } from "../ui/typed_field";
import { AnswerFollow } from "./order_dialogs";
import { held, isOpen } from "./positions";

interface Props {
  id: string;
  onClose: () => void;
}

function useSeenPosition(id: string) {
  const now = useTopic("positions").rows.find((row) => row.id === id && isOpen(row));
  const [seen, setSeen] = useState(now);
  const position = seen ?? now;
  const moved = Boolean(position && (!now || now.version !== position.version));
  const changed = !moved ? "" : now ? `The position changed: now ${units(now.quantity)} units.` : "The position is gone.";
  return { position, now, moved, changed, look: () => setSeen(now) };
}

function Seen(props: { position: PositionRow; now: PositionRow | undefined; moved: boolean; look: () => void }) {
  const { position, now } = props;
  return (
    <div className="note">
      <div className="strong">{held(position)}</div>
      <div>
        {position.managed ? `of ${position.strategy}` : "owned by no strategy"}, average {rupees(position.average_price)}, last {rupees(now?.ltp)}, open P&L {profit(now?.unrealised)}
      </div>
      {props.moved && now && (
        <button type="button" className="small" onClick={props.look}>
          Take the new state
        </button>
      )}
    </div>
  );
}

export function ClosePositionDialog(props: Props) {
  const seen = useSeenPosition(props.id);
  if (!seen.position) return <Gone {...props} />;
  return (
    <ActionDialog
      title="Close the position" action="close" button={`Close ${number(Math.abs(seen.position.quantity || seen.position.quantity_seen))} units at the market`} danger changed={seen.changed}
      body={{ position: seen.position.id, version: seen.position.version }} onClose={props.onClose}
    >
      <Seen {...seen} position={seen.position} />
      <p>An exit goal: its orders go on until the books show it flat. Only this owner's units are closed, and never more than are held.</p>
    </ActionDialog>
  );
}

/** Closes all that a strategy holds, and leaves its entries on; `row` is the run as it was when the button was pressed. */
export function CloseRunDialog({ row, onClose }: { row: StructureRow; onClose: () => void }) {
  const now = useTopic("structures").rows.find((one) => one.id === row.id);
  const [flattens, setFlattens] = useState<readonly string[] | null>(null);
  if (flattens) return <FlattenDialog ids={flattens} onClose={onClose} />;
  const legs = now?.legs ?? [];
  return (
    <ActionDialog
      title="Close the run" action="close-run" button={`Close ${number(legs.length)} ${legs.length === 1 ? "leg" : "legs"} at the market`} danger changed={now ? "" : "The run is over."}
      body={{ run: row.run }} onClose={onClose} onTaken={(taken) => setFlattens(taken.follow)}
    >
      <div className="note">
        <div className="strong">{row.strategy}, run of {clock(row.opened_ms)}</div>
        <div>P&L {profit(now?.profit)}</div>
        {legs.map((leg) => <div key={`${leg.account} ${leg.instrument} ${leg.product}`}>{units(leg.quantity)} {symbol(leg.instrument)} {leg.product} in {leg.account}</div>)}
      </div>
      <p>All that {row.strategy} holds is closed: sold legs first, then what covers them, until the books show it flat twice. Its entries stay allowed once that is done; to end them too, flatten the strategy.</p>
    </ActionDialog>
  );
}

export function ClaimDialog(props: Props) {
  const seen = useSeenPosition(props.id);
  const strategies = useTopic("strategies").rows;
  const [strategy, setStrategy] = useState("");
  const stop = useNumber("", { above: 0, empty: 0 });
  const paid = useNumber("", { above: 0, empty: 0 });
  const [taken, setTaken] = useState<ActionTaken | null>(null);
  if (taken) return <AnswerFollow taken={taken} onClose={props.onClose} />;
  if (!seen.position) return <Gone {...props} />;
  const ready = strategy && stop.value !== null && paid.value !== null;
  return (
    <ActionDialog
      title="Claim units" action="claim" button="Claim" changed={seen.changed} onClose={props.onClose} onTaken={setTaken}
      body={ready ? { position: seen.position.id, version: seen.position.version, strategy, stop: stop.value, price: paid.value } : null}
    >
      <Seen {...seen} position={seen.position} />
      <div className="form">
        <Field label="Give them to">
          <select value={strategy} onChange={(event) => setStrategy(event.target.value)}>
            <option value="">Choose…</option>
            {strategies.map((row) => (
              <option key={row.name}>{row.name}</option>
            ))}
            <option value="manual">manual (to be closed by hand)</option>
          </select>
        </Field>
        <NumberField label="Stop at ₹ (empty: none)" of={stop} />
        <NumberField label="Price paid ₹ (empty: the broker's)" of={paid} />
      </div>
    </ActionDialog>
  );
}

function Gone(props: Props) {
  return (
    <Dialog title="Position" onClose={props.onClose}>
      <div className="inside">This position is not in the list any more.</div>
    </Dialog>
  );
}
