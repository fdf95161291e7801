"""Webhooks behind nginx as docs/webhooks.md has it: a receiver that is down is 503, which TradingView sends again, and
never 504, which it does not; and the name of a client's certificate is passed on if nginx has checked it."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.core.webhooks.authentication import AlertRequest
from tests.kit.alert_loop import Loop
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed; `apt-get install nginx-light` brings it"),
]

TOKEN = "a-token-of-tests"
CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        access_log off;
        error_log {folder}/error.log crit;
        {locations}
    }}
    {secure}
}}
"""
SECURE = """
    map $ssl_client_s_dn $name {{ default ""; "~(^|,)CN=(?<cn>[^,]+)" $cn; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/ca.pem;
        ssl_certificate_key {folder}/ca.key;
        ssl_client_certificate {folder}/ca.pem;
        ssl_verify_client optional;
        access_log off;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Client-Certificate-CN $name;
        }}
    }}
"""
NAME = "TradingView Webhooks"


def locations(upstream: int) -> str:
    """Locations of nginx as the documents give them, with another port and less patience."""
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    found = page.partition("    location ~")[2].partition("\n}\n")[0]
    assert "8701;" in found and "proxy_read_timeout 3s" in found
    return "location ~" + found.replace("8701;", f"{upstream};").replace("read_timeout 3s", "read_timeout 1s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def post(port: int, secure: ssl.SSLContext | None = None) -> int:
    plain = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection = plain if secure is None else http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=secure)
    try:
        headers = {"X-Forwarded-For": "6.6.6.6", "X-Client-Certificate-CN": "TradingView Webhooks"}
        connection.request("POST", f"/strategy/webhook/{TOKEN}", b"{}", headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def make_certificate(folder: Path, name: str, subject: str, issuer: str = "") -> None:
    """A key and a certificate in files `name`, signed by those of `issuer`, or by itself."""
    signed = ["-CA", f"{folder}/{issuer}.pem", "-CAkey", f"{folder}/{issuer}.key"] if issuer else []
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
    subprocess.run([*command, *signed, *files, "-subj", subject], check=True, capture_output=True)


@pytest.fixture
def secure_port(tmp_path: Path) -> int:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; `apt-get install openssl` brings it")
    make_certificate(tmp_path, "ca", "/CN=Authority")
    make_certificate(tmp_path, "sender", f"/O=Example, Inc./CN={NAME}", "ca")
    make_certificate(tmp_path, "stranger", f"/CN={NAME}")
    return free_port()


@pytest.fixture
def proxied(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Loop, int]]:
    assert NGINX is not None
    port = free_port()
    with Loop(("127.0.0.1",)) as loop:
        config = tmp_path / "nginx.conf"
        secure = ""
        if "secure_port" in request.fixturenames:
            other = request.getfixturevalue("secure_port")
            secure = SECURE.format(folder=tmp_path, port=other, upstream=loop.server.port)
        shown = locations(loop.server.port)
        config.write_text(CONFIG.format(folder=tmp_path, port=port, locations=shown, secure=secure))
        process = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(config)])
        try:
            eventually(lambda: post(port) == 202)
            yield loop, port
        finally:
            process.terminate()
            process.wait()


def test_receiver_that_is_down_or_hangs_is_503_and_no_log_holds_the_token(
    proxied: tuple[Loop, int], tmp_path: Path
) -> None:
    loop, port = proxied
    request = loop.requests[-1]
    assert isinstance(request, AlertRequest)
    assert (request.token, request.ip, request.certificate) == (TOKEN, "127.0.0.1", "")
    loop.holds.clear()
    assert post(port) == 503
    loop.holds.set()
    eventually(lambda: post(port) == 202)
    loop.server.stop()
    assert post(port) == 503
    logs = [path.read_text() for path in tmp_path.glob("*.log")]
    assert len(logs) == 2
    assert not any(TOKEN in text for text in logs)


@pytest.mark.parametrize(
    ("certificate", "status", "name"), [("sender", 202, NAME), ("", 202, ""), ("stranger", 400, None)]
)
def test_name_of_a_checked_certificate_is_passed_on(
    secure_port: int, proxied: tuple[Loop, int], tmp_path: Path, certificate: str, status: int, name: str | None
) -> None:
    loop, _ = proxied
    context = ssl.create_default_context(cafile=f"{tmp_path}/ca.pem")
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(f"{tmp_path}/{certificate}.pem", f"{tmp_path}/{certificate}.key")
    loop.requests.clear()
    assert post(secure_port, context) == status
    found = [request.certificate for request in loop.requests if isinstance(request, AlertRequest)]
    assert found == ([] if name is None else [name])
