"""The pages as files: what is served, how it is kept, and what is said where they were not built."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.kit.console_browser import ConsoleOfTest


def test_pages_are_served_and_no_path_leads_out_of_them(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (bundle / "index.html").write_text('<div id="root"></div>')
    (bundle / "build.json").write_text('{"build": "abc"}')
    (bundle / "assets" / "index-1.js").write_text("const script = 1;" * 100)
    made = ConsoleOfTest(tmp_path, bare=True, bundle=bundle)
    try:
        page = made.browser()
        assert page.get("/").text == '<div id="root"></div>'
        assert page.open_page()["build"] == "abc"
        script = page.get("/assets/index-1.js")
        assert script.text == "const script = 1;" * 100
        assert (script.headers["content-encoding"], "immutable" in script.headers["cache-control"]) == ("gzip", True)
        plain = page.get("/assets/index-1.js", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text == script.text
        for path in ("/../secret.txt", "/assets/../../secret.txt", "/assets/%2e%2e%2f%2e%2e%2fsecret.txt", "/none.js"):
            assert httpx.get(made.server.url + path).status_code == 404, path
    finally:
        made.stop()


def test_page_that_was_not_built_says_how_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path, bare=True)
    try:
        found = made.browser().get("/")
        assert (found.status_code, found.json()["code"]) == (503, "NO_BUNDLE")
        assert "make console" in found.json()["error"]
        assert made.browser().get("/livez").status_code == 200
    finally:
        made.stop()
