"""`mytrading webhook`: add, show and change webhooks, try them, and read what came in.

All but `test` work on files, with or without a running stack, which takes a change within a second or two.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from mytrading.cli.shell.failures import (
    CONFIGURATION,
    ERROR,
    NOT_RUNNING,
    TIMED_OUT,
    USAGE,
    exit_on_errors,
    fail,
    project_folder,
)
from mytrading.cli.shell.options import AsJson, Limit, Profile, completion
from mytrading.cli.shell.output import print_json, print_notes, print_result, print_rows

app = typer.Typer(
    help="Webhooks: alerts of TradingView, ChartInk, AmiBroker and your own programs, traded like any strategy.",
    no_args_is_help=True,
)
_LISTENS_S = 10.0
_ORDER_S = 15.0
SCHEMA_FILE = "docs/webhook.schema.json"
TRIAL_NS = 60_000_000_000


@completion
def webhook_names() -> list[str]:
    """Names of the project's webhooks, for completion in the shell."""
    from mytrading.cli.webhooks.files import webhook_names as names

    return names(project_folder())


Name = Annotated[str, Argument(metavar="NAME", help="The webhook.", autocompletion=webhook_names)]
Mapping = Annotated[
    list[str] | None,
    Option("--map", help="SENDER=EXCHANGE:SYMBOL,PRODUCT,QUANTITY, say RELIANCE=NSE:RELIANCE,MIS,1; repeatable."),
]
Csv = Annotated[
    Path | None, Option("--csv", help="A file of mappings: symbol,exchange,quantity,product[,instrument symbol].")
]
Mode = Annotated[str, Option("--mode", help="LONG, SHORT or BOTH; default LONG, for ChartInk BOTH.")]
Window = Annotated[str, Option("--window", help="START-END in India in which entries count, say 09:20-15:00.")]
SquareOffTime = Annotated[str, Option("--square-off", help="Time in India at which its positions are closed.")]
Positional = Annotated[bool, Option("--positional", help="Hold overnight: no window, no square-off.")]
Secret = Annotated[bool, Option("--secret", help="Ask for a secret in the body as well; printed once.")]
Signed = Annotated[bool, Option("--hmac", help="Ask for the header X-Signature as well; its key is printed once.")]
Certificate = Annotated[
    str,
    Option(
        "--certificate",
        help='Only with this common name of a certificate that the proxy checked, say "TradingView Webhooks".',
    ),
]
Ips = Annotated[list[str] | None, Option("--ip", help="Only from this address, network, or `tradingview`; repeatable.")]


@app.command()
def add(
    name: Annotated[str, Argument(metavar="NAME", help="Name of the webhook and of its strategy.")],
    sender: Annotated[str, Option("--sender", help="tradingview, chartink, amibroker or generic.")],
    mapping: Mapping = None,
    csv_file: Csv = None,
    mode: Mode = "",
    window: Window = "",
    square_off: SquareOffTime = "",
    positional: Positional = False,
    secret: Secret = False,
    hmac: Signed = False,
    ips: Ips = None,
    certificate: Certificate = "",
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Make a webhook and print its address, this once. A running stack takes it within two seconds."""
    from mytrading.cli.shell.target import refuse_taken_name
    from mytrading.cli.webhooks import files
    from mytrading.core.webhooks.authentication import digest_of
    from mytrading.core.webhooks.definition import WebhookFile, WebhookGuards, WebhookToken
    from mytrading.messages.webhooks import Sender

    home, chosen = project_folder(), files.parse_sender(sender)
    if (path := files.webhook_path(home, name)).exists():
        fail(ERROR, f"{path.relative_to(home)} exists; choose another name, or remove it first")
    refuse_taken_name(home, name)
    if positional and (window or square_off):
        fail(USAGE, "--positional: a positional webhook has neither --window nor --square-off")
    start, end = files.parse_window(window) if window else ("", "")
    symbols = _mappings(mapping, csv_file, as_json, intraday=not positional)
    files.refuse_unlisted(profile, symbols)
    token, own, key = files.new_secret(), files.new_secret(), files.new_secret()
    made = files.save_webhook(
        home,
        name,
        WebhookFile(
            sender=chosen,
            token=WebhookToken(digest=digest_of(token), made_ns=time.time_ns()),
            symbols=symbols,
            mode=mode or ("BOTH" if chosen is Sender.CHARTINK else "LONG"),
            intraday=not positional,
            start=start,
            end=end,
            square_off=square_off,
            guards=WebhookGuards(
                secret_digest=digest_of(own) if secret else "",
                hmac_key=key if hmac else "",
                ips=tuple(ips or ()),
                certificate=certificate,
            ),
        ),
    )
    _print_address(made, token, as_json, profile, own if secret else "", key if hmac else "")


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[float, Option("--overlap", min=0, help="Minutes that the old address still holds.")] = 0.0,
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Give a webhook another address and print it, this once. The old one is unknown from then on."""
    from mytrading.cli.webhooks import files

    token, home = files.new_secret(), project_folder()
    made = files.rewrite_webhook_file(
        home, name, lambda file: files.with_new_token(file, token, overlap, time.time_ns())
    )
    _print_address(made, token, as_json, profile)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """The webhooks, without their addresses."""
    from mytrading.cli.webhooks import files
    from mytrading.core.webhooks.definition import WebhookFileError, read_webhook

    rows: list[dict[str, Any]] = []
    home = project_folder()
    for name in files.webhook_names(home):
        try:
            made = read_webhook(name, files.webhook_path(home, name).read_text(encoding="utf-8"))
        except WebhookFileError as error:
            rows.append(
                {
                    "name": name,
                    "sender": "",
                    "mode": "",
                    "symbols": 0,
                    "window": "",
                    "square_off": "",
                    "state": "FAULTY",
                    "problem": error.problems[0],
                    "token_made_ns": 0,
                    "old_token_until_ns": 0,
                }
            )
            continue
        file = made.file
        window = f"{file.start}-{file.end}" if file.start else ""
        rows.append(
            {
                "name": name,
                "sender": file.sender.value,
                "mode": file.mode.upper(),
                "symbols": len(file.symbols),
                "window": window,
                "square_off": file.square_off,
                "state": "LOCKED" if file.locked else "OPEN",
                "problem": "",
                "token_made_ns": file.token.made_ns,
                "old_token_until_ns": file.token.previous_until_ns if file.token.previous else 0,
            }
        )
    columns = ("name", "sender", "mode", "symbols", "window", "square_off", "token_made_ns", "state", "problem")
    print_rows(rows, columns, as_json, "no webhooks; `mytrading webhook add NAME --sender …` makes one")


@app.command()
def show(name: Name, as_json: AsJson = False, profile: Profile = "") -> None:
    """Show a webhook, its mappings, and the texts to paste at its sender."""
    import msgspec

    from mytrading.cli.webhooks import files, texts

    made = files.load_webhook(project_folder(), name)
    file = made.file
    url = f"{_base(profile)[0]}{_path(made)}/TOKEN"
    pasted = texts.alert_texts(made, url)
    shown = msgspec.to_builtins(file)
    shown.pop("token")
    guards = shown.pop("guards", {})
    asked = [key for key, value in guards.items() if value]
    rows = [msgspec.structs.asdict(row) for row in file.symbols]
    if as_json:
        print_json({"name": name, **shown, "symbols": rows, "guards": asked, "url": url, "texts": pasted})
        return
    print(
        f"{name}  {file.sender}  {file.mode.upper()}  {'LOCKED' if file.locked else 'OPEN'}  "
        f"{'intraday' if file.intraday else 'positional'}"
    )
    if made.start:
        print(f"entries from {file.start} until {file.end}, square-off {file.square_off or 'as the exchange has it'}")
    print(f"address {url}; the token was shown once" + (f"; also asks for {', '.join(asked)}" if asked else ""))
    print_rows(rows, ("symbol", "instrument", "product", "quantity", "lots", "max_quantity"), False, "none")
    for title, text in pasted.items():
        print(f"\n{title}:\n{text}")


@app.command()
def validate(name: Annotated[str, Argument(help="The webhook; all if none is named.")] = "") -> None:
    """Check the files of webhooks, with their windows, and print each problem with its line."""
    from mytrading.cli.webhooks import files

    home = project_folder()
    for one in [name] if name else files.webhook_names(home):
        path = files.webhook_path(home, one)
        if not path.exists():
            files.load_webhook(home, one)
        files.parse_webhook_text(home, one, path.read_text(encoding="utf-8"))
        if path.stat().st_mode & 0o077:
            fail(CONFIGURATION, f"{path.relative_to(home)}: others may read it; `chmod 600 {path.relative_to(home)}`")
        print(f"{one}: in order")


@app.command()
def schema(
    write: Annotated[bool, Option("--write", help=f"Write {SCHEMA_FILE} instead of printing it.")] = False,
) -> None:
    """The JSON schema of files of webhooks, for completion in an editor (`#:schema` line, taplo)."""
    from mytrading.cli.webhooks.files import schema as made

    text = json.dumps(made(), indent=2, ensure_ascii=False)
    if write:
        (project_folder() / SCHEMA_FILE).write_text(text + "\n", encoding="utf-8")
    print(f"{SCHEMA_FILE} written" if write else text)


@app.command()
def edit(
    name: Name,
    mode: Mode = "",
    window: Window = "",
    square_off: SquareOffTime = "",
    mapping: Mapping = None,
    unmapped: Annotated[
        list[str] | None, Option("--unmap", help="A sender's symbol that is mapped no more; repeatable.")
    ] = None,
    csv_file: Csv = None,
    preview: Annotated[bool, Option("--preview", help="Show what would be taken, and change nothing.")] = False,
    live: Annotated[bool | None, Option("--live/--no-live", help="Allow live orders.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a webhook. Mappings are added; one of the same symbol is replaced by --map, and refused by --csv.
    What is held of a symbol that is mapped no more keeps its stops and square-off."""
    from msgspec.structs import replace

    from mytrading.cli.webhooks import files

    home = project_folder()
    before = files.load_webhook(home, name).file
    added = {row.symbol.upper(): row for row in _options(mapping)}
    gone = {symbol.upper() for symbol in unmapped or ()}
    if unknown := gone - {row.symbol.upper() for row in before.symbols}:
        known = ", ".join(row.symbol for row in before.symbols)
        fail(USAGE, f"--unmap: expected a mapped symbol ({known}), found {', '.join(sorted(unknown))}")
    kept = [row for row in before.symbols if row.symbol.upper() not in gone]
    rows = [added.pop(row.symbol.upper(), row) for row in kept] + list(added.values())
    if csv_file is not None:
        rows += _imported(csv_file, [row.symbol for row in rows], as_json, intraday=before.intraday, preview=preview)
    start, end = files.parse_window(window) if window else (before.start, before.end)
    after = replace(
        before,
        mode=mode or before.mode,
        start=start,
        end=end,
        square_off=square_off or before.square_off,
        symbols=tuple(rows),
        live=before.live if live is None else live,
    )
    files.refuse_unlisted("", [row for row in rows if row not in before.symbols])
    if preview:
        files.parse_webhook_text(home, name, files.changed_text(home, name, after))
        return
    files.save_webhook(home, name, after)
    print_result({"name": name, "symbols": len(rows)}, as_json, f"{name} is changed: {len(rows)} symbols")


@app.command()
def lock(name: Name, as_json: AsJson = False) -> None:
    """Refuse every alert of a webhook. What it holds stays, with its stops; `flatten --strategy NAME` closes it."""
    _lock(name, True, as_json)


@app.command()
def unlock(name: Name, as_json: AsJson = False) -> None:
    """Take the alerts of a webhook again."""
    _lock(name, False, as_json)


def _lock(name: str, locked: bool, as_json: bool) -> None:
    from msgspec.structs import replace

    from mytrading.cli.webhooks import files

    files.rewrite_webhook_file(project_folder(), name, lambda file: replace(file, locked=locked))
    print_result({"name": name, "locked": locked}, as_json, f"{name} is {'locked' if locked else 'open'}")


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a webhook: its address is unknown at once. What it holds keeps its stops, limits and square-off."""
    from mytrading.cli.webhooks import files

    home = project_folder()
    path = files.webhook_path(home, name)
    if not path.exists():
        files.load_webhook(home, name)
    if not yes and not typer.confirm(f"Remove {name}? Its address cannot be had again."):
        fail(ERROR, "nothing was removed")
    path.unlink()
    kept = "what it holds keeps its stops and square-off; `mytrading flatten --strategy` closes it now"
    print_result({"name": name, "removed": True}, as_json, f"{name} is removed; {kept}")


@app.command()
def test(
    name: Name,
    text: Annotated[Path, Option("--text", help="A file with the body of an alert; - for standard input.")],
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Send an alert to the running stack as its sender would, and show the answer and the order that it led to."""
    from msgspec.structs import replace

    from mytrading.cli.shell.failures import find_running_stack
    from mytrading.cli.webhooks import files, trial
    from mytrading.core.webhooks.authentication import digest_of
    from mytrading.runtime.streams.endpoints import read_webhook_endpoint

    try:
        body = sys.stdin.buffer.read() if str(text) == "-" else text.read_bytes()
    except OSError as error:
        fail(USAGE, f"--text: {text}: {error.strerror}")
    home = project_folder()
    made = files.load_webhook(home, name)
    with find_running_stack(profile) as found:
        place = _wait_for(lambda: read_webhook_endpoint(found.config), _LISTENS_S)
    if place is None:
        fail(NOT_RUNNING, "the process webhooks does not listen; see `mytrading logs webhooks`")
    token = files.new_secret()
    until = time.time_ns() + TRIAL_NS

    def with_trial(digest: str, until_ns: int) -> None:
        files.rewrite_webhook_file(
            home, name, lambda file: replace(file, token=replace(file.token, trial=digest, trial_until_ns=until_ns))
        )

    with_trial(digest_of(token), until)
    try:
        status, answer = trial.send_alert(f"{place['url']}{_path(made)}/{token}", body, _LISTENS_S)
        if status == 404:
            fail(TIMED_OUT, "the running stack did not take the webhook; see `mytrading logs webhooks`")
        states = trial.follow_alert(place["url"], answer, _ORDER_S if status == 202 else 0.0)
    finally:
        with_trial("", 0)
    result = {"status": status, "answer": answer, "result": states}
    lines = [f"{status} {answer.get('verdict', '')} {answer.get('code', '')} {answer.get('message', '')}".strip()]
    for row in (states or {}).get("results", ()):
        lines += [f"{row['symbol']}: {row['verdict']}", *(f"  {order}" for order in row["orders"])]
    print_result(result, as_json, *lines)


@app.command()
def log(name: Name, limit: Limit = 20, as_json: AsJson = False, profile: Profile = "") -> None:
    """The alerts that came in, the newest last, with their verdicts and what became of exits."""
    from mytrading.cli.shell.failures import find_stack
    from mytrading.cli.shell.target import market_now
    from mytrading.cli.webhooks.history import delivery_rows

    with find_stack(profile) as found:
        rows = delivery_rows(found.config, name, market_now(profile))
    rows = rows[-limit:] if limit else rows
    columns = ("received", "alert", "ip", "symbol", "verdict", "target", "code", "signal", "outcome", "body")
    print_rows(rows, columns, as_json, f"no alert came to {name}")


@app.command()
def replay(
    name: Name,
    dry: Annotated[bool, Option("--dry", help="Needed: nothing is sent, nothing is journaled.")] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Judge alerts of the past once more, by the file as it is now, and show what would differ."""
    from mytrading.cli.shell.failures import find_stack
    from mytrading.cli.webhooks import files
    from mytrading.cli.webhooks.history import compare_verdicts

    if not dry:
        fail(USAGE, "expected --dry: alerts of the past are judged again, never sent")
    made = files.load_webhook(project_folder(), name)
    with find_stack(profile) as found:
        rows = compare_verdicts(found.config, made)
    rows = rows[-limit:] if limit else rows
    print_rows(rows, ("alert", "symbol", "was", "now", "target", "text"), as_json, f"no alert came to {name}")


def _options(given: list[str] | None) -> list[Any]:
    from mytrading.cli.webhooks import files

    found = []
    for text in given or ():
        try:
            found.append(files.parse_mapping(text))
        except ValueError as error:
            fail(USAGE, f"--map: {error}")
    return found


def _mappings(given: list[str] | None, csv_file: Path | None, as_json: bool, *, intraday: bool) -> tuple[Any, ...]:
    rows = _options(given)
    if csv_file is not None:
        rows += _imported(csv_file, [row.symbol for row in rows], as_json, intraday=intraday)
    if not rows:
        fail(USAGE, "--map: expected at least one, say --map RELIANCE=NSE:RELIANCE,MIS,1")
    return tuple(rows)


def _imported(path: Path, known: list[str], as_json: bool, *, intraday: bool, preview: bool = False) -> list[Any]:
    """The mappings of a CSV file, all or none: a faulty row ends the command, after every row has its word."""
    from mytrading.cli.webhooks import files

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        fail(USAGE, f"--csv: {path} cannot be read: {error}")
    found = files.read_rows(text, known, intraday=intraday)
    faulty = [row for row in found if row.mapping is None]
    if preview or faulty:
        shown = [{"line": row.line, "row": row.text, "problem": row.problem or "in order"} for row in found]
        print_rows(shown, ("line", "row", "problem"), as_json, "no rows")
    if faulty:
        fail(CONFIGURATION, f"--csv: {len(faulty)} of {len(found)} rows are faulty, so none was taken")
    return [row.mapping for row in found]


def _print_address(made: Any, token: str, as_json: bool, profile: str, secret: str = "", key: str = "") -> None:
    from mytrading.cli.webhooks import texts

    base, notes = _base(profile)
    url = f"{base}{_path(made)}/{token}"
    body: dict[str, Any] = {"name": made.name, "url": url}
    body |= {name: value for name, value in (("secret", secret), ("hmac_key", key)) if value}
    lines = [url, *(f"{name}: {value}" for name, value in (("secret", secret), ("key of X-Signature", key)) if value)]
    for title, text in texts.alert_texts(made, url, secret).items():
        lines += ["", f"{title}:", text]
    notes += texts.address_flags(url)
    if as_json:
        print(json.dumps({**body, "notes": notes}))  # one line, for programs
    else:
        print_result(body, False, *lines)
        notes.insert(0, "the address is shown this once")
    print_notes(notes)


def _path(made: Any) -> str:
    from mytrading.messages.webhooks import Sender

    return "/chartink/webhook" if made.file.sender is Sender.CHARTINK else "/strategy/webhook"


def _base(profile: str) -> tuple[str, list[str]]:
    """The address before the path: the public one, else where the running stack listens, else the setting's port."""
    from mytrading.cli.webhooks.address import webhook_address

    with exit_on_errors():
        return webhook_address(profile, _LISTENS_S)


def _wait_for(look: Any, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
