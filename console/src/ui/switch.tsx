/** Entries of one strategy on or off; its exits always go on. */
import { useState } from "react";
import type { StrategyRow } from "../generated/api";
import { ActionDialog } from "./action";
import { profit } from "./format";

export function SwitchDialog(props: { strategy: StrategyRow; onClose: () => void }) {
  const [seen] = useState(props.strategy);
  return (
    <ActionDialog
      title={seen.enabled ? `Pause ${seen.name}` : `Enable ${seen.name}`} action="switch" button={seen.enabled ? "Stop its entries" : "Allow its entries"}
      body={{ strategy: seen.name, enabled: !seen.enabled }} onClose={props.onClose}
    >
      <p>
        {seen.enabled
          ? `No new entry of ${seen.name}. Its ${seen.positions} open position${seen.positions === 1 ? "" : "s"} (open P&L ${profit(seen.unrealised)}) keep stops and exits.`
          : `${seen.name} may enter again with its next signal. Asks for your password or code, unless you gave it within ten minutes.`}
      </p>
    </ActionDialog>
  );
}
