"""What `{{…}}` is filled in, for the kernel and for the editor that marks it."""

import json
from pathlib import Path

CASES: list[tuple[str, list[str]]] = [
    (case["text"], case["filled"])
    for case in json.loads((Path(__file__).parents[1] / "data/inserts.json").read_text("utf-8"))
]
"""Texts, and what is filled in of each."""
