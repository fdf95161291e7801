/** Cancel, modify and resolve an order. Each says whose order it is, and waits if the order changed since. */
import { type ReactNode, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { ActionTaken, OrderActionResult, OrderRow, RouterAnswer } from "../generated/api";
import { useTopic } from "../live/hooks";
import { ActionDialog } from "../ui/action";
import { Dialog } from "../ui/dialog";
import { number, price, rupees } from "../ui/format";
import { ErrorNote, Field, type Tone } from "../ui/parts";
import { OrderState } from "../ui/states";
import { NumberField, useNumber } from "../ui/typed_field";
import { changed, loosens, rupeesAtRisk, termsAfter } from "./order_terms";
import { orderText } from "./orders";

interface Props {
  id: string;
  onClose: () => void;
}

/** The order as it was when the dialog opened; `changed` tells that it is another by now. */
function useSeenOrder(id: string) {
  const now = useTopic("orders").rows.find((row) => row.id === id);
  const [seen, setSeen] = useState(now);
  const order = seen ?? now;
  const moved = Boolean(now && order && now.version !== order.version);
  return { order, now, moved, changed: moved && now ? `The order changed: now ${now.state.toLowerCase()}, ${now.filled} of ${now.quantity} filled.` : "", look: () => setSeen(now) };
}

function Seen(props: { order: OrderRow; moved: boolean; look: () => void }) {
  const { order } = props;
  return (
    <div className="note">
      <div className="strong">{orderText(order)}</div>
      <div>
        {order.order_type} {order.price ? `at ₹${price(order.price)}` : ""} {order.trigger_price ? `trigger ₹${price(order.trigger_price)}` : ""}, {number(order.filled)} filled{" "}
        <OrderState state={order.state} pending={order.pending} waits={order.waits} />
      </div>
      {props.moved && (
        <button type="button" className="small" onClick={props.look}>
          Take the new state
        </button>
      )}
    </div>
  );
}

export function CancelDialog(props: Props) {
  const { order, moved, changed, look } = useSeenOrder(props.id);
  const [force, setForce] = useState(false);
  const [taken, setTaken] = useState<ActionTaken | null>(null);
  if (!order) return <Gone {...props} />;
  if (taken) return <OrderFollow order={order.id} taken={taken} onClose={props.onClose} />;
  const guards = order.purpose === "stop" || order.purpose === "exit";
  return (
    <ActionDialog
      title="Cancel the order" action="cancel" button="Cancel the order" danger changed={changed} reasonNeeded={guards}
      body={!guards || force ? { order: order.id, version: order.version, force } : null}
      onClose={props.onClose} onTaken={setTaken}
    >
      <Seen order={order} moved={moved} look={look} />
      {guards && (
        <label className="tick">
          <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
          This order protects a position. I answer for the position without it.
        </label>
      )}
    </ActionDialog>
  );
}

const OR_UNCHANGED = { above: 0, empty: 0 };

/** Begins with what the order has; only what was changed is sent, as a term that is not sent stays, or moves along. */
export function ModifyDialog(props: Props) {
  const { order, now, moved, changed: since, look } = useSeenOrder(props.id);
  const positions = useTopic("positions").rows;
  const limit = useNumber(filled(order?.price), OR_UNCHANGED);
  const trigger = useNumber(filled(order?.trigger_price), OR_UNCHANGED);
  const quantity = useNumber(filled(order?.quantity), { ...OR_UNCHANGED, whole: true });
  const [force, setForce] = useState(false);
  const [taken, setTaken] = useState<ActionTaken | null>(null);
  if (!order) return <Gone {...props} />;
  if (taken) return <OrderFollow order={order.id} taken={taken} onClose={props.onClose} />;
  const bad = limit.value === null || trigger.value === null || quantity.value === null;
  const change = { price: changed(limit.value ?? 0, order.price), trigger_price: changed(trigger.value ?? 0, order.trigger_price), quantity: changed(quantity.value ?? 0, order.quantity) };
  const nothing = !change.price && !change.trigger_price && !change.quantity;
  const wanted = termsAfter(order, change);
  const loose = bad ? "" : loosens(order, wanted);
  const withdraws = nothing && order.waits !== "";
  const sent = withdraws ? { price: order.price, trigger: order.trigger_price, quantity: 0 } : { price: change.price, trigger: change.trigger_price, quantity: change.quantity };
  const held = positions.find((row) => row.strategy === order.strategy && row.account === order.account && row.instrument === order.instrument && row.product === order.product);
  const take = () => {
    look();
    setForce(false);
    limit.reset(filled(now?.price));
    trigger.reset(filled(now?.trigger_price));
    quantity.reset(filled(now?.quantity));
  };
  return (
    <ActionDialog
      title="Modify the order" action="modify" button={withdraws ? "Withdraw the change that waits" : "Modify the order"} changed={since} danger={loose !== ""} reasonNeeded={loose !== ""}
      body={bad || (nothing && !withdraws) || (loose && !force) ? null : { order: order.id, version: order.version, ...sent, force: loose !== "" }}
      onClose={props.onClose} onTaken={setTaken}
    >
      <Seen order={order} moved={moved} look={take} />
      <div className="form">
        <NumberField label="New price ₹" example="unchanged" of={limit} />
        {order.trigger_price > 0 && <NumberField label="New trigger ₹" example="unchanged" of={trigger} />}
        <NumberField label="New units, filled ones included" example="unchanged" of={quantity} />
      </div>
      {!bad && change.trigger_price > 0 && !change.price && order.price > 0 && <p className="muted small">Its limit moves along, to ₹{price(wanted.price)}.</p>}
      {order.purpose === "stop" && !bad && (
        <div className="note">
          At risk from the last price {rupees(held?.ltp)} to the trigger: {rupees(rupeesAtRisk(order, order, held?.ltp ?? null), 0)} → <span className="strong">{rupees(rupeesAtRisk(order, wanted, held?.ltp ?? null), 0)}</span>
        </div>
      )}
      {loose && (
        <label className="tick">
          <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
          This order protects a position, and would protect less: {loose}. I answer for it.
        </label>
      )}
    </ActionDialog>
  );
}

const filled = (value: number | undefined): string => (value ? String(value) : "");

export function ResolveDialog(props: Props) {
  const { order, moved, changed, look } = useSeenOrder(props.id);
  const [fate, setFate] = useState<"" | "was" | "not">("");
  const [broker, setBroker] = useState("");
  const [force, setForce] = useState(false);
  const [taken, setTaken] = useState<ActionTaken | null>(null);
  if (!order) return <Gone {...props} />;
  if (taken) return <AnswerFollow taken={taken} onClose={props.onClose} />;
  const ready = fate === "not" || (fate === "was" && broker !== "");
  return (
    <ActionDialog
      title="Resolve an order of unknown fate" action="resolve" button="Resolve" danger reasonNeeded changed={changed} onClose={props.onClose} onTaken={setTaken}
      body={ready ? { order: order.id, version: order.version, broker_order: fate === "was" ? broker : "", not_placed: fate === "not", force } : null}
    >
      <Seen order={order} moved={moved} look={look} />
      <p>Look into the broker's own order book first. What you say here counts as proof.</p>
      <label className="tick">
        <input type="radio" name="fate" checked={fate === "was"} onChange={() => setFate("was")} /> It is the broker's order
      </label>
      {fate === "was" && (
        <Field label="Order id at the broker">
          <input value={broker} onChange={(event) => setBroker(event.target.value.trim())} />
        </Field>
      )}
      <label className="tick">
        <input type="radio" name="fate" checked={fate === "not"} onChange={() => setFate("not")} /> It was never placed
      </label>
      <label className="tick">
        <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} /> Even where the books say otherwise
      </label>
    </ActionDialog>
  );
}

function Gone(props: Props) {
  return (
    <Dialog title="Order" onClose={props.onClose}>
      <div className="inside">The order {props.id} is not in the list any more.</div>
    </Dialog>
  );
}

/** Results that are what was asked, or its refusal; an order that filled or ended otherwise is neither. */
const RESULT: Record<string, Tone> = { cancelled: "good", modified: "good", scheduled: "good", replaced: "good", refused: "bad" };

/** What became of a cancel or modify: asked each second until it is decided. */
function OrderFollow(props: { order: string; taken: ActionTaken; onClose: () => void }) {
  const request = props.taken.follow.at(-1) ?? "";
  const [done, setDone] = useState(false);
  const answer = useAnswer<OrderActionResult>(`/api/actions/order/${encodeURIComponent(props.order)}/${encodeURIComponent(request)}`, {}, done ? 0 : 1000);
  const over = Boolean(answer.data && answer.data.word !== "waiting");
  if (over !== done) setDone(over);
  return (
    <Outcome taken={props.taken} error={answer.error} tone={over ? (RESULT[answer.data?.word ?? ""] ?? "care") : ""} onClose={props.onClose}>
      {answer.data ? answer.data.text || answer.data.word : "Waiting for the broker…"}
    </Outcome>
  );
}

/** What the router answered to a resolve or a claim, which it may refuse: asked each second until it has. */
export function AnswerFollow(props: { taken: ActionTaken; onClose: () => void }) {
  const [done, setDone] = useState(false);
  const answer = useAnswer<RouterAnswer>(`/api/actions/answer/${encodeURIComponent(props.taken.follow.at(-1) ?? "")}`, {}, done ? 0 : 1000);
  const over = Boolean(answer.data?.answered);
  if (over !== done) setDone(over);
  return (
    <Outcome taken={props.taken} error={answer.error} tone={over ? (answer.data?.ok ? "good" : "bad") : ""} onClose={props.onClose}>
      {over ? answer.data?.message || "Done." : "Waiting for the router…"}
    </Outcome>
  );
}

function Outcome(props: { taken: ActionTaken; error: Error | null; tone: Tone; onClose: () => void; children: ReactNode }) {
  return (
    <Dialog title="Taken" onClose={props.onClose}>
      <div className="inside">
        <p>{props.taken.text}</p>
        <ErrorNote error={props.error} />
        <div className={`note ${props.tone}`} role="status">{props.children}</div>
      </div>
    </Dialog>
  );
}
