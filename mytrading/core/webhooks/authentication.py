"""Authentication of senders: the token in the path names the webhook, and its file may ask for more.

The token is looked up by its digest. Signature, addresses and certificate are checked before a body is parsed; the
secret of a body is checked after that, since it is in it. Comparisons take the same time whatever they find.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mytrading.core.time import SECOND
from mytrading.core.webhooks.definition import WebhookDefinition, WebhookGuards
from mytrading.core.webhooks.refusals import refusal
from mytrading.messages.webhooks import AlertRefusal

STAMP_SECONDS = 300
"""A signature's time stamp may be so far from the clock, to either side."""
SIGNATURE_SECONDS = 2 * STAMP_SECONDS + 60
"""A signature counts once, and is remembered until its time stamp is too old in any case."""
_MOST_TOKEN = 200


class AlertRequest(NamedTuple):
    """A request as it came. `ip` is the sender's, `wall_ns` the wall clock's time of its arrival, and `certificate`
    the common name of the client's certificate, from a configured proxy alone; "" for none. A body that `is_cut` was
    too large or came too slowly: it holds what was read until then."""

    token: str
    body: bytes
    ip: str
    received_ns: int
    wall_ns: int
    signature: str = ""
    certificate: str = ""
    is_cut: bool = False


def digest_of(secret: str) -> str:
    """Return the SHA-256 digest of a token or secret as 64 hex digits; of any text, however wrong."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class FoundToken(NamedTuple):
    """Webhook of a token. A `trial` is from this machine's operator: its guards are not asked for."""

    webhook: WebhookDefinition
    until_ns: int = 0
    trial: bool = False


class TokenBook:
    """Webhooks by the digests of their tokens; a token that was rotated counts until its time is over."""

    def __init__(self, webhooks: Iterable[WebhookDefinition]) -> None:
        self._found: dict[str, FoundToken] = {}
        for webhook in webhooks:
            token = webhook.file.token
            for digest, until_ns, trial in (
                (token.trial, token.trial_until_ns, True),
                (token.previous, token.previous_until_ns, False),
                (token.digest, 0, False),
            ):
                if digest:
                    self._found[digest] = FoundToken(webhook, until_ns, trial)

    def find(self, token: str, wall_ns: int) -> FoundToken | None:
        """Return what a token stands for, None for one that is unknown, malformed or out of date at `wall_ns`. A digest
        is made in any case, so that nobody learns from the time that it takes which of these it was."""
        found = self._found.get(digest_of(token[:_MOST_TOKEN]))
        return None if found is None or (found.until_ns and wall_ns >= found.until_ns) else found


def check_request(
    guards: WebhookGuards, request: AlertRequest, presets: Mapping[str, Sequence[str]]
) -> AlertRefusal | None:
    """Return why a request may not count although its token is right; None if it may. Reads no body.

    `presets` are lists of addresses by the names that `ips` may hold.
    """
    if guards.ips and not _is_listed(request.ip, guards.ips, presets):
        return refusal("IP_NOT_ALLOWED", "expected a sender on the webhook's list of addresses", request.ip)
    if guards.certificate and not _same(guards.certificate, request.certificate):
        return refusal(
            "CERTIFICATE_REQUIRED",
            "expected the sender's client certificate, which the reverse proxy checks and names",
            request.certificate or "none",
        )
    return _check_signature(guards.hmac_key, request) if guards.hmac_key else None


def check_secret(guards: WebhookGuards, secret: str) -> AlertRefusal | None:
    """Return why the secret of a body is not the webhook's; None if it is, or none is asked for."""
    if not guards.secret_digest or _same(guards.secret_digest, digest_of(secret)):
        return None
    found = "another one" if secret else "none"
    return refusal("BAD_SECRET", f"expected the webhook's secret as the field secret of the body, found {found}")


def sign(key: str, body: bytes, wall_seconds: int) -> str:
    """Return the header X-Signature for a body sent at this wall time (s since 1970)."""
    made = hmac.new(key.encode(), f"{wall_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={wall_seconds},v1={made}"


def signature_digest(guards: WebhookGuards, request: AlertRequest) -> str:
    """Return what tells a request's signature from others, however its header is written; "" if none is asked for or
    the header holds none. Not a secret."""
    stamp, _ = _parts(request.signature)
    return digest_of(sign(guards.hmac_key, request.body, int(stamp))) if guards.hmac_key and stamp else ""


def _parts(signature: str) -> tuple[str, str]:
    """Time stamp (digits) and HMAC of a header X-Signature; "" for what is not there."""
    parts = dict(part.strip().partition("=")[::2] for part in signature.split(",")[:4])
    stamp = parts.get("t", "")
    return stamp if stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 else "", parts.get("v1", "")


def _check_signature(key: str, request: AlertRequest) -> AlertRefusal | None:
    stamp, made = _parts(request.signature)
    form = "expected the header X-Signature: t=SECONDS,v1=HMAC-SHA256 of `t.body` in hex"
    if not (stamp and made):
        return refusal("BAD_SIGNATURE", form, request.signature or "none")
    if not _same(sign(key, request.body, int(stamp)), f"t={int(stamp)},v1={made.lower()}"):
        return refusal("BAD_SIGNATURE", f"{form}, over the bytes as sent; this one does not fit")
    off = int(stamp) - request.wall_ns // SECOND
    if abs(off) > STAMP_SECONDS:
        return refusal(
            "STALE_SIGNATURE", f"expected a time stamp within {STAMP_SECONDS} s of this clock", f"one {off:+d} s off"
        )
    return None


def _is_listed(ip: str, listed: Iterable[str], presets: Mapping[str, Sequence[str]]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    names = [name for text in listed for name in presets.get(text, (text,))]
    return any(address in ipaddress.ip_network(name) for name in names)


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode("utf-8", "surrogatepass"), second.encode("utf-8", "surrogatepass"))
