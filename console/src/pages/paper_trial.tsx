/** A strategy on paper money: a stack of its own on the simulator, beside this one, with a console of its own. */
import { useState } from "react";
import { post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { PaperTrialState } from "../generated/api";
import { Badge, ErrorNote } from "../ui/parts";

const CHANGES = new Set(["starting", "stopping"]);
const [SOON_MS, LATER_MS] = [1500, 15_000];

/** Starts a trial of `strategy` (empty: only shows what runs), unless it is `unsaved`: what is in the file runs. */
export function PaperTrial({ strategy, unsaved = false }: { strategy: string; unsaved?: boolean }) {
  const mayAct = useRole("trader");
  const [everyMs, setEveryMs] = useState(LATER_MS);
  const answer = useAnswer<PaperTrialState>("/api/paper", {}, everyMs);
  const [error, setError] = useState<unknown>(null);
  const trial = answer.data;
  const changes = trial !== null && CHANGES.has(trial.state);
  if (changes !== (everyMs === SOON_MS)) setEveryMs(changes ? SOON_MS : LATER_MS);
  async function change(path: string, body?: unknown) {
    try {
      await post<PaperTrialState>(path, body);
      setError(null);
    } catch (failure) {
      setError(failure);
    }
    answer.again();
  }
  if (!mayAct || !trial || (!strategy && trial.state === "none")) return null;
  return (
    <div className="row">
      {strategy && (
        <button type="button" disabled={changes || unsaved} title={unsaved ? "Save first: what is in the file runs" : "On the simulator, beside this stack and with none of its accounts"} onClick={() => void change("/api/paper", { strategy })}>
          Run on paper
        </button>
      )}
      {trial.state !== "none" && (
        <>
          <Badge tone={trial.state === "failed" ? "bad" : "info"}>paper {trial.state}</Badge>
          <span className="small">{trial.strategy} {trial.error && <span className="loss">{trial.error}</span>}</span>
          {trial.address && <a href={trial.address} target="_blank" rel="noreferrer">{trial.address}</a>}
          {trial.state === "running" && <button type="button" className="small" onClick={() => void change("/api/paper/stop")}>End the trial</button>}
        </>
      )}
      <ErrorNote error={error} />
    </div>
  );
}
