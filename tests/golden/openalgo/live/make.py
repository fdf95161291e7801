"""Distils a recorded live server's answers into shapes: `python -m tests.golden.openalgo.live.make TRANSCRIPT`.

TRANSCRIPT is one file of requests and responses. Used by hand when there is a new one; the tests read the result only.
Rule: requests stay behind, since each depends on those before it; a test makes its own and compares by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.golden.openalgo.make import shape

SHAPES = Path(__file__).with_name("shapes.json")


def main(transcript: Path) -> None:
    """Write the status and shape of each recorded answer under its name."""
    calls = json.loads(transcript.read_text())
    answers = {call["name"]: call["response"] for call in calls if "json" in call.get("response", {})}
    found = {name: {"status": answer["status"], "shape": shape(answer["json"])} for name, answer in answers.items()}
    SHAPES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
