"""More hostile inputs than the project's own, where this machine has them.

They are in a folder beside the checkout, or wherever MM_MAGIC_HOSTILE says. No promise rests on
them: `support.corpora` has the project's own. CommonMark's examples are here, too.
"""

import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from support.loopback import END, Connection, Event, Step, captured, chunk, failure, head, whole

FOLDER = Path(
    os.environ.get("MM_MAGIC_HOSTILE") or Path(__file__).parents[3] / "shared" / "hostile"
)


def is_there(name: str = "") -> bool:
    """Whether this machine has the folder, or the file in it that is named."""
    return (FOLDER / name).exists()


def load(name: str) -> Any:
    """The JSON of one file. A test that has nothing but this file is skipped without it."""
    if not is_there(name):
        pytest.skip(f"{name} is not on this machine; MM_MAGIC_HOSTILE names its folder")
    return json.loads((FOLDER / name).read_text("utf-8"))


def commonmark_examples() -> list[str]:
    """The examples of CommonMark's specification, from the source package of markdown-it-py.

    It is fetched once, with pip, into the user's cache or the folder that MM_MAGIC_TEST_CACHE
    names. Where that fails, the test is skipped; in CI that is a failure.
    """
    version = importlib.metadata.version("markdown-it-py")
    cache = Path(os.environ.get("MM_MAGIC_TEST_CACHE") or Path.home() / ".cache/mm_magic_tests")
    archive = cache / f"markdown_it_py-{version}.tar.gz"
    if not archive.is_file():
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
        done = subprocess.run(
            [*pip, "-d", cache, f"markdown-it-py=={version}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            reason = f"the source of markdown-it-py can't be fetched: {done.stderr.strip()[-500:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    name = f"markdown_it_py-{version}/tests/test_cmark_spec/commonmark.json"
    with tarfile.open(archive) as source, source.extractfile(name) or io.BytesIO() as file:
        return [example["markdown"] for example in json.load(file)]


def answering(text: str, name: str) -> Step:
    """A server that puts `text` and `name` wherever it can: all its answers do.

    The prompts "fail", "break" and "unknown" get an error at once, in the answer, and for the
    model; any other an answer.
    """

    def answer(connection: Connection) -> None:
        request = connection.request
        if request.method == "GET":
            whole(200, {"data": [{"id": name}, {"id": "M"}]})(connection)
            return
        prompt = request.json["messages"][-1]["content"]
        if prompt in ("fail", "unknown"):
            status, code = (400, 2013) if prompt == "fail" else (404, 0)
            failure(status, f"{text} ({code})", request_id=name.encode("ascii", "ignore").hex())(
                connection
            )
            return
        head()(connection)
        for event in _events(text, name, is_broken=prompt == "break"):
            # Half characters go over the wire as escapes.
            chunk(f"data: {json.dumps(event)}\n\n".encode())(connection)
        END(connection)

    return answer


def _events(text: str, name: str, *, is_broken: bool) -> list[Event]:
    events = captured(thinking=text, text=f"{text}\n\n```python\nx = '{name}'\n```")
    events[0]["message"] |= {"model": name, "id": name}
    tool = {"type": "tool_use", "id": name, "name": name, "input": {name: name}}
    events.insert(9, {"type": "content_block_start", "index": 2, "content_block": tool})
    if is_broken:
        error = {"message": text}
        return [*events[:-2], {"type": "error", "error": error, "request_id": name}]
    events[-2]["delta"]["stop_reason"] = name
    return events
