"""The console's application: its routes, the roles that may use them, and answers to errors."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.plugins.core import MsgspecDIPlugin

from mytrading import __version__
from mytrading.daemons.console import (
    accounts_api,
    actions_api,
    config_api,
    feed_api,
    legs_api,
    margin_api,
    page_files,
    pages_api,
    paper_api,
    reports_api,
    research_api,
    risk_api,
    setup_api,
    webhook_api,
)
from mytrading.daemons.console.authentication import Authentication, Viewer, audit_refusal
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages.console_api import ApiError
from mytrading.messages.console_rows import TOPICS
from mytrading.runtime.observability.logging import get_logger

MOST_BODY = 64 * 1024


class TopicAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a topic by key."""

    version: int
    rows: dict[str, Any]


@get("/livez", opt={"open": True}, sync_to_thread=False)
def livez() -> dict[str, bool]:
    """The process answers."""
    return {"alive": True}


@get("/api/schema", sync_to_thread=False, include_in_schema=False)
def schema(request: Request[Viewer, Any, State]) -> dict[str, Any]:
    """The description of this API, as OpenAPI."""
    return request.app.openapi_schema.to_schema()


@get(["/api/{topic:str}", *(f"/api/{name}" for name in TOPICS)])
async def show_topic(request: Request[Viewer, Any, State], state: State) -> TopicAnswer:
    """The rows of a topic, read now."""
    topic = request.url.path.rpartition("/")[2]
    if topic not in TOPICS:
        raise ApiRefused("NOT_FOUND", f"expected one of {', '.join(TOPICS)}; found {topic[:40]!r}")
    await state.reader.refresh((topic,))
    found = state.reader.book.get(topic)
    if found is None or state.reader.problem:
        raise ApiRefused("STACK_SILENT", state.reader.problem or "nothing was read yet", "", 2)
    return TopicAnswer(version=found.version, rows=dict(found.rows))


@websocket("/api/live")
async def live(socket: WebSocket[Viewer, Any, Any]) -> None:
    """Send changes of the watched topics as they happen."""
    await socket.app.state.hub.serve(socket)


class ConsoleApplication(Litestar):
    """Litestar without its plug-ins for libraries that we do not use: they would load pydantic, 12 MB."""

    @staticmethod
    def _get_default_plugins(plugins: list[Any]) -> list[Any]:
        return [*plugins, MsgspecDIPlugin()]


HANDLERS = [
    livez,
    schema,
    show_topic,
    live,
    *accounts_api.ROUTES,
    *actions_api.ROUTES,
    *pages_api.ROUTES,
    *feed_api.ROUTES,
    *reports_api.ROUTES,
    *risk_api.ROUTES,
    *legs_api.ROUTES,
    *research_api.ROUTES,
    *paper_api.ROUTES,
    *setup_api.ROUTES,
    *margin_api.ROUTES,
    *webhook_api.ROUTES,
    *config_api.ROUTES,
    *page_files.ROUTES,
]
"""Of every route."""


def make_application(state: State) -> Litestar:
    """Return the application around `state`: its config, store, hub, reader, files, door and build."""
    return ConsoleApplication(
        HANDLERS,
        middleware=[DefineMiddleware(Authentication)],
        exception_handlers={
            HTTPException: _refuse,
            UnicodeDecodeError: _refuse_unreadable,
            RecursionError: _refuse_unreadable,
            Exception: _fail,
        },
        state=state,
        openapi_config=OpenAPIConfig(title="MyTrading console", version=__version__, path="/unserved"),
        request_max_body_size=MOST_BODY,
        logging_config=None,
        debug=False,
    )


def _refuse(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    if isinstance(error, ApiRefused):
        body = ApiError(code=error.code, error=error.error, field=error.field, retry_after_s=error.retry_after_s)
    elif isinstance(error, ValidationException) or status == 400:
        body, status = _bad_request(error), 400
    else:
        code = {404: "NOT_FOUND", 405: "NOT_FOUND", 413: "BAD_REQUEST"}.get(status, "BAD_REQUEST")
        body = ApiError(code=code, error=f"expected another request: {error.detail}")
    return _refusal(request, body, status)


def _bad_request(error: HTTPException) -> ApiError:
    """Return the error of a malformed body, with the first wrong field."""
    extra = error.extra if isinstance(error.extra, list) and error.extra else [{}]
    first: Any = extra[0] if isinstance(extra[0], dict) else {}
    field, text = str(first.get("key", "")), str(first.get("message", error.detail))
    if "expected" not in text.lower():
        text = f"expected what GET /api/schema describes; {text}"
    return ApiError(code="BAD_REQUEST", error=f"{field}: {text}" if field else text, field=field)


def _refuse_unreadable(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A body that Litestar lets through to the decoder: text that is no UTF-8, or nested without an end."""
    if request.method != "POST":
        return _fail(request, error)
    text = f"expected JSON in UTF-8 as GET /api/schema describes it; {error}"
    return _refusal(request, ApiError(code="BAD_REQUEST", error=text[:300]), 400)


def _fail(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    get_logger("console").error("request.failed", path=request.scope["path"], exc_info=error)
    text = "a defect in the console; see `mytrading logs console`"
    return _refusal(request, ApiError(code="DEFECT", error=text), 500)


def _refusal(request: Request[Any, Any, Any], body: ApiError, status: int) -> Response[bytes]:
    audit_refusal(request, body.error)
    headers = {"retry-after": str(body.retry_after_s)} if body.retry_after_s else {}
    return Response(msgspec.json.encode(body), status_code=status, media_type=MediaType.JSON, headers=headers)
