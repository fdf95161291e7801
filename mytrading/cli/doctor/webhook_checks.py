"""The check of webhooks: their files, the port, and the address that senders are given."""

from __future__ import annotations

import http.client
from pathlib import Path

from mytrading.cli.doctor.checks import CheckContext, Finding, failed, ok, warning
from mytrading.cli.webhooks.texts import address_flags
from mytrading.core.time import ist_date
from mytrading.core.webhooks.definition import WebhookFileError, read_webhook, window_problems
from mytrading.runtime.daemon.webhook_files import webhook_paths
from mytrading.runtime.streams.endpoints import read_webhook_endpoint

_PRIVATE = 0o077


def check_webhooks(context: CheckContext) -> Finding:
    """Check that the files of webhooks are in order and private, that their process answers while the stack runs, and
    that senders on the internet can reach its address."""
    paths = webhook_paths(context.config.webhooks_dir)
    if not paths:
        return ok("none; `mytrading webhook add` makes one")
    if problems := [problem for path in paths for problem in _file_problems(context, path)]:
        return failed("; ".join(problems), "correct the file; `mytrading webhook validate` names key and line")
    if open_ := [str(path) for path in paths if path.stat().st_mode & _PRIVATE]:
        return warning(f"others may read {', '.join(open_)}", f"chmod 600 {' '.join(open_)}")
    if context.is_running and (silent := _silent(context)):
        return failed(silent, "see `mytrading logs webhooks`")
    url = context.config.webhooks.public_url or f"http://127.0.0.1:{context.config.webhooks.port}"
    if flags := address_flags(url):
        return warning(f"{len(paths)} in order; {'; '.join(flags)}", "see docs/webhooks.md")
    return ok(f"{len(paths)} in order, at {url}")


def _file_problems(context: CheckContext, path: Path) -> list[str]:
    try:
        found = read_webhook(path.stem, path.read_text(encoding="utf-8"))
    except WebhookFileError as error:
        return list(error.problems)
    except (OSError, ValueError) as error:
        return [f"{path.name}: {error}"]
    unknown = [name for name in found.instruments if not context.calendar.has_exchange(name.partition(":")[0])]
    if unknown:
        return [f"{path.name}: {', '.join(unknown)}: config/calendar.toml has no such exchange"]
    return [f"{path.name}: {one}" for one in window_problems(found, context.calendar, ist_date(context.now))]


def _silent(context: CheckContext) -> str:
    """Return why the process does not answer, or "". The requested address is no webhook's and changes nothing."""
    place = read_webhook_endpoint(context.config)
    if place is None:
        return "the stack runs and does not listen for webhooks"
    connection = http.client.HTTPConnection("127.0.0.1", int(place["port"]), timeout=5.0)
    try:
        connection.request("GET", "/webhook/status/doctor")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"port {place['port']} does not answer: {error}"
    finally:
        connection.close()
    return "" if status == 404 else f"port {place['port']} answered {status}, expected 404"
