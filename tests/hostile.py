"""The corpus of hostile inputs: a folder beside the checkout, or wherever MM_MAGIC_HOSTILE says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(
    os.environ.get("MM_MAGIC_HOSTILE") or Path(__file__).parents[2] / "shared" / "hostile"
)


def load(name: str) -> Any:
    """The JSON of one file. Where it is missing, the test is skipped; in CI that is a failure.

    Called while a module is imported, it skips all of the module.
    """
    path = FOLDER / name
    if not path.is_file():
        reason = f"no hostile inputs at {path}: set MM_MAGIC_HOSTILE to their folder"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason, allow_module_level=True)
    return json.loads(path.read_text("utf-8"))
