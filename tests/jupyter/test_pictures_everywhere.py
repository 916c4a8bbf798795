"""Pictures in prompts in every place where a prompt can be sent: docs/options.md has the table."""

import base64
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from support.images import file_of, plain_image
from support.kernels import TURN, Cell, clean_environment
from support.loopback import Loopback, captured, chunk, head, sse, stall
from support.pages import Page

from mm_magic.cli.main import main

pytestmark = pytest.mark.slow

PICTURES = (
    "from PIL import Image\nred = Image.new('RGB', (8, 5), (200, 30, 40))\n"
    "blue = Image.new('RGB', (9, 6), 'blue')"
)
ASKED = "Compare {{red}} with {{blue}}."


@pytest.fixture
def seeing(page: Page) -> Page:
    """A page with two pictures."""
    page.run("pictures", PICTURES)
    return page


def images(message: Any) -> list[str]:
    """The pictures of a message, in base64."""
    content = message["content"]
    blocks = [] if isinstance(content, str) else content
    return [block["source"]["data"] for block in blocks if block["type"] == "image"]


def shown(cell: Cell) -> list[object]:
    """The pictures that a cell shows, in base64."""
    return [each["image/png"] for each in cell.displays if "image/png" in each]


def messages(server: Loopback, number: int = -1) -> Any:
    return server.requests[number].json["messages"]


def test_what_is_shown_is_what_was_sent(seeing: Page, server: Loopback) -> None:
    """The pictures above the answer are those that were sent, and those that the turn keeps."""
    cell = seeing.ask("a", ASKED)
    sent = images(messages(server)[0])
    assert len(sent) == 2
    assert shown(cell) == sent
    assert images({"content": cell.saved["prompt"]}) == sent
    assert "answer 1" in cell.displays[3]["text/plain"]
    assert base64.b64decode(sent[0]).startswith(b"\x89PNG")


def test_an_error_shows_no_picture(seeing: Page) -> None:
    """A picture that is not sent is not shown."""
    seeing.load("")
    seeing.run("offline", "%minimax offline")
    cell = seeing.ask("a", ASKED)
    assert "can't see pictures" in cell.traceback
    assert shown(cell) == []


def test_several_answers(seeing: Page, server: Loopback) -> None:
    """Several answers stand below the pictures, which are shown once."""
    cell = seeing.ask("a", ASKED, options="-n 2")
    assert shown(cell) == images(messages(server, 0)[0]) == images(messages(server, 1)[0])
    seeing.run("pick", "%minimax pick 2")
    seeing.ask("b", "Why?")
    assert images(messages(server)[0]) == shown(cell)


def test_run_again(seeing: Page, server: Loopback) -> None:
    """A cell that runs again with another picture shows and sends that one."""
    seeing.ask("a", ASKED)
    seeing.run("other", "red = Image.new('RGB', (3, 3), 'green')")
    cell = seeing.ask("a", ASKED)
    assert shown(cell) == images(messages(server)[0])
    assert images(messages(server, 0)[0])[0] != shown(cell)[0]
    assert "Compare [image/png, 3×3, " in seeing.run("show", "%minimax show 1").shown


@pytest.mark.parametrize("trusted", [True, False])
def test_restart(seeing: Page, server: Loopback, trusted: bool) -> None:
    """Another kernel sends the saved pictures with the next prompt, and draws them again."""
    cell = seeing.ask("a", ASKED)
    seeing.save(trusted=trusted)
    told = seeing.load(server.url)
    if not trusted:
        seeing.ask("c", "Before?")
        assert not any(map(images, messages(server)))
        told = seeing.run("restore", "%minimax restore").shown
    assert "not on the page" not in told
    again = seeing.run("show", "%minimax show 1")
    seeing.ask("b", "Why?")
    assert images(messages(server)[0]) == shown(cell) == shown(again)


def test_a_strange_picture_in_an_untrusted_file(seeing: Page, server: Loopback) -> None:
    """What is no picture in a file is not sent and not drawn, even after `restore`."""
    seeing.ask("a", ASKED)
    prompt = seeing.cells["a"]["outputs"][-1]["data"][TURN]["prompt"]
    first, second = (block for block in prompt if block["type"] == "image")
    first["source"]["media_type"] = "text/html"
    second["source"]["data"] = base64.b64encode(file_of(plain_image(3000, 2))).decode()
    seeing.save(trusted=False)
    seeing.load(server.url)
    told = seeing.run("restore", "%minimax restore")
    again = seeing.run("show", "%minimax show 1")
    seeing.ask("b", "Why?")
    assert "prompt" in told.shown
    assert shown(again) == []
    assert images(messages(server)[0]) == []
    assert messages(server)[0]["content"][0]["text"] == "Compare "


def test_fork(seeing: Page, server: Loopback) -> None:
    """A copy has its pictures, also after a restart."""
    cell = seeing.ask("a", ASKED)
    seeing.run("fork", "%minimax fork idea")
    seeing.save()
    seeing.load(server.url)
    seeing.ask("b", "Why?", options="-c idea")
    assert images(messages(server)[0]) == shown(cell)


def test_stop(seeing: Page) -> None:
    """After a stop the pictures stay above what came, and the turn keeps them."""
    begun = [head(), chunk(sse(*captured(text="half of it")[:-3])), stall]
    with Loopback(begun) as server:
        seeing.load(server.url)
        cell = seeing.ask("a", ASKED, when=lambda cell: "half of it" in str(cell.displays))
    assert cell.ename == "Stopped"
    assert len(shown(cell)) == 2
    assert images({"content": cell.saved["prompt"]}) == shown(cell)


def test_a_reader_without_a_key(seeing: Page, server: Loopback) -> None:
    """Without a key the saved answer comes below its own pictures, whatever they are now."""
    cell = seeing.ask("a", ASKED)
    seeing.save()
    seeing.load("")
    seeing.run("pictures", PICTURES)
    same = seeing.ask("a", ASKED)
    assert shown(same) == shown(cell)
    assert "was reused" in same.shown
    seeing.run("other", "red = Image.new('RGB', (3, 3), 'green')")
    kept = seeing.ask("a", ASKED)
    assert (
        "A picture has changed; the answer below was given for the old one, shown above it."
        in kept.shown
    )
    assert shown(kept) == shown(cell)
    assert len(server.requests) == 1


def test_replay_of_the_notebook(seeing: Page, server: Loopback) -> None:
    """The notebook's own turns answer for other pictures, too, and say so."""
    seeing.ask("a", ASKED)
    seeing.ask("b", "Why?")
    seeing.save()
    seeing.load(server.url)
    seeing.run("replay", "%minimax replay --speed 100")
    seeing.run("pictures", PICTURES)
    assert "different picture" not in seeing.ask("a", ASKED).shown
    seeing.run("other", "red = Image.new('RGB', (3, 3), 'green')")
    for cell, prompt in (("a", ASKED), ("b", "Why?")):
        assert "The answer was recorded with a different picture." in seeing.ask(cell, prompt).shown
    assert len(server.requests) == 2


def test_panel(seeing: Page, server: Loopback) -> None:
    """Settings of the panel hold for a cell with pictures."""
    seeing.run("set", "%config MiniMax.temperature = 0.3")
    seeing.ask("a", ASKED)
    assert server.requests[-1].json["temperature"] == 0.3
    assert len(images(messages(server)[0])) == 2


def test_strip_and_extract(seeing: Page) -> None:
    """`extract` names the pictures; `strip` leaves those that the page shows."""
    cell = seeing.ask("a", ASKED)
    seeing.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(seeing.path), "--format", "jsonl"])
        main(["strip", str(seeing.path)])
    row = json.loads(out.getvalue().splitlines()[0])
    assert row["prompt"].startswith("Compare [image/png, 8×5, ")
    file = json.loads(seeing.path.read_text("utf-8"))
    left = [o["data"] for c in file["cells"] for o in c["outputs"] if "data" in o]
    assert not any(TURN in data for data in left)
    pictures = ["".join(data["image/png"]) for data in left if "image/png" in data]
    assert [each.strip() for each in pictures] == shown(cell)


def test_headless_and_as_html(server: Loopback, tmp_path: Path) -> None:
    """nbclient draws the pictures once, above the answer, and nbconvert's page has them."""
    cells = ["%load_ext mm_magic", PICTURES, f"%%minimax\n{ASKED}"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    one, two, *_ = made[2]["outputs"]
    sent = images(messages(server)[0])
    assert [each["data"]["image/png"].strip() for each in (one, two)] == sent
    exporter: Any = HTMLExporter  # without annotations
    html, _ = exporter().from_notebook_node(notebook)
    assert all(f"data:image/png;base64,{data}" in html for data in sent)
