/** Small parts of every page: cards, badges, figures, fields and error notes. */
import { Component, type ReactNode } from "react";
import * as format from "./format";

export function Page(props: { title: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <>
      <div className="title">
        <h1>{props.title}</h1>
        {props.actions && <div className="row">{props.actions}</div>}
      </div>
      {props.children}
    </>
  );
}

export function Card(props: { title?: ReactNode; actions?: ReactNode; plain?: boolean; children: ReactNode }) {
  return (
    <section className="card">
      {(props.title || props.actions) && (
        <header>
          <h2>{props.title}</h2>
          {props.actions && <div className="row">{props.actions}</div>}
        </header>
      )}
      {props.plain ? props.children : <div className="inside">{props.children}</div>}
    </section>
  );
}

export type Tone = "good" | "care" | "bad" | "info" | "";

export function Badge(props: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge ${props.tone ?? ""}`}>{props.children}</span>;
}

/** Profit or loss: sign and colour. */
export function Profit(props: { value: number | null | undefined; decimals?: number; className?: string }) {
  return <span className={`${format.tone(props.value)} nowrap ${props.className ?? ""}`}>{format.profit(props.value, props.decimals)}</span>;
}

/** Age of data: plain while fresh, marked from `lateS` seconds on. */
export function Age(props: { seconds: number | null | undefined; lateS?: number }) {
  const late = typeof props.seconds === "number" && props.seconds > (props.lateS ?? 10);
  return <span className={late ? "warn nowrap" : "muted nowrap"}>{props.seconds == null ? "age unknown" : `${format.span(props.seconds)} old`}</span>;
}

export function Figures(props: { children: ReactNode }) {
  return <dl className="figures">{props.children}</dl>;
}

export function Figure(props: { name: string; children: ReactNode; title?: string }) {
  return (
    <div title={props.title}>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

export function Field(props: { label: string; error?: string | null; wide?: boolean; children: ReactNode }) {
  return (
    <label className={`field ${props.wide ? "wide" : ""}`}>
      {props.label}
      {props.children}
      {props.error && <span className="field-error">{props.error}</span>}
    </label>
  );
}

export function ErrorNote(props: { error: unknown }) {
  if (!props.error) return null;
  return (
    <div className="note bad" role="alert">
      {props.error instanceof Error ? props.error.message : String(props.error)}
    </div>
  );
}

/** A table that may be wider or higher than its place: scrolled by pointer and by keyboard. */
export function Scrolled(props: { label: string; className?: string; children: ReactNode }) {
  return (
    <div className={`table ${props.className ?? ""}`} tabIndex={0} role="region" aria-label={props.label}>
      {props.children}
    </div>
  );
}

/** Lines of a unified diff. */
export function Diff(props: { lines: readonly string[]; label: string }) {
  if (!props.lines.length) return null;
  return (
    <pre className="diff" tabIndex={0} role="region" aria-label={props.label}>
      {props.lines.map((line, at) => (
        <span key={at} className={line.startsWith("+") ? "gain" : line.startsWith("-") ? "loss" : "muted"}>{`${line}\n`}</span>
      ))}
    </pre>
  );
}

export function Empty(props: { children: ReactNode }) {
  return <div className="empty">{props.children}</div>;
}

export function Tabs<Name extends string>(props: { names: readonly Name[]; value: Name; onChange: (name: Name) => void; label: string }) {
  return (
    <div className="tabs" role="group" aria-label={props.label}>
      {props.names.map((name) => (
        <button key={name} type="button" className="small" aria-pressed={name === props.value} onClick={() => props.onChange(name)}>
          {name}
        </button>
      ))}
    </div>
  );
}

/** A share from 0 to 1 as a bar; the number stands beside it. Near 1 it warns, unless it is `calm`. */
export function Share(props: { value: number | null | undefined; label: string; calm?: boolean }) {
  const share = Math.min(Math.max(props.value ?? 0, 0), 1);
  return (
    <div className="bar" role="meter" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)} aria-label={props.label}>
      <div className={props.calm ? "" : share >= 0.9 ? "bad" : share >= 0.7 ? "care" : ""} style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** Shows the error of one page instead of an empty screen: the head with the halt button stays. */
export class Fence extends Component<{ children: ReactNode }, { error: Error | null }> {
  state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  render() {
    if (!this.state.error) return this.props.children;
    return (
      <Card title="This page failed">
        <p>The other pages and the emergency buttons work. Reload the page; if it fails again, tell the administrator:</p>
        <pre>{String(this.state.error.message)}</pre>
        <button type="button" onClick={() => this.setState({ error: null })}>
          Try again
        </button>
      </Card>
    );
  }
}
