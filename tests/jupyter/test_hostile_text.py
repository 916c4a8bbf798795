"""Control characters, half characters and naughty strings in every field, on every way out."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support import corpora
from support.hostile import answering
from support.kernels import Kernel
from support.loopback import Loopback, streamed
from support.samples import one_in
from support.shells import Shell, fresh_shell

from mm_magic.jupyter.panel.text import still
from mm_magic.protocol.messages import TextBlock
from mm_magic.rendering.bundles import Bundle, line_bundle
from mm_magic.rendering.tables import table_bundle
from mm_magic.session.options import Options
from mm_magic.session.session import Session

ESCAPES = corpora.escapes()
NAUGHTY = corpora.strings()
PAYLOADS = corpora.payloads()

HALVES = ["a\ud800b", "\udc00"]
TEXT = "\n".join([*ESCAPES, *HALVES])
NAME = "".join([*ESCAPES, *HALVES]).replace("\n", " ").replace("\r", " ")
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
OWN = re.compile("\x1b\\[[01]m")  # of an error's heading


def acting(shown: str) -> set[str]:
    """The characters of a shown text that a terminal obeys."""
    return set(ACTING.findall(OWN.sub("", shown)))


CELLS = (
    "%%minimax\nwhy",
    "%%minimax --alone --hide-thinking\nwhy",
    "%%minimax --dry-run\n{{bad}}",
    "%%minimax\n{{bad}}",
    "%%minimax\nbreak",
    "%%minimax\nfail",
    "%%minimax -m nosuch\nfail",
    "%minimax",
    "%minimax history",
    "%minimax show 1",
    "%minimax show",
    "%minimax request",
    "%minimax request 1",
    "%minimax models",
    "%minimax usage",
    "%minimax panel",
    "%minimax forget 1",
    "import mm_magic as mm\nmm.ask('why', conversation=bad)",
    "mm.ask('fail')",
    "mm.ask('why')",
    "get_ipython().run_line_magic('minimax', f'-c \"{name}\"')",
    "get_ipython().run_line_magic('minimax', f'history \"{name}\"')",
    "get_ipython().run_line_magic('minimax', f'show {name}')",
    "get_ipython().run_line_magic('minimax', f'restore \"{name}\"')",
    "get_ipython().run_line_magic('minimax', f'reset \"{name}\"')",
    "get_ipython().run_line_magic('minimax', f'-s \"{name}\" -m \"{name}\"')",
    "get_ipython().run_line_magic('minimax', f'{name}')",
    "get_ipython().run_line_magic('minimax', f'-t {name}')",
    "get_ipython().run_cell_magic('minimax', f'-c \"{name}\"', f'{bad}')",
    "get_ipython().run_cell_magic('minimax', f'-o \"{name}\"', f'{bad}')",
    "get_ipython().run_cell_magic('minimax', f'-t \"{name}\"', f'{bad}')",
    "get_ipython().run_line_magic('minimax', 'history')",
    "%minimax panel",
    "%minimax",
    "%config MiniMax",
    "%minimax code",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback(answering(TEXT, NAME)) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, server: Loopback) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.fresh(server.url)
        kernel.run(f"bad = {TEXT!r}\nname = {NAME!r}.replace('\"', ' ')")
        yield kernel


# A widget's field holds the user's own text as it is, to be edited.
NOT_SHOWN = ("execute_input", "comm_open", "comm_msg")


def texts_of(value: object) -> Iterator[str]:
    """All strings in a message, but for the JSON of turns, whose texts are as they came."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            if "minimax.turn" not in name:
                yield from texts_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each)


def test_no_output_of_a_kernel_holds_a_control_character(kernel: Kernel) -> None:
    """Cells, commands, warnings and errors show control characters as pictures, in every form."""
    for code in CELLS:
        cell = kernel.run(code)
        messages = [m["content"] for m in cell.messages if m["msg_type"] not in NOT_SHOWN]
        found = {char for text in texts_of([messages, cell.reply]) for char in acting(text)}
        assert (code, found) == (code, set())


def test_no_output_of_a_terminal_holds_a_control_character(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same where text is printed: in a plain IPython."""
    monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
    with fresh_shell() as shell:
        shell["bad"], shell["name"] = TEXT, NAME.replace('"', " ")
        for code in CELLS:
            shell.execute(code)
            shown = "".join(capsys.readouterr())
            assert (code, acting(shown)) == (code, set())
    assert "why" in str(server.requests[0].json)


def test_no_command_line_prints_a_control_character(kernel: Kernel, tmp_path: Path) -> None:
    """`extract` and `strip` print no control characters, whatever a notebook holds."""
    kernel.run("%minimax -c main -m M")
    cell = kernel.run("%%minimax\nwhy")
    v4: Any = nbformat.v4
    outputs = [v4.new_output("display_data", bundle) for bundle in cell.displays]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("%%minimax\nwhy", outputs=outputs)])
    path = tmp_path / f"{NAME.replace('/', '').replace(chr(0), '')[:40]}.ipynb"
    path.write_text(v4.writes(notebook), "utf-8", "surrogatepass")
    missing = str(tmp_path / "\x1b[2J\x9b31m")
    for command in (
        ["extract", str(path)],
        ["extract", str(path), "--format", "csv"],
        ["extract", str(path), "--format", "md"],
        ["extract", missing],
        ["strip", missing, str(path)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mm_magic", *command],
            capture_output=True,
            timeout=60,
            check=False,
        )
        shown = done.stdout.decode() + done.stderr.decode()
        assert shown
        assert (command[0], acting(shown.replace("\r\n", "\n"))) == (command[0], set())


class Tags(HTMLParser):
    """The start tags of a page and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"{tag} {' '.join(name for name, _ in attrs)}")


@pytest.mark.parametrize("kind", ["panel", "table", "line"])
def test_names_are_never_markup(kind: str) -> None:
    """A model, system prompt or conversation with any name leaves the page's elements as with a
    harmless one, in the panel that stays in the file, in the history and in a line.

    Only what looks like an option to type, in backticks, is code there.
    """

    def bundle(text: str) -> Bundle:
        if kind == "panel":
            return still(Options(model=text, system=text, conversation=text))
        return table_bundle(["a"], [[text]], [text]) if kind == "table" else line_bundle(text)

    due = Tags(str(bundle("x")["text/html"])).found
    for text in filter(str.strip, [*PAYLOADS, *NAUGHTY, *ESCAPES]):
        shown = bundle(text.replace("\n", " "))
        found = Tags(str(shown["text/html"])).found
        of_text = ("br ",) if kind == "panel" else ("br ", "code ")
        assert [tag for tag in found if tag not in of_text] == [t for t in due if t not in of_text]
        assert acting(str(shown["text/html"])) | acting(str(shown["text/plain"])) == set()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shell, Loopback]]:
    with Loopback(streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            yield shell, server


@one_in(8)
def test_naughty_strings_as_prompt_and_variable(shell: tuple[Shell, Loopback], step: int) -> None:
    """Each is sent as it is, as a prompt, as a variable's value, and as the system prompt, or it is
    refused in words where nothing is in it."""
    ip, server = shell
    sent = 0
    for text in NAUGHTY[::step]:
        ip["x"] = text
        ip.execute("%%minimax --alone\n{{x}}")
        ip.ip.run_cell_magic("minimax", "--alone --literal", text) if text.strip() else None
        if not text.strip():
            assert "empty" in str(ip.error("%%minimax --alone\n{{x}}"))
            continue
        by_variable, by_prompt = server.requests[-2:]
        assert by_variable.json["messages"][0]["content"] == text
        assert by_prompt.json["messages"][0]["content"] == text.strip("\n")
        sent += 1
    assert sent > 0.9 * len(NAUGHTY) // step


@one_in(4)
def test_naughty_strings_as_names(step: int) -> None:
    """As a conversation's name each keeps its turns apart from all others; as a system prompt and
    as a model's name it is sent as it is."""

    async def main(session: Session) -> None:
        for text in names:
            options = Options(model=text, system=text, conversation=text, retries=0)
            await session.turns.ask("Hi", options, alone=False)

    names = [text for text in dict.fromkeys(NAUGHTY[::step]) if text.strip()]
    with Loopback(streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        asyncio.run(main(session))
        assert [len(request.json["messages"]) for request in server.requests] == [1] * len(names)
        assert [request.json["system"] for request in server.requests] == names
        assert [request.json["model"] for request in server.requests] == names
    assert list(session.conversations) == names
    turn = session.conversations.named(names[0]).turns[0]
    assert isinstance(turn.reply.message.content[1], TextBlock)


def test_naughty_strings_as_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: tuple[Shell, Loopback]
) -> None:
    """`%minimax restore` with any name is an error of the user's, in words; nothing is sent."""
    monkeypatch.chdir(tmp_path)
    ip, server = shell
    for text in [*NAUGHTY, *ESCAPES, "\x00", "~nobody/x", "a" * 5000, "/", "\ud800"]:
        name = text.replace('"', "").replace("\n", " ")
        if not name.strip() or name.strip().isdecimal() or name.strip().startswith("-"):
            continue  # nothing, a turn's number, an option
        ip["name"] = name
        error = ip.error("get_ipython().run_line_magic('minimax', f'restore \"{name}\"')")
        assert type(error).__name__ == "UsageError", (name, error)
        assert acting(str(error)) == set()
    assert not server.requests
    assert not list(tmp_path.iterdir())
