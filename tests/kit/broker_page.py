"""docs/brokers.md, from the table of brokers and the last conformance run: `python -m tests.kit.broker_page` writes it.

The conformance run leaves `docs/brokers-conformance.json` (`lab/brokers/results.py` says what stands in it); without
the file the page says that it was not run yet.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mytrading.config.brokers import load_brokers
from mytrading.core.text.broker_facts import (
    CHECKED,
    DATA_FACTS,
    FACTS,
    STANDINGS,
    BrokerFact,
    broker_body,
    real_brokers,
)
from mytrading.messages.brokers import UNLISTED, BrokerRules, Standing
from tests.kit.project import ROOT

DOCUMENT = ROOT / "docs" / "brokers.md"
CONFORMANCE = ROOT / "docs" / "brokers-conformance.json"
HEAD = """# Brokers

OpenAlgo brings the answers of its brokers into one form, but not into one meaning: a stop that waits is `open` at one
and `trigger pending` at another, a trade row counts what filled or the whole order, a failed read is an error or an
empty book. The program takes what it may believe of an account from one table, keyed by OpenAlgo's own name of the
broker as the server's ping reports it. Written by `python -m tests.kit.broker_page`; `mytrading brokers [NAME]` shows
the same.

* **ready**: live orders work as everywhere.
* **with limits**: they are sent; some things are proven in another way, or later, as the notes below say.
* **refused**: entries are refused before money is sent, by risk and by the router, since the server cannot keep a
  stop there or its books cannot be believed. Exits are never refused, and units of ours are guarded and exited.
  `ACCEPTED_BROKERS`, a list of names, takes such a broker as it is: then the engine holds all stops of its accounts
  (alert `STOPS_IN_ENGINE`), which end when the stack stops or its quotes fail. A name that is not the account's
  broker accepts nothing.
* A broker **that is not here** trades with the cautious value of each property, as the row *not listed* shows, and
  `doctor` says so.

In analyze mode orders stay in OpenAlgo's sandbox, whichever broker the server names, and what is said of orders and
books does not count. What is said of prices and history does: these are the broker's, of each source of market data
that of its own server, and until its server has named one any frame's last price counts. A
server whose ping names another broker than before stops the entries of its account (alert `BROKER_CHANGED`) until
`mytrading resume --account ACCOUNT`.

`mytrading brokers check` tries the broker of one of your accounts in the session: one share, a buy limit far below
the market and a buy stop far above it, each placed, read, changed and cancelled
([accounts.md](accounts.md#trying-the-broker)). Its report holds no keys, names of accounts or ids; sent to us it
turns *not known* into facts.
"""


def page(conformance: Path = CONFORMANCE) -> str:
    """The whole document."""
    brokers = real_brokers(load_brokers())
    return "\n".join(
        [HEAD, *_overview(brokers), "", *_properties("What is known", brokers, FACTS), "",
         *_properties("What is known of prices and history", brokers, DATA_FACTS), "", *_notes(brokers),
         *_conformance(conformance)]
    )  # fmt: skip


def _overview(brokers: list[BrokerRules]) -> list[str]:
    lines = [f"## The {len(brokers)} brokers", ""]
    for standing in (Standing.READY, Standing.LIMITS, Standing.REFUSED):
        names = ", ".join(rules.name for rules in brokers if rules.standing is standing)
        lines.append(f"* {STANDINGS[standing]}: {names}")
    versions = sorted({rules.since for rules in brokers})
    return [*lines, "", f"How it was checked: {CHECKED}. OpenAlgo's version: {', '.join(versions)}."]


def _properties(title: str, brokers: list[BrokerRules], shown: tuple[BrokerFact, ...]) -> list[str]:
    lines = [f"## {title}", ""]
    lines.append(f"| broker | standing | {' | '.join(fact.title for fact in shown)} |")
    lines.append("|---|---|" + "---|" * len(shown))
    for rules in (*brokers, UNLISTED):
        facts = " | ".join(fact.text(rules) for fact in shown)
        lines.append(f"| {rules.name or '*any other*'} | {STANDINGS[rules.standing]} | {facts} |")
    return lines


def _notes(brokers: list[BrokerRules]) -> list[str]:
    lines = ["## What differs", ""]
    for rules in brokers:
        body = broker_body(rules)
        also = f", also {', '.join(rules.aliases)}" if rules.aliases else ""
        lines += [f"### {rules.name}", "", f"{body['standing'].capitalize()}{also}. Found on {body['found']}, OpenAlgo "
                  f"{body['since']}.", ""]  # fmt: skip
        if rules.standing is Standing.REFUSED:
            lines.append(f"* **Entries are refused**: {rules.reason}.")
        lines += [f"* {note}" for note in rules.notes]
        lines += [f"* Prices: {note}" for note in body["prices"]] + [f"* History: {note}" for note in body["bars"]]
        lines.append("")
    return lines


def _conformance(path: Path) -> list[str]:
    lines = ["## Conformance", "", "<!-- the result of the last conformance run, by tests.kit.broker_page -->", ""]
    if not path.exists():
        return [*lines, "Not run yet.", ""]
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    lines += [
        "Real processes against a server that speaks as the broker of the facts; a number of findings must be zero.",
        "",
    ]
    lines += ["| broker | passed cases | failed | left out | findings |", "|---|---|---|---|---|"]
    for name, row in sorted(found["brokers"].items()):
        words = [shown.partition(":")[0] for shown in row["cases"].values()]
        numbers = (str(words.count(word)) for word in ("passed", "failed", "left out"))
        seen = [f"{found['kinds'][kind]}: {count}" for kind, count in sorted(row["counts"].items()) if count]
        lines.append(f"| {name} | {' | '.join(numbers)} | {'; '.join(seen) or 'none'} |")
    return [*lines, "", f"Listed, not conformed: {', '.join(found['listed_only'])}.", ""]


if __name__ == "__main__":
    DOCUMENT.write_text(page(), encoding="utf-8")
    sys.exit(0)
