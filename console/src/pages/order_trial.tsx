/** What would this order do: an order typed in, judged by every pre-trade rule as risk would now. Nothing is placed. */
import { type FormEvent, useState } from "react";
import { ApiFailure, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import type { InstrumentRow, TrialRequest, TrialResult, TrialRule } from "../generated/api";
import { useTopic } from "../live/hooks";
import { number, price, rupees, units, words } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Figure, Figures } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { NumberField, useNumber } from "../ui/typed_field";

const RULES: readonly Column<TrialRule>[] = [
  { id: "answer", name: "Answer", value: (row) => (row.denial ? 0 : row.unknown ? 1 : 2), cell: (row) => <Badge tone={row.denial ? "bad" : row.unknown ? "care" : "good"}>{row.denial ? "denies" : row.unknown ? "cannot tell" : "passes"}</Badge> },
  { id: "code", name: "Rule", value: (row) => row.code, cell: (row) => <span title={row.when}>{words(row.code)}</span> },
  { id: "value", name: "This order", num: true, value: (row) => row.value, cell: (row) => number(row.value, 2) },
  { id: "limit", name: "Limit", num: true, value: (row) => row.limit, cell: (row) => (row.value === null ? "—" : number(row.limit, 2)) },
  { id: "why", name: "Why", value: (row) => row.denial || row.unknown, cell: (row) => <span className="wrap">{row.denial || row.unknown}</span> },
  { id: "when", name: "Denies when", extra: true, value: (row) => row.when, cell: (row) => <span className="wrap muted small">{row.when}</span> },
];
const WITHOUT_WHY = RULES.filter((column) => column.id !== "why");
const ruleKey = (row: TrialRule): string => row.code;
type Kind = NonNullable<TrialRequest["order_type"]>;

export function OrderTrial() {
  const strategies = useTopic("strategies").rows;
  const [strategy, setStrategy] = useState("");
  const [account, setAccount] = useState("");
  const [instrument, setInstrument] = useState("");
  const [side, setSide] = useState<1 | -1>(1);
  const lots = useNumber("1", { whole: true, least: 1, most: 100_000 });
  const [kind, setKind] = useState<Kind>("MARKET");
  const limit = useNumber("", { above: 0 });
  const trigger = useNumber("", { above: 0 });
  const stop = useNumber("0", { least: 0 });
  const [product, setProduct] = useState<NonNullable<TrialRequest["product"]>>("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<TrialResult | null>(null);
  const accounts = useTopic("accounts").rows;
  const offered = useAnswer<InstrumentRow[]>(instrument.length > 3 ? "/api/instruments" : null, { query: instrument.replace(":", " "), limit: 20 });
  const name = strategy || (strategies[0]?.name ?? "");
  const wrong = (field: string): string | null => (error instanceof ApiFailure && error.body.field === field ? error.message : null);

  async function ask(event: FormEvent) {
    event.preventDefault();
    const [limitAt, triggerAt] = [kind === "MARKET" ? 0 : limit.value, kind === "SL" ? trigger.value : 0];
    if (lots.value === null || stop.value === null || limitAt === null || triggerAt === null) return;
    setBusy(true);
    setError(null);
    const body: TrialRequest = {
      strategy: name, account, instrument, lots: side * lots.value, order_type: kind, product,
      stop_price: stop.value, limit_price: limitAt, trigger_price: triggerAt,
    };
    try {
      setResult(await post<TrialResult>("/api/risk/trial", body));
    } catch (failure) {
      setResult(null);
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card title="What would this order do?">
      <form className="form" onSubmit={ask}>
        <Field label="Strategy">
          <select value={name} onChange={(event) => setStrategy(event.target.value)}>
            {strategies.map((row) => <option key={row.name}>{row.name}</option>)}
          </select>
        </Field>
        <Field label="Account" error={wrong("account")}>
          <select value={account} onChange={(event) => setAccount(event.target.value)}>
            <option value="">the strategy's first</option>
            {accounts.map((row) => <option key={row.account}>{row.account}</option>)}
          </select>
        </Field>
        <Field label="Instrument" error={wrong("instrument")}>
          <input required list="trial-instruments" placeholder="NFO:NIFTY…" value={instrument} onChange={(event) => setInstrument(event.target.value.toUpperCase().trim())} />
        </Field>
        <datalist id="trial-instruments">{offered.data?.map((row) => <option key={row.id} value={row.id} />)}</datalist>
        <Field label="Side">
          <select value={side} onChange={(event) => setSide(event.target.value === "1" ? 1 : -1)}>
            <option value={1}>BUY</option>
            <option value={-1}>SELL</option>
          </select>
        </Field>
        <NumberField label="Lots" of={lots} />
        <Field label="Type">
          <select value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
            {(["MARKET", "LIMIT", "SL"] as const).map((one) => <option key={one}>{one}</option>)}
          </select>
        </Field>
        {kind !== "MARKET" && <NumberField label="Limit ₹" of={limit} />}
        {kind === "SL" && <NumberField label="Trigger ₹" of={trigger} />}
        <NumberField label="Stop ₹ (0: as configured)" of={stop} />
        <Field label="Product">
          <select value={product} onChange={(event) => setProduct(event.target.value as typeof product)}>
            <option value="">the strategy's</option>
            {(["MIS", "NRML", "CNC"] as const).map((one) => <option key={one}>{one}</option>)}
          </select>
        </Field>
        <div className="row"><button type="submit" className="primary" disabled={busy || !name || !instrument}>{busy ? "Asking…" : "Ask risk"}</button><span className="muted small">nothing is placed</span></div>
      </form>
      <ErrorNote error={error} />
      {result && <Judged result={result} />}
    </Card>
  );
}

function Judged({ result }: { result: TrialResult }) {
  if (result.exits) return <div className="note care">It only reduces what the strategy holds ({units(result.held)} units): an exit, which no rule denies.</div>;
  const denied = result.rules.filter((row) => row.denial);
  const unknown = result.rules.filter((row) => row.unknown);
  const open = unknown.length ? ` ${unknown.length} cannot tell: ${[...new Set(unknown.map((row) => row.unknown))].join("; ")}.` : "";
  const known = (value: number): number | null => (result.price > 0 ? value : null);
  return (
    <>
      <div className={`note ${denied.length ? "bad" : open ? "care" : "good"}`} role="status">
        {denied.length ? `Denied by ${denied.length} of ${result.rules.length} rules: ${denied.map((row) => words(row.code)).join(", ")}.` : open ? `${result.rules.length - unknown.length} of ${result.rules.length} rules let it pass now.` : `All ${result.rules.length} rules let it pass now.`}
        {open}
      </div>
      <Figures>
        <Figure name="Units">{units(result.units)}</Figure>
        <Figure name="Held before">{units(result.held)}</Figure>
        <Figure name="At ₹">{price(known(result.price))}</Figure>
        <Figure name="Value">{rupees(known(result.value), 0)}</Figure>
        <Figure name="Margin alone">{rupees(known(result.margin), 0)}</Figure>
        <Figure name="Margin with buffer">{rupees(known(result.margin_needed), 0)}</Figure>
        <Figure name="Margin free">{rupees(result.margin_free, 0)}</Figure>
        <Figure name="Stop ₹">{result.stop ? `${price(result.stop)} (${result.stop_holder})` : known(0) === null ? "—" : "none"}</Figure>
        <Figure name="At risk">{rupees(result.at_risk, 0)}</Figure>
      </Figures>
      <Table plain label="pre-trade rules" rows={result.rules} loaded columns={denied.length + unknown.length ? RULES : WITHOUT_WHY} rowKey={ruleKey} sort={{ id: "answer", desc: false }} empty="No rule." />
    </>
  );
}
