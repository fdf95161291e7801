/** The accounts that trade a strategy: a box for each that there is, and those of the file that are not. */
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { AccountSetup } from "../generated/api";
import { FILE_KEYS } from "../generated/leg_keys";
import { useTopic } from "../live/hooks";
import { Badge } from "../ui/parts";
import { errorId, marked, Wrong } from "./key_field";
import { type AccountEntry, accountEntries, namesOf } from "./account_entries";

export function AccountChoice(props: { value: string; was: string; wrong?: string; onChange: (value: string) => void }) {
  const running = useTopic("accounts");
  const kept = useAnswer<AccountSetup[]>(useRole("admin") ? "/api/setup/accounts" : null);
  const chosen = namesOf(props.value);
  const entries = accountEntries(chosen, namesOf(props.was), running.rows, kept.data ?? [], running.loaded);
  const toggle = (name: string, on: boolean) => props.onChange([...chosen.filter((one) => one !== name), ...(on ? [name] : [])].join(", "));
  const primary = entries.find((one) => one.role === "primary")?.name ?? entries[0]?.name ?? "";
  const note = `${errorId("accounts")}-note`;
  return (
    <fieldset className="keyed choice" aria-describedby={note}>
      <legend>Accounts</legend>
      {!entries.length && <span className="muted small">{running.loaded ? "no account is known" : "waiting for the accounts…"}</span>}
      {entries.map((one) => (
        <label key={one.name} className="tick">
          <input type="checkbox" {...marked("accounts", props.wrong)} disabled={one.role === "backup" && !one.chosen} checked={one.chosen} onChange={(event) => toggle(one.name, event.target.checked)} />
          <span>
            {one.name} <span className="muted small">{one.about}</span> <Mark entry={one} />
          </span>
        </label>
      ))}
      <span id={note} className="muted small">{chosen.length ? FILE_KEYS.accounts.note : `none chosen: the primary${primary && `, ${primary}`}, trades it`}</span>
      <Wrong path="accounts" text={props.wrong} />
    </fieldset>
  );
}

function Mark({ entry }: { entry: AccountEntry }) {
  if (entry.unknown) return <Badge tone="bad">no such account</Badge>;
  return entry.idle ? <Badge tone="care">{entry.idle}</Badge> : <Badge tone="good">enabled</Badge>;
}
