"""The functions of the script of a report's page, called in node: one process for all calls of a worker."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.kit.project import ROOT

SCRIPT = ROOT / "mytrading" / "reports" / "report.js"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

_LOOP = """
const r = require(process.argv[1]);
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { found: new Function("r", "p", `return (${asked.expression});`)(r, asked.given) };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
});
"""


def in_node(expression: str, given: Any = None) -> Any:
    """Value of an expression; `r` are the functions of the page's script, `p` is what is given, as JSON."""
    node = _node()
    assert node.stdin is not None and node.stdout is not None
    node.stdin.write(json.dumps({"expression": expression, "given": given}) + "\n")
    node.stdin.flush()
    answer = json.loads(node.stdout.readline())
    assert "error" not in answer, f"{expression}: {answer['error']}"
    return answer.get("found")


@cache
def _node() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["node", "-e", _LOOP, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def end() -> None:
        process.kill()
        process.communicate()

    atexit.register(end)
    return process
