"""`%%minimax` in a real kernel: both ways of running, what is drawn, and what is remembered."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event

import pytest
from support.kernels import TURN, Bundle, Cell, Kernel, clean_environment
from support.loopback import (
    END,
    Connection,
    Loopback,
    captured,
    chunk,
    head,
    pause,
    sse,
    streamed,
    until,
)
from support.shells import file_with_cell

PARTS = [chunk(sse(event)) for event in captured()]
SHOWN = "Rayleigh scattering."
STATUS = "MiniMax-M2.7 · turn 1 · 39 in / 41 out · seconds"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(streamed()) as server:
        yield server


@pytest.fixture
def kernel(process: Kernel, server: Loopback) -> Kernel:
    """The module's kernel, with nothing remembered."""
    process.fresh(server.url)
    return process


def last_lines(bundles: Iterable[Bundle]) -> list[str]:
    """The last line of the plain text of each display; of the seconds it took, that it has them."""
    lines = [bundle["text/plain"].split("\n")[-1] for bundle in bundles]
    return [re.sub(r" · \d+\.\d s$", " · seconds", line) for line in lines]


def prompts(server: Loopback) -> list[list[str]]:
    """The prompts in each request: the earlier ones first."""
    return [
        [m["content"] for m in request.json["messages"] if m["role"] == "user"]
        for request in server.requests
    ]


# Drawing


def test_cell_keeps_three_parts(kernel: Kernel) -> None:
    """A page keeps thinking, answer and status, and the cell's value is not drawn again."""
    cell = kernel.run("%%minimax\nWhy?", cell_id="a")

    assert cell.status == "ok"
    assert last_lines(cell.displays) == [
        "> The sky scatters blue light.",
        SHOWN,
        STATUS,
    ]
    assert not cell.of("execute_result")
    assert kernel.run("print(_.text.strip(), Out[max(Out)] is _)").stdout == f"{SHOWN} True\n"


@pytest.mark.parametrize("code", ["_", "Out[max(Out)]", "[_][0]", "display(_)"])
def test_reply_is_drawn_when_it_is_shown_later(kernel: Kernel, code: str) -> None:
    """Another cell that shows the reply draws thinking and answer."""
    kernel.run("%%minimax\nWhy?")

    shown = kernel.run(code).displays

    assert [bundle["text/plain"].split("\n")[-1] for bundle in shown] == [
        "> The sky scatters blue light.",
        SHOWN,
    ]


@pytest.mark.parametrize(
    "code",
    [
        "%%time\n%%minimax -o reply\nWhy?",
        "%%timeit -n1 -r1\n%%minimax -o reply\nWhy?",
        "get_ipython().run_cell('%%minimax -o reply\\nWhy?');",
        "reply = get_ipython().run_cell_magic('minimax', '', 'Why?')",
        "def ask():\n    return get_ipython().run_cell_magic('minimax', '', 'Why?')\nreply = ask()",
        "import mm_magic as mm\nreply = get_ipython().run_cell_magic('minimax', '', 'Why?')\n"
        "assert mm.ask('Why?').text == (await mm.ask_async('Why?')).text == reply.text",
    ],
)
def test_synchronous_ways(kernel: Kernel, code: str) -> None:
    """Where the cell is more than the magic, it runs to its end, and is drawn once."""
    cell = kernel.run(code)

    assert cell.status == "ok"
    assert cell.shown.count(SHOWN) == 1
    assert kernel.run("print(reply.text.strip())").stdout == f"{SHOWN}\n"


@pytest.mark.parametrize("above", ["", "%%time\n", "%%capture\n%%time\n"])
def test_nothing_is_stripped(kernel: Kernel, server: Loopback, above: str) -> None:
    """What looks like a prompt of Python or IPython reaches the server, as do indentations."""
    for prompt in (">>> 1 + 1\n2\nWhy?", "In [4]: 1\n   ...: 2", "    a\n    (b", "$ ls\nx?"):
        cell = kernel.run(f"{above}%%minimax --alone\n{prompt}")
        assert cell.status == "ok"
        assert prompts(server)[-1] == [prompt]


def test_autoawait_off(kernel: Kernel) -> None:
    """With `%autoawait off` the magic runs to its end."""
    kernel.run("%autoawait off")
    cell = kernel.run("%%minimax\nWhy?")
    kernel.run("%autoawait on")

    assert (cell.status, cell.shown.count(SHOWN)) == ("ok", 1)


@pytest.mark.parametrize(
    "show", ["captured.show()", "for output in captured.outputs: display(output)"]
)
def test_captured_and_shown_later(kernel: Kernel, show: str) -> None:
    """`%%capture` above the magic leaves one line; shown later, each part comes once."""
    (line,) = kernel.run("%%capture captured\n%%minimax\nWhy?").displays
    assert line["text/plain"] == "Remembered: turn 1 of main."

    shown = kernel.run(show)

    assert shown.status == "ok"
    assert last_lines(shown.displays[:3]) == [
        "> The sky scatters blue light.",
        SHOWN,
        STATUS,
    ]


ASK = "get_ipython().run_cell_magic('minimax', '--alone', 'go')"


@pytest.mark.parametrize(
    "code",
    [
        f"with out:\n    {ASK}",
        f"with W.Output():\n    with out:\n        {ASK}",
        f"@out.capture()\ndef ask():\n    {ASK}\nask()",
        f"@W.interact(x=3)\ndef ask(x):\n    {ASK}",
        f"W.interactive_output(lambda x: {ASK}, {{'x': slider}});",
        f"box = W.interactive(lambda x: {ASK}, x=slider)\nslider.value += 1",
        f"a.observe(lambda _: callback(), 'value')\nW.dlink((slider, 'value'), (a, 'value'))\n"
        f"@out.capture()\ndef callback():\n    {ASK}\nslider.value += 1",
        f"import threading\nwith out:\n    thread = threading.Thread(target=lambda: {ASK})\n"
        "    thread.start()\n    thread.join()",
    ],
    ids=["with", "nested", "decorator", "interact", "interactive_output", "interactive",
         "link", "thread"],
)  # fmt: skip
def test_output_widget_gets_whole_parts(kernel: Kernel, code: str) -> None:
    """Where an Output widget takes what is displayed, each part comes once, and is final: a front
    end hands it no updates."""
    kernel.run("import ipywidgets as W\nout, slider, a = W.Output(), W.IntSlider(), W.IntText()")

    cell = kernel.run(code)

    assert cell.status == "ok"
    assert not cell.of("update_display_data")
    texts = [bundle["text/plain"] for bundle in cell.displays if "text/plain" in bundle]
    ends = [text for text in texts if "39 in / 41 out" in text]
    assert texts.count(SHOWN) == len(ends) > 0


@pytest.mark.parametrize(
    "code",
    [
        ASK,
        f"with out:\n    pass\n{ASK}",
        f"with out:\n    raise ValueError\n{ASK}",
        f"import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()):\n    {ASK}",
        f"out.msg_id = 'of another cell'\n{ASK}\nout.msg_id = ''",
    ],
)
def test_output_widget_that_takes_nothing(kernel: Kernel, code: str) -> None:
    """Beside an Output widget, and where only stdout goes elsewhere, an answer grows as ever."""
    kernel.run("import ipywidgets as W\nout = W.Output()")

    cell = kernel.run(code)

    assert cell.of("update_display_data")
    assert SHOWN in cell.shown


def test_turn_in_an_output_widget_is_kept(kernel: Kernel, server: Loopback) -> None:
    """A remembered turn that a widget shows is among the cell's own outputs, to be restored."""
    kernel.run("import ipywidgets as W\nout = W.Output()")

    cell = kernel.run(f"with out:\n    {ASK.replace('--alone', '')}", cell_id="a")

    assert "Remembered: turn 1 of main." in cell.displays[-1]["text/plain"]
    assert cell.displays[-1][TURN]["turns"][0]["prompt"] == "go"
    kernel.run("%%minimax\nNext", cell_id="b")
    assert prompts(server)[-1] == ["go", "Next"]


@pytest.mark.parametrize("kind", ["ipynb", "ipy"])
def test_run_of_a_file(kernel: Kernel, server: Loopback, tmp_path: Path, kind: str) -> None:
    """`%run` of a notebook and of an .ipy file runs the cells with the magic in them."""
    path = file_with_cell(tmp_path, kind, "%%minimax\nWhy?")

    cell = kernel.run(f"%run {path}")

    assert (cell.status, cell.shown.count(SHOWN)) == ("ok", 1)
    assert prompts(server) == [["Why?"]]


def test_loop_stays_free_in_an_awaited_cell(process: Kernel, tmp_path: Path) -> None:
    """While a cell of the magic alone streams, the kernel handles a widget's message."""
    mark = tmp_path / "came"

    def until_the_message_came(connection: Connection) -> None:
        process.open_comm("mark")
        while not (mark.exists() or connection.server.stopping.wait(0.01)):
            pass

    with Loopback([head(), *PARTS[:8], until_the_message_came, *PARTS[8:], END]) as server:
        process.fresh(server.url)
        process.run(
            "import pathlib\n"
            "get_ipython().kernel.comm_manager.register_target("
            f"'mark', lambda comm, message: pathlib.Path({str(mark)!r}).touch())"
        )
        cell = process.run("%%minimax\nWhy?")

    assert cell.status == "ok"
    assert mark.exists()


# Headless


def test_headless_run_draws_each_part_once(kernel: Kernel) -> None:
    """With nobody to watch there is one display a part, and no update."""
    cell = kernel.run("%%minimax\nWhy?", allow_stdin=False)

    assert len(cell.of("display_data")) == 3
    assert not cell.of("update_display_data")
    assert last_lines(cell.displays[1:]) == [SHOWN, STATUS]


def test_headless_runs_are_equal(process: Kernel, tmp_path: Path) -> None:
    """Two runs in two kernels give the same outputs, to the last byte."""
    code = "%%minimax --max-tokens 90 -t 0.5\nWhy is the sky blue?"
    process.fresh()
    first = process.run(code, allow_stdin=False)
    with Kernel(tmp_path) as other:
        other.fresh()
        second = other.run(code, allow_stdin=False, cell_id="other")

    assert len(first.displays) == 3
    assert json.dumps(first.displays) == json.dumps(second.displays)


# Which cell


def test_running_a_cell_again_replaces_its_turn(kernel: Kernel, server: Loopback) -> None:
    """With a cell id a second run replaces the first; what stood before it is still sent."""
    for cell_id, prompt in (("a", "One"), ("b", "Two"), ("a", "One again"), ("c", "Three")):
        kernel.run(f"%%minimax\n{prompt}", cell_id=cell_id)

    assert prompts(server) == [
        ["One"],
        ["One", "Two"],
        ["One again"],
        ["One again", "Two", "Three"],
    ]


@pytest.mark.parametrize("options", ["--alone", "-c side"])
def test_a_cell_that_leaves_takes_its_turn_along(
    kernel: Kernel, server: Loopback, options: str
) -> None:
    """A cell that runs again alone, or elsewhere, has no turn in its old conversation."""
    kernel.run("%%minimax\nOne", cell_id="a")
    kernel.run("%%minimax\nTwo", cell_id="b")
    kernel.run(f"%%minimax {options}\nOne", cell_id="a")
    kernel.run("import mm_magic as mm\nmm.ask('Aside')", cell_id="d")
    kernel.run("%%minimax\nThree", cell_id="c")

    assert prompts(server)[2:] == [["One"], ["Aside"], ["Two", "Three"]]


def test_without_a_cell_id_turns_append(kernel: Kernel, server: Loopback) -> None:
    """Without a cell id every run is a new turn; --alone and -c stay apart from it."""
    kernel.run("%%minimax\nOne")
    kernel.run("%%minimax\nOne")
    kernel.run("%%minimax --alone\nTwo")
    kernel.run("%%minimax -c side\nThree")

    assert prompts(server) == [["One"], ["One", "One"], ["Two"], ["Three"]]


@pytest.mark.parametrize(
    "call",
    [
        "get_ipython().run_cell_magic('minimax', '', p)",
        "get_ipython().run_cell('%%minimax\\n' + p)",
        "get_ipython().run_cell('%%minimax\\n' + p, store_history=True)",
    ],
)
def test_turns_of_one_cell_are_told_apart(kernel: Kernel, server: Loopback, call: str) -> None:
    """Each turn of a loop in one cell has its own place; a second run replaces them in order."""
    code = f"for p in ('One', 'Two'):\n    {call}"
    kernel.run(code, cell_id="a")
    kernel.run(code, cell_id="a")
    kernel.run("%%minimax\nEnd", cell_id="b")

    assert prompts(server) == [
        ["One"],
        ["One", "Two"],
        ["One"],
        ["One", "Two"],
        ["One", "Two", "End"],
    ]


def test_history_carries_the_thinking(kernel: Kernel, server: Loopback) -> None:
    """The earlier answer goes back whole, thinking and signature included."""
    kernel.run("%%minimax\nOne", cell_id="a")
    kernel.run("%%minimax\nTwo", cell_id="b")

    assert server.requests[1].json["messages"][1] == {
        "role": "assistant",
        "content": [
            {
                "type": "thinking",
                "thinking": "The sky scatters blue light.",
                "signature": "5f" * 32,
            },
            {"type": "text", "text": "\n\nRayleigh scattering."},
        ],
    }


# The rest


def test_names_in_the_line_are_not_expanded(kernel: Kernel, server: Loopback) -> None:
    """In an awaited cell, too, `$name` and `{expression}` in the line stay text."""
    kernel.run("x, calls = 'a value', []")
    kernel.run('%%minimax -s "$x {x} {calls.append(1)}"\nWhy?')

    assert server.json["system"] == "$x {x} {calls.append(1)}"
    assert kernel.run("print(calls)").stdout == "[]\n"


def test_error_is_one_card_and_stops_the_queue(kernel: Kernel) -> None:
    """An error is shown once, without frames, and the cells that wait are aborted."""
    queued = Event()
    with Loopback([until(queued), *streamed()]) as slow:
        kernel.fresh(slow.url)
        kernel.send("%%minimax\nWait.")
        first = kernel.send("%%minimax -t 0\nWhy?")
        second = kernel.send("print('ran')")
        kernel.wait_until_queued()
        queued.set()
        failed, waiting = kernel.collect(first), kernel.collect(second)

    assert (failed.status, failed.ename) == ("error", "UsageError")
    assert len(failed.of("error")) == 1
    assert "got 0.0" in failed.traceback
    assert "Traceback" not in failed.traceback
    assert waiting.status == "aborted"


def test_code_replaces_the_cell(process: Kernel) -> None:
    """`%minimax code` sends the code as the cell's next content, and runs nothing."""
    with Loopback(streamed(captured(text="```python\nboom = 1\n```"))) as server:
        process.fresh(server.url)
        process.run("%%minimax\nHow?")
        cell = process.run("%minimax code")

    (payload,) = cell.reply["payload"]
    assert (payload["source"], payload["text"]) == ("set_next_input", "boom = 1")
    assert payload["replace"] is True
    assert process.run("boom").ename == "NameError"


def test_kernels_of_tests_see_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's MINIMAX_ and ANTHROPIC_ variables never reach what the tests start."""
    for name in ("MINIMAX_API_KEY", "MINIMAX_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "https://api.minimax.io/secret")

    with Kernel(tmp_path) as kernel:
        seen = kernel.run("import os\nprint(dict(os.environ))").stdout

    assert "secret" not in seen
    assert "secret" not in str(clean_environment(tmp_path))
    assert os.environ["PATH"] in seen


# mm.ask


def test_ask_that_shows_draws_like_a_cell(kernel: Kernel) -> None:
    """`show=True` draws the three parts of a cell's answer once, and the turn is saved with it."""
    cell = kernel.run("import mm_magic as mm\nmm.ask('Why?', show=True)", cell_id="a")
    awaited = kernel.run("reply = await mm.ask_async('Why?', show=True)\nreply", cell_id="b")

    for each, status in ((cell, STATUS), (awaited, STATUS)):
        assert each.status == "ok"
        assert last_lines(each.displays) == [
            "> The sky scatters blue light.",
            SHOWN,
            status.replace("turn 1", "alone"),
        ]
        assert not each.of("execute_result")
        assert each.saved["prompt"] == "Why?"
    assert kernel.run("display(reply)").displays
    assert not kernel.run("mm.ask('Why?');").displays


def test_ask_that_shows_makes_one_turn(kernel: Kernel, server: Loopback) -> None:
    """With a conversation it is a turn of its cell, in the file once, and replaced on a re-run."""
    for _ in range(2):
        code = "import mm_magic as mm\nmm.ask('Why?', show=True, conversation='main');"
        cell = kernel.run(code, cell_id="a")
        assert last_lines(cell.displays)[-1] == STATUS
        assert cell.saved["conversation"] == "main"
    kernel.run("%%minimax\nAnd?", cell_id="b")
    assert prompts(server)[-1] == ["Why?", "And?"]


def test_stopped_ask_keeps_what_came(kernel: Kernel) -> None:
    """■ ends a call that shows, and what came stays, marked "stopped"."""
    with Loopback([head(), *PARTS[:8], until(Event())]) as slow:
        kernel.fresh(slow.url)
        code = "import mm_magic as mm\nmm.ask('Why?', show=True)\nprint('on')"
        cell = kernel.run(code, when=lambda cell: "Rayleigh" in str(cell.displays))
    assert cell.ename == "KeyboardInterrupt"
    assert SHOWN in cell.shown
    assert "stopped" in cell.displays[-1]["text/plain"]
    assert not cell.stdout


def test_loop_of_asks_says_that_it_runs(kernel: Kernel) -> None:
    """A call that takes a while is told on one line, and nothing of it is left at the end."""
    seen = Event()

    def look(cell: Cell) -> bool:
        if any("request 2 …" in bundle["text/plain"] for bundle in cell.displays):
            seen.set()
        return False

    with Loopback(streamed(), [head(), until(seen), *PARTS, END]) as slow:
        kernel.fresh(slow.url)
        cell = kernel.run("import mm_magic as mm\nfor p in 'ab': mm.ask(p)", when=look)

    assert seen.is_set()
    assert cell.displays == [{"text/plain": ""}]


@pytest.mark.parametrize(("show", "is_watched"), [("", False), (", show=True", True)])
def test_line_is_for_readers_alone(kernel: Kernel, show: str, *, is_watched: bool) -> None:
    """Where nobody watches, or all is drawn anyway, there is no such line."""
    with Loopback([head(), pause(2.2), *PARTS, END]) as slow:
        kernel.fresh(slow.url)
        cell = kernel.run(f"import mm_magic as mm\nmm.ask('Why?'{show});", allow_stdin=is_watched)
    assert cell.status == "ok"
    assert "asking" not in str(cell.messages[3:])
