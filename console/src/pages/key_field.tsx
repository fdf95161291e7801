/** A field for a key of a file of legs: the control that its kind asks for, what it is for, and what is wrong with it. */
import type { ReactNode } from "react";
import type { FileKey } from "../generated/leg_keys";

interface ControlProps {
  /** Its path in the file, `legs[2].stop`, which a mistake names too. */
  path: string;
  of: FileKey;
  value: string;
  wrong?: string;
  /** For a control without a label of its own. */
  label?: string;
  /** Ids of what describes it. */
  described?: string;
  className?: string;
  /** Shown in an empty text field instead of what is usual. */
  example?: string;
  onChange: (value: string) => void;
}

/** Id of the text that says what is wrong with the field of a path. */
export const errorId = (path: string): string => `wrong-${path.replace(/\W+/g, "-")}`;

/** What makes a control the one of a path, in a form and for a screen reader. */
export const marked = (path: string, wrong: string | undefined, described = "") => ({
  name: path,
  "aria-invalid": wrong ? (true as const) : undefined,
  "aria-describedby": [wrong ? errorId(path) : "", described].filter(Boolean).join(" ") || undefined,
});

const usualOf = (of: FileKey): string => (of.usual && of.usual !== "0" ? of.usual : "");

/** The control of a key: times, numbers and words are typed, choices chosen; empty is what is usual. */
export function KeyControl({ path, of, value, wrong, label, described, className, example, onChange }: ControlProps) {
  const same = { ...marked(path, wrong, described), "aria-label": label, className, title: of.note };
  const choices = of.kind === "yes" ? ["yes", "no"] : of.choices;
  if (!choices) {
    return (
      <input
        {...same} type="text" inputMode={of.kind === "number" ? "decimal" : undefined}
        maxLength={200} placeholder={example || usualOf(of).slice(0, of.kind === "time" ? 5 : undefined) || (of.kind === "time" ? "HH:MM" : "usual")} value={value} onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  return (
    <select {...same} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{usualOf(of) ? `usual: ${usualOf(of)}` : "usual"}</option>
      {[...choices, ...(value && !choices.includes(value) ? [value] : [])].map((word) => <option key={word}>{word}</option>)}
    </select>
  );
}

/** What is wrong with the field of a path. */
export function Wrong({ path, text }: { path: string; text?: string }) {
  return text ? <span id={errorId(path)} className="field-error">{text}</span> : null;
}

/** A control with its name, what it is for, and what is wrong with it. */
export function KeyField({ name, hint, ...control }: ControlProps & { name: ReactNode; hint?: boolean }) {
  const note = `${errorId(control.path)}-note`;
  return (
    <div className="keyed">
      <label className="field">
        {name}
        <KeyControl {...control} described={hint ? note : ""} />
      </label>
      {hint && <span id={note} className="muted small">{control.of.note}</span>}
      <Wrong path={control.path} text={control.wrong} />
    </div>
  );
}
