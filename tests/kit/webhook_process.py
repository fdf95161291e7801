"""The process `webhooks` without a process: its port is open, and a test turns its loop. Its market stands at 10:00."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mytrading.core.webhooks.definition import WebhookFile, write_webhook
from mytrading.daemons.webhooks.daemon import WebhookReceiver
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.run_config import WebhookRules
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import read_segment, segments
from tests.kit.feed_process import SBIN, feed_config, runtime_folder
from tests.kit.project import ROOT
from tests.kit.webhooks import at, instruments


@contextmanager
def webhook_process(
    folder: Path, files: Mapping[str, WebhookFile], proxies: tuple[str, ...] = ()
) -> Iterator[WebhookReceiver]:
    """A receiver of these webhooks by name, with its state in `folder`."""
    home = folder / "home"
    (home / "config" / "webhooks").mkdir(parents=True)
    for name in ("calendar.toml", "webhook_senders.toml"):
        shutil.copy(ROOT / "config" / name, home / "config")
    for name, file in files.items():
        (home / "config" / "webhooks" / f"{name}.toml").write_text(write_webhook(file))
    with runtime_folder() as runtime:
        config = feed_config(folder / "state", runtime, "http://127.0.0.1:9", "ws://127.0.0.1:9", (SBIN,))
        rules = WebhookRules(port=0, proxies=proxies)
        receiver = WebhookReceiver(msgspec.structs.replace(config, home=str(home), webhooks=rules))
        receiver.setup()
        receiver.hooks.environment.instruments = instruments()
        receiver.clock.market_and_machine_now = lambda: (at("10:00:00"), machine_now())  # type: ignore[method-assign]
        try:
            yield receiver
        finally:
            receiver.teardown()
            receiver.context.destroy(linger=0)


def journaled(receiver: WebhookReceiver) -> list[Any]:
    """Return the rows that the receiver has journaled, oldest first."""
    decoders = {stream: StreamDecoder(stream) for stream in ("internal", "records", "signals")}
    return [decoders[row.stream].decode_body(row.body) for row in read_segment(segments(receiver.journal.folder)[-1])]
