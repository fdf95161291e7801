"""Texts that an operator pastes at the sender: alert texts, AFL and commands, without any broker key."""

from __future__ import annotations

from urllib.parse import urlsplit

from mytrading.core.webhooks.definition import WebhookDefinition
from mytrading.messages.run_config import Direction
from mytrading.messages.webhooks import Sender

LOCAL = ("127.0.0.1", "localhost", "::1")


def address_flags(url: str) -> list[str]:
    """Return what keeps a sender on the internet from reaching an address, and what to do; [] if nothing does."""
    parts = urlsplit(url)
    if parts.hostname in LOCAL:
        return ["the address is this machine's own: senders on the internet cannot reach it; set WEBHOOK_PUBLIC_URL"]
    if parts.scheme != "https":
        return ["the address is not https: the token can be read on the way; put a reverse proxy with a certificate"]
    if parts.port not in (None, 80, 443):
        return ["TradingView reaches the ports 80 and 443 alone"]
    return []


def alert_texts(webhook: WebhookDefinition, url: str, secret: str = "") -> dict[str, str]:
    """Return the texts of a webhook by title. `secret` is that of the body, if its file asks for one."""
    symbol = webhook.file.symbols[0].symbol
    own = f',\n  "secret": "{secret or "YOUR SECRET"}"' if webhook.file.guards.secret_digest else ""
    match webhook.file.sender:
        case Sender.TRADINGVIEW:
            return {
                "Message of a strategy's alert": _STRATEGY.format(secret=own),
                "Message of an indicator's alert": _INDICATOR.format(secret=own, extra=_size(webhook)),
            }
        case Sender.CHARTINK:
            return {"Name of the alert": _CHARTINK}
        case Sender.AMIBROKER:
            extra = own.replace('"', '\\"').replace("\n  ", " ")
            return {"AFL": _AFL.format(url=url, extra=extra, calls="\n".join(_afl_calls(webhook)))}
        case _:
            body = _GENERIC.format(symbol=symbol, extra=_size(webhook), secret=own.replace("\n  ", " "))
            return {"curl": f"curl -X POST '{url}' -d '{body}'"}


def _size(webhook: WebhookDefinition) -> str:
    """The size of the text of a webhook of the mode BOTH: that of its first mapping."""
    return f', "position_size": {_units(webhook)}' if webhook.mode is Direction.BOTH else ""


def _units(webhook: WebhookDefinition) -> str:
    """Units of the first mapping; of one in lots the word UNITS, to be put right by whoever pastes it."""
    return str(webhook.file.symbols[0].quantity or '"UNITS"')


def _afl_calls(webhook: WebhookDefinition) -> list[str]:
    """The lines that send: one for each signal of AmiBroker that the mode takes, with the position after it."""
    if webhook.mode is Direction.BOTH:
        units = _units(webhook).strip('"')
        sizes = {"Buy": units, "Sell": "0", "Short": f"-{units}", "Cover": "0"}
        return [f'if( LastValue( {name} ) ) SendAlert( "{name.lower()}", "{size}" );' for name, size in sizes.items()]
    names = ("Short", "Cover") if webhook.mode is Direction.SHORT else ("Buy", "Sell")
    return [f'if( LastValue( {name} ) ) SendAlert( "{name.lower()}", "" );' for name in names]


_STRATEGY = """{{
  "symbol": "{{{{ticker}}}}", "action": "{{{{strategy.order.action}}}}",
  "position_size": "{{{{strategy.position_size}}}}",
  "id": "{{{{strategy.order.id}}}} {{{{timenow}}}}", "time": "{{{{timenow}}}}"{secret}
}}"""
_INDICATOR = """{{
  "symbol": "{{{{ticker}}}}", "action": "buy"{extra}, "time": "{{{{timenow}}}}"{secret}
}}"""
_CHARTINK = "one of the words BUY, SELL, SHORT and COVER, say: BUY breakouts"
_GENERIC = '{{"symbol": "{symbol}", "action": "buy"{extra}{secret}}}'
_AFL = """// Sends an alert once for each signal and bar: AFL runs again at every refresh.
function SendAlert( action, size )
{{
    key = "mytrading" + Name() + Interval();
    time = NumToStr( LastValue( DateTime() ), formatDateTime );
    if( StaticVarGetText( key ) != action + time )
    {{
        body = "{{\\"symbol\\": \\"" + Name() + "\\", \\"action\\": \\"" + action +
               "\\", \\"time\\": \\"" + time + "\\"{extra}";
        if( size != "" ) body = body + ", \\"position_size\\": \\"" + size + "\\"";
        handle = InternetPostRequest( "{url}", body + "}}" );
        if( handle )
        {{
            InternetClose( handle );
            StaticVarSetText( key, action + time, True );   // not before: a failed request is sent again
        }}
    }}
}}
{calls}
"""
