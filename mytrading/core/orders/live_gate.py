"""Gates of a run that may send orders to its server: live money needs all of them open."""

from __future__ import annotations

from mytrading.messages.enums import Mode
from mytrading.messages.run_config import RunConfig, ServerMode, VenueKind


def confirmed_accounts(text: str) -> list[str]:
    """Return the account names in a comma-separated LIVE_CONFIRM value."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def live_run_problem(config: RunConfig) -> str:
    """Return why this run may not send orders (its mode, or LIVE_CONFIRM, does not match); empty if it may."""
    venue = config.venue
    if venue.kind is VenueKind.DRY_RUN:
        return ""
    if (config.mode is Mode.LIVE) != (venue.expected_mode is ServerMode.LIVE):
        return (
            f"expected a live run at a live server or a paper run at an analyzing one, found a {config.mode} run and a "
            f"server in mode {venue.expected_mode}; `mytrading down`, then `mytrading up` writes the run file anew"
        )
    if config.mode is Mode.LIVE and not config.trade_execution:
        return "live orders need ENABLE_TRADE_EXECUTION=true, found false; set it, then start again"
    names = [account.id for account in config.order_accounts]
    if config.mode is Mode.LIVE and set(names) != set(confirmed_accounts(config.live_confirm)):
        found = config.live_confirm or "nothing"
        return f"live orders need LIVE_CONFIRM={','.join(names)}, found {found}; set it, then start again"
    return ""
