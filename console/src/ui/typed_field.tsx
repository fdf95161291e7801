/** Fields of numbers and times: they keep what was typed, say at the field what is wrong, and a form waits until it is right. */
import { type ComponentProps, useLayoutEffect, useRef, useState } from "react";
import { Field } from "./parts";
import { type NumberRule, type ReadNumber, readNumber } from "./typed";

export interface TypedNumber extends ReadNumber {
  text: string;
  rule: NumberRule;
  /** The problem is told: something was typed, or the form was to be sent. */
  told: boolean;
  tell: () => void;
  type: (text: string) => void;
  /** Begins anew with this text. */
  reset: (text: string) => void;
}

/** A number as it is typed, beginning with a text. */
export function useNumber(first: string, rule: NumberRule): TypedNumber {
  const [text, setText] = useState(first);
  const [told, setTold] = useState(false);
  const set = (now: string, tell: boolean) => {
    setText(now);
    setTold(tell);
  };
  return { text, rule, told, ...readNumber(text, rule), tell: () => setTold(true), type: (now) => set(now, true), reset: (now) => set(now, false) };
}

type CheckedProps = Omit<ComponentProps<"input">, "onChange"> & { problem: string; told?: boolean; onTell?: () => void; onType: (text: string) => void };

/** An input whose form is not sent while there is a problem, which its place tells. */
function CheckedInput({ problem, told = true, onTell, onType, ...rest }: CheckedProps) {
  const element = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => element.current?.setCustomValidity(problem), [problem]);
  return (
    <input
      {...rest} ref={element} aria-invalid={told && problem ? true : undefined} onChange={(event) => onType(event.target.value)}
      onInvalid={(event) => {
        event.preventDefault(); // the field tells it
        onTell?.();
        event.currentTarget.form?.querySelector<HTMLElement>("input:invalid")?.focus();
      }}
    />
  );
}

interface NumberProps {
  label: string;
  of: TypedNumber;
  /** Shown while it is empty. */
  example?: string;
  /** What the server says of it. */
  error?: string | null;
  className?: string;
}

export function NumberField({ label, of, example, error, className }: NumberProps) {
  const { whole, least, above } = of.rule;
  const signed = least === undefined ? above === undefined : least < 0;
  return (
    <Field label={label} error={(of.told && of.problem) || error}>
      <CheckedInput className={className} inputMode={signed ? "text" : whole ? "numeric" : "decimal"} maxLength={24} placeholder={example} value={of.text} problem={of.problem} told={of.told} onTell={of.tell} onType={of.type} />
    </Field>
  );
}

interface TimeProps {
  label: string;
  value: string;
  /** `timeProblem` or `windowProblem`. */
  check: (text: string) => string;
  example: string;
  disabled?: boolean;
  onChange: (text: string) => void;
}

/** A time of day, or a window of two: text of 24 hours, since a browser shows its own times as its language has them. */
export function TimeField({ label, value, check, example, disabled, onChange }: TimeProps) {
  const problem = disabled ? "" : check(value);
  return (
    <Field label={label} error={problem}>
      <CheckedInput maxLength={20} placeholder={example} value={value} disabled={disabled} problem={problem} onType={(text) => onChange(text.trim())} />
    </Field>
  );
}
