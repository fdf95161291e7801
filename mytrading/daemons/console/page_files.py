"""The built front end: its files, read once, and what is answered where it was not built."""

from __future__ import annotations

import gzip
import mimetypes
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from mytrading.daemons.console.refusals import ApiRefused

BUNDLE = Path(__file__).with_name("bundle")
NO_BUILD = "none"
_MISSING = (
    "the pages of the web console are not built: `make console` builds them (it needs Node, or fetches it). "
    "Everything else of the stack works without them, the API of the console too"
)
_IMMUTABLE = "public, max-age=31536000, immutable"
_TEXT = ("text/", "application/javascript", "image/svg", "application/manifest")
OPEN: dict[str, Any] = {"open": True}


def read_build(bundle: Path) -> str:
    """Return the mark of the build that a page compares with its own; `none` without a bundle."""
    try:
        return str(msgspec.json.decode((bundle / "build.json").read_bytes())["build"])
    except (OSError, KeyError, TypeError, msgspec.DecodeError):
        return NO_BUILD


class PageFiles:
    """The files of a bundle by name. Names are looked up among what was found, so no path leads out of it."""

    def __init__(self, bundle: Path) -> None:
        self._compressed: dict[str, bytes] = {}
        self._files = {str(path.relative_to(bundle)): path for path in bundle.rglob("*") if path.is_file()}

    def answer(self, name: str, accepted: str = "") -> Response[bytes]:
        """Return a file, compressed where the browser says that it takes it; raises `ApiRefused` for another name."""
        if (path := self._files.get(name)) is None:
            if name == "index.html":
                raise ApiRefused("NO_BUNDLE", _MISSING)
            raise ApiRefused("NOT_FOUND", "expected the name of a file of the pages; load the page again")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        cached = _IMMUTABLE if name.startswith("assets/") else "no-store"
        headers = {"cache-control": cached, "vary": "accept-encoding"}
        if "gzip" not in accepted or not kind.startswith(_TEXT):
            return Response(path.read_bytes(), media_type=kind, headers=headers)
        if name not in self._compressed:
            self._compressed[name] = gzip.compress(path.read_bytes(), 6)
        return Response(self._compressed[name], media_type=kind, headers=headers | {"content-encoding": "gzip"})


@get("/", opt=OPEN, sync_to_thread=False, include_in_schema=False)
def show_index(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Answer the page; 503 with what to do where it was not built."""
    found: Response[bytes] = state.files.answer("index.html", request.headers.get("accept-encoding", ""))
    return found


@get("/assets/{name:str}", opt=OPEN, sync_to_thread=False, include_in_schema=False)
def show_asset(request: Request[Any, Any, Any], state: State, name: FromPath[str]) -> Response[bytes]:
    """Answer a script or style of the page, whose name changes with its content."""
    found: Response[bytes] = state.files.answer(f"assets/{name}", request.headers.get("accept-encoding", ""))
    return found


@get("/{name:str}", opt=OPEN, sync_to_thread=False, include_in_schema=False)
def show_file(request: Request[Any, Any, Any], state: State, name: FromPath[str]) -> Response[bytes]:
    """Answer an icon or the manifest of the page."""
    found: Response[bytes] = state.files.answer(name, request.headers.get("accept-encoding", ""))
    return found


ROUTES = [show_index, show_asset, show_file]
