/** Edits a file that a running stack follows (administrators): checked, compared, saved, with the versions before. */
import { useEffect, useRef, useState } from "react";
import { post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { ConfigDraft, ConfigDraftResult, ConfigFile } from "../generated/api";
import { version as versionName } from "../ui/format";
import { Card, Diff, ErrorNote, Field } from "../ui/parts";
import { toast } from "../ui/toast";

export function ConfigEditor(props: { name: string; title: string; onSaved?: () => void }) {
  const admin = useRole("admin");
  const [open, setOpen] = useState(false);
  const path = `/api/config/${props.name}`;
  const answer = useAnswer<ConfigFile>(admin && open ? path : null);
  const [text, setText] = useState("");
  const [version, setVersion] = useState("");
  const [busy, setBusy] = useState<"" | "check" | "save">("");
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<ConfigDraftResult | null>(null);
  const file = answer.data;
  useEffect(() => {
    if (file) setText(file.text);
  }, [file]);
  const asked = JSON.stringify([version, text]);
  const newest = useRef(asked);
  newest.current = asked;
  useEffect(() => setResult(null), [asked]);
  if (!admin) return null;

  async function send(save: boolean) {
    if (!file) return;
    setBusy(save ? "save" : "check");
    setError(null);
    const body: ConfigDraft = { text: version ? "" : text, version, expected: file.digest, save };
    try {
      const made = await post<ConfigDraftResult>(path, body);
      if (newest.current === asked) setResult(made);
      if (made.saved) {
        toast("good", `config/${props.name}.toml is written; a running stack takes it within seconds.`);
        setVersion("");
        answer.again();
        props.onSaved?.();
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy("");
    }
  }

  return (
    <Card title={props.title} actions={<button type="button" className="small" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Close" : "Edit"}</button>}>
      <ErrorNote error={answer.error ?? error} />
      {open && file && (
        <>
          <Field label={`config/${props.name}.toml`} wide>
            <textarea rows={18} spellCheck={false} className="code" value={text} disabled={version !== ""} readOnly={busy === "save"} onChange={(event) => setText(event.target.value)} />
          </Field>
          <div className="row">
            {file.versions.length > 0 && (
              <select aria-label="Version" value={version} disabled={busy === "save"} onChange={(event) => setVersion(event.target.value)}>
                <option value="">the text above</option>
                {file.versions.map((one) => <option key={one} value={one}>{versionName(one)}</option>)}
              </select>
            )}
            <button type="button" disabled={busy !== ""} onClick={() => void send(false)}>Check</button>
            <button type="button" className="primary" disabled={busy !== "" || !result || result.problem !== "" || !result.diff.length} onClick={() => void send(true)}>Save</button>
          </div>
          {result?.problem && <div className="note bad" role="alert">{result.problem}</div>}
          {result && !result.diff.length && <p className="muted">Nothing changes.</p>}
          {result && <Diff lines={result.diff} label="Changes" />}
        </>
      )}
      {!open && <p className="muted small">config/{props.name}.toml</p>}
    </Card>
  );
}
