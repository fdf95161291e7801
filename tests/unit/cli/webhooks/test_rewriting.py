"""Files changed by commands: comments and spelling stay, and the file says what it should."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.cli.webhooks.rewriting import rewrite_webhook
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookGuards, read_webhook

TEXT = f"""# Breakouts of the morning.
sender = 'generic'  # a program of ours
mode   = "LONG"

# Shown once.
[token]
digest = "{"0" * 64}"  # of the token

# The bank.
[[symbols]]
symbol = "SBIN"  # as we write it
instrument = "NSE:SBIN"
quantity = 50

# Software.
[[symbols]]
symbol = "INFY"
instrument = "NSE:INFY"
quantity = 5
"""
COMMENTS = ("# Breakouts", "# a program", "# Shown once.", "# of the token", "# The bank.", "# as we", "# Software.")
FILE = read_webhook("alerts", TEXT).file
SBIN, INFY = FILE.symbols


def rewritten(after: WebhookFile, text: str = TEXT) -> str:
    found = rewrite_webhook("alerts", text, after)
    assert read_webhook("alerts", found).file == after
    return found


def test_changed_keys_are_written_and_all_else_stays() -> None:
    changed = replace(
        FILE, locked=True, start="09:20", end="15:00", token=replace(FILE.token, trial="1" * 64, trial_until_ns=5),
        guards=WebhookGuards(ips=("10.0.0.1",)), symbols=(replace(SBIN, quantity=7), INFY),
    )  # fmt: skip
    found = rewritten(changed)
    assert [comment for comment in COMMENTS if comment not in found] == []
    assert 'mode   = "LONG"\nstart = "09:20"\n' in found
    assert '# of the token\ntrial = "1' in found
    assert "quantity = 7\n\n# Software.\n[[symbols]]" in found
    assert rewritten(FILE, found).replace("[guards]\n", "").split() == TEXT.split()


def test_mappings_are_taken_out_with_their_comments_and_appended() -> None:
    found = rewritten(replace(FILE, symbols=(INFY, SymbolMapping(symbol="TCS", instrument="NSE:TCS", lots=2))))
    assert "SBIN" not in found
    assert "# The bank." not in found
    assert found.endswith('quantity = 5\n\n[[symbols]]\nsymbol = "TCS"\ninstrument = "NSE:TCS"\nlots = 2\n')


@pytest.mark.parametrize("after", [replace(FILE, symbols=(INFY, SBIN)), replace(FILE, mode="SHORT", symbols=(INFY,))])
@pytest.mark.parametrize("text", [TEXT, TEXT.replace("[[symbols]]", "[[ symbols ]]"), "not TOML"])
def test_file_says_what_it_should_however_it_is_written(after: WebhookFile, text: str) -> None:
    assert read_webhook("alerts", rewritten(after, text)).file == after


def test_mappings_in_one_line_are_written_anew() -> None:
    line = 'symbols = [{symbol = "SBIN", instrument = "NSE:SBIN", quantity = 50}]\n'
    text = f'sender = "generic"\n{line}[token]\ndigest = "{"0" * 64}"\n'
    assert "[[symbols]]" in rewritten(replace(FILE, symbols=(replace(SBIN, quantity=9),)), text)
