"""`%minimax key` in a real kernel: a masked prompt, a check, and nothing kept but in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, failure, stall, streamed, whole
from support.printed import on_one_line

KEY = "sk-live-4f6e-not-a-real-key"
NOW_ASKED = (
    "The key is kept in this kernel only, in no file. From now on, `%%minimax` asks your own "
    "server (MINIMAX_BASE_URL), with a key. `%minimax offline` switches to the demo."
)
MODELS = whole(200, {"data": [{"id": "MiniMax-M2.7"}, {"id": "MiniMax-M2.5"}]})
OTHERS = whole(200, {"data": [{"id": "MiniMax-M9"}]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder) as kernel:
        yield kernel


@pytest.mark.parametrize(
    "typed",
    [KEY, f'"{KEY}"', f"'{KEY}'", f"Bearer {KEY}", f' bearer "{KEY}" ', f'"Bearer {KEY}"\t'],
    ids=["bare", "double", "single", "Bearer", "bearer-quoted", "quoted-Bearer"],
)
def test_key_is_asked_for_checked_and_used(kernel: Kernel, typed: str) -> None:
    """The prompt is masked; quotes and "Bearer" come off; the key goes to the server and no
    further."""
    with Loopback(MODELS, streamed()) as server:
        kernel.fresh(server.url)
        cell, asked = kernel.run_and_type("%minimax key", typed)
        kernel.run("%%minimax\nWhy?")

    assert asked["password"] is True
    assert "not shown or saved" in asked["prompt"]
    assert cell.status == "ok"
    assert "The key works with your own server" in cell.shown
    assert NOW_ASKED in on_one_line(cell.shown)
    assert "MiniMax-M2.7 is in the server's list" in cell.shown
    assert [(r.method, r.path) for r in server.requests] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/messages"),
    ]
    assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {KEY}"}
    assert not any("x-api-key" in r.headers for r in server.requests)


def test_key_is_found_nowhere(kernel: Kernel, folder: Path) -> None:
    """The key is in no message of the kernel, no list of settings, and no file."""
    with Loopback(MODELS, streamed(), failure(401, "invalid api key (2049)")) as server:
        kernel.fresh(server.url)
        cell, _ = kernel.run_and_type("%minimax key", KEY)
        cells = [
            cell,
            kernel.run("%%minimax\nWhy?"),
            kernel.run("%minimax request"),
            kernel.run("%minimax"),
            kernel.run("%config MiniMax"),
            kernel.run("%history -g"),
            kernel.run("%whos\n_, _.message"),
            kernel.run("import mm_magic.session.api\nvars(mm_magic.session.api.session())"),
            kernel.run("%xmode Verbose"),
            kernel.run("%%minimax\nWhy?"),
            kernel.run("import mm_magic as mm\nmm.ask('Why?')"),
            kernel.run("%tb"),
            kernel.run("import os\ndict(os.environ)"),
        ]
        kernel.run("%xmode Context")

    assert [r.headers["authorization"] for r in server.requests] == [f"Bearer {KEY}"] * 4
    assert not [each for each in cells if KEY in str(each.messages) + str(each.reply)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert "history.sqlite" in {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_panel_knows_of_the_key(kernel: Kernel) -> None:
    """A panel that is open says at once that there is a key."""
    none = failure(404, "not found")  # a list, which the panel asks for, would be told of, too
    with Loopback(none, none, none) as server:
        kernel.fresh(server.url)
        kernel.run("%minimax panel", cell_id="a")
        cell, _ = kernel.run_and_type("%minimax key", KEY)
        kernel.run("%unload_ext mm_magic")

    states = [message["content"]["data"].get("state", {}) for message in cell.of("comm_msg")]
    told = "Answering: your own server (MINIMAX_BASE_URL), with a key."
    assert told in [state.get("value") for state in states]


def test_refused_key_is_not_kept(kernel: Kernel) -> None:
    """A key that the server refuses is told as a card, and the one before stays in use."""
    refused = failure(401, "invalid api key (2049)")
    with Loopback(MODELS, refused, streamed()) as server:
        kernel.fresh(server.url)
        kernel.run_and_type("%minimax key", KEY)
        cell, _ = kernel.run_and_type("%minimax key", "sk-wrong")
        kernel.run("%%minimax\nWhy?")

    assert cell.status == "error"
    assert "MiniMax (auth)" in cell.traceback
    assert "Check the key. Set it with `%minimax key`" in cell.traceback
    assert "sk-wrong" not in str(cell.messages)
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_stop_while_the_key_is_checked(kernel: Kernel) -> None:
    """Stop ends the check in one line, and the key is not kept."""
    with Loopback([stall], streamed()) as server:
        kernel.fresh(server.url)
        cell, _ = kernel.run_and_type("%minimax key", KEY, stop_at=server.arrived)
        kernel.run("%%minimax\nWhy?")

    assert cell.ename == "KeyboardInterrupt"
    assert "Stopped." in cell.traceback
    assert "\n" not in cell.traceback
    assert "authorization" not in server.requests[-1].headers


def test_server_without_a_list_of_models(kernel: Kernel) -> None:
    """Where the server has no list of models the key is kept, and said to be unchecked."""
    with Loopback(failure(404, "not found"), streamed()) as server:
        kernel.fresh(server.url)
        cell, _ = kernel.run_and_type("%minimax key", KEY)
        kernel.run("%%minimax\nWhy?")

    assert cell.status == "ok"
    assert "your own server could not be checked" in cell.shown
    assert NOW_ASKED in on_one_line(cell.shown)
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_key_while_a_recording_answers(kernel: Kernel, folder: Path) -> None:
    """A recording goes on answering after a key was typed, and the way to the server is named."""
    with Loopback(MODELS) as server:
        kernel.fresh(server.url)
        kernel.run(f"%cd -q {folder}\n%minimax record lesson.jsonl\n%minimax replay lesson.jsonl")
        cell, _ = kernel.run_and_type("%minimax key", KEY)

    told = on_one_line(cell.shown)
    assert "Answers still come from the recording lesson.jsonl" in told
    assert "`%minimax live` asks your own server (MINIMAX_BASE_URL), with a key." in told
    assert "From now on" not in told


def test_model_that_is_not_served(kernel: Kernel) -> None:
    """If the chosen model is not served, those that are and the line that switches are shown."""
    with Loopback(OTHERS) as server:
        kernel.fresh(server.url)
        cell, _ = kernel.run_and_type("%minimax key", KEY)

    assert "MiniMax-M2.7 is not in the server's list: MiniMax-M9" in cell.shown
    assert "%minimax -m MiniMax-M9" in cell.shown


@pytest.mark.parametrize(
    ("typed", "words"),
    [("", "no key was entered"), ("a key", "contains a space"), ("schlüssel", "copy")],
)
def test_what_can_not_be_a_key(kernel: Kernel, typed: str, words: str) -> None:
    """An empty line and text that no key can be are refused without showing it."""
    with Loopback(MODELS) as server:
        kernel.fresh(server.url)
        cell, _ = kernel.run_and_type("%minimax key", typed)

    assert (cell.status, cell.ename) == ("error", "UsageError")
    assert words in cell.traceback
    assert not typed or typed not in cell.traceback
    assert not server.requests


def test_headless(kernel: Kernel) -> None:
    """Where nobody can type, the error says how to give the key."""
    kernel.fresh()

    cell = kernel.run("%minimax key", allow_stdin=False)

    assert (cell.status, cell.ename) == ("error", "UsageError")
    assert "no key can be typed here" in cell.traceback
    assert "MINIMAX_API_KEY" in cell.traceback


def test_plain_http_to_another_machine(kernel: Kernel) -> None:
    """A key that may not go to the address is not kept."""
    kernel.fresh("http://model.test")

    cell, _ = kernel.run_and_type("%minimax key", KEY)

    assert "the key is not sent to model.test over plain http" in cell.traceback
    assert "without a key" in kernel.run("%minimax").shown
