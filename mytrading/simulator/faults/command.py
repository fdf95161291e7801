"""`mytrading simulator fault`: shows and switches the faults of a running simulator, over its `/sim/fault`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from mytrading.simulator.faults.registry import fault_fields, parse_fault_option
from mytrading.simulator.settings.options import BadOption

_SECONDS = 5.0


class Server(NamedTuple):
    """REST address and key of a simulator."""

    url: str
    api_key: str


def fault_main(arguments: list[str], running: Callable[[], Server]) -> int:
    """Run `mytrading simulator fault`; `running` finds the simulator without `--url`. Exit 1: no answer, 2: refused."""
    given = _parser().parse_args(arguments)
    try:
        on = _switch(Server(given.url.rstrip("/"), given.api_key) if given.url else running(), given)
    except BadOption as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"no answer from a simulator: {error}; is it running?\n")
        return 1
    shown = json.dumps(on) if given.json else "\n".join(map(_line, on)) or "no fault is on"
    sys.stdout.write(shown + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mytrading simulator fault", description="Show and switch the faults of a running simulator."
    )
    parser.add_argument("fault", nargs="*", metavar="NAME[:probability|xCOUNT|key=value,...]", help="switch on")
    parser.add_argument("--off", action="append", default=[], metavar="NAME", help="switch off; may be repeated")
    parser.add_argument("--clear", action="store_true", help="switch all off, before any is switched on")
    parser.add_argument("--url", default="", help="REST address; the running stack's simulator if not given")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--json", action="store_true")
    return parser


def _switch(server: Server, given: argparse.Namespace) -> list[dict[str, Any]]:
    for text in given.fault:
        parse_fault_option(text)
    for name in ("",) if given.clear else given.off:
        _ask(server, "DELETE", {"kind": name} if name else {})
    for text in given.fault:
        _ask(server, "POST", fault_fields(text))
    found: list[dict[str, Any]] = _ask(server, "GET", {})["on"]
    return found


def _ask(server: Server, method: str, fields: dict[str, Any]) -> Any:
    body = {"apikey": server.api_key, **fields}
    query, data = ("", json.dumps(body).encode()) if method != "GET" else (f"?{urlencode(body)}", None)
    url = f"{server.url}/sim/fault{query}"
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=_SECONDS) as response:
            return json.loads(response.read())["data"]
    except HTTPError as error:
        raise BadOption(_refusal(error, fields)) from None
    except URLError as error:
        raise OSError(f"{server.url}: {error.reason}") from None


def _refusal(error: HTTPError, fields: dict[str, Any]) -> str:
    if error.code == HTTPStatus.NOT_FOUND:
        return "the server has no /sim/fault: expected a simulator, found another server; check the address"
    message = json.loads(error.read()).get("message", f"HTTP {error.code}")
    if isinstance(message, dict):
        message = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in message.items())
    return f"{fields.get('kind', 'fault')}: {message}"


def _line(row: dict[str, Any]) -> str:
    left = "for good" if row["left"] < 0 else f"{row['left']} more"
    rest = " ".join(f"{name}={value}" for name, value in row.items() if name not in ("kind", "left", "acted"))
    return f"{row['kind']}: {left}, acted {row['acted']}; {rest}"
