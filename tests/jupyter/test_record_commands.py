"""`%minimax record` and `%minimax replay` in real kernels: a teacher's path, and Run All."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import TURN, Cell, Kernel, clean_environment
from support.loopback import Loopback, captured, failure, stall, streamed
from support.pages import Page
from support.printed import on_one_line

from mm_magic.transport.recording.reader import read
from mm_magic.wording import in_lines

KEY = "sk-cp-canary-99e0"
BACK = "`%minimax live` switches to a server, `%minimax offline` to the demo."
LESSON = {
    "a": "%%minimax\nWhy is the sky blue?",
    "b": "%%minimax -t 0.3\nAnd at night?",
    "loop": "import mm_magic as mm\n[mm.ask('Name one.').text for _ in range(2)]",
    "side": "%%minimax -c side --no-stream\nGo on.",
    "c": "%%minimax --max-tokens 4000\n{{x}}, in one word?",
    "history": "%minimax history",
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Its answers are "answer 1", "answer 2" and so on."""
    answers = [streamed(captured(thinking=f"thought {n}", text=f"answer {n}")) for n in range(1, 9)]
    with Loopback(*answers) as server:
        yield server


@pytest.fixture
def page(process: Kernel, tmp_path: Path, server: Loopback) -> Page:
    """A notebook in a folder of its own, and a server that answers."""
    page = Page(tmp_path / "lesson.ipynb", tmp_path / "data", process)
    page.load(server.url)
    page.run("setup", f"%cd -q {tmp_path}\nx = 'Blue'")
    return page


def run_all(page: Page, first: str = "", lesson: dict[str, str] | None = None) -> dict[str, Cell]:
    """Run the lesson from the top, with `first` before it."""
    cells = {"first": first, **(lesson or LESSON)}
    return {name: page.run(name, code) for name, code in cells.items() if code}


def outputs(page: Page) -> dict[str, Any]:
    """The outputs of each cell as the file keeps them."""
    return {name: cell["outputs"] for name, cell in page.cells.items()}


def anew(page: Page) -> None:
    """A kernel that knows nothing, without a server and a key."""
    page.load("")
    page.run("setup", "x = 'Blue'")


def recorded(page: Page) -> Path:
    """The lesson, recorded in lesson.jsonl."""
    run_all(page, "%minimax record lesson.jsonl")
    page.run("end", "%minimax record")
    return page.path.with_name("lesson.jsonl")


# A teacher's path


def test_run_all_in_replay_is_the_same_each_time(
    page: Page, server: Loopback, tmp_path: Path
) -> None:
    """Without server and key all answers come again, and each Run All gives the same bytes."""
    recorded(page)
    live = {name: page.cells[name]["outputs"] for name in LESSON}
    asked = len(server.requests)
    runs = []
    for speed in ("max", "max", "50"):
        with Kernel(tmp_path) as kernel:
            readers = Page(page.path, page.data, kernel)
            readers.run("load", "%load_ext mm_magic\nx = 'Blue'")
            cells = run_all(readers, f"%minimax replay lesson.jsonl --speed {speed}")
        assert {name: cell.status for name, cell in cells.items()} == dict.fromkeys(cells, "ok")
        runs.append({name: readers.cells[name]["outputs"] for name in LESSON})

    assert runs[0] == runs[1] == runs[2]
    assert len(server.requests) == asked
    for name in ("a", "b", "side", "c"):
        *before, old = live[name]
        *after, new = runs[0][name]
        assert after == before  # thinking, with its time, and the answer
        saved, was = new["data"][TURN], old["data"][TURN]
        assert saved.pop("recorded") == {"backend": "url", "day": read_day(page)}
        assert saved.pop("backend") == "recorded"
        assert was.pop("backend") == "url"
        del saved["context"], was["context"]  # it holds the server's address, as a fingerprint
        assert saved == was
        status = new["data"]["text/plain"].split("\n")[0]
        assert status.startswith(f"recorded {read_day(page)}, MiniMax-M2.7 · ")
        assert "$" not in status
    assert runs[0]["loop"][0]["data"]["text/plain"] == "['answer 3', 'answer 4']"


def read_day(page: Page) -> str:
    data = page.path.with_name("lesson.jsonl").read_bytes()
    (day,) = {exchange.day for exchange in read(data, "r").exchanges}
    return day


def without_state(made: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """What was printed, and what was shown, by cell.

    Left out is the conversation's state, which tells what the kernel knew by then.
    """
    cells = json.loads(json.dumps(made))
    for output in (each for outputs in cells.values() for each in outputs):
        output.get("data", {}).get(TURN, {}).pop("state", None)
    return {
        name: (
            "".join(output.get("text", "") for output in outputs),
            [output["data"] for output in outputs if "data" in output],
        )
        for name, outputs in cells.items()
    }


def test_run_all_twice_in_one_kernel(page: Page) -> None:
    """Run All again in the same kernel: each cell gets its answer again."""
    recorded(page)
    anew(page)
    run_all(page, "%minimax replay lesson.jsonl --speed max")
    before = without_state({name: page.cells[name]["outputs"] for name in ("first", *LESSON)})

    cells = run_all(page, "%minimax replay lesson.jsonl --speed max")

    assert {cell.status for cell in cells.values()} == {"ok"}
    after = without_state({name: page.cells[name]["outputs"] for name in ("first", *LESSON)})
    for name in ("a", "b", "loop", "side", "c", "first"):
        assert after[name] == before[name]


def executed(folder: Path, cells: Sequence[str]) -> list[Any]:
    """The outputs of cells in a run that nobody watches."""
    made = [nbformat.v4.new_code_cell(code) for code in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, resources={"metadata": {"path": str(folder)}})
    client.execute(env=clean_environment(folder))
    return [cell.outputs for cell in notebook.cells]


def test_headless_run_is_the_same_each_time(page: Page, tmp_path: Path) -> None:
    """nbclient, which tells no cell ids, gets the same bytes each time, and from the page, too."""
    recorded(page)
    anew(page)
    run_all(page, "%minimax replay lesson.jsonl --speed max")
    cells = [
        "%load_ext mm_magic",
        "x = 'Blue'",
        "%minimax replay lesson.jsonl --speed max",
        *LESSON.values(),
    ]

    first, second = (executed(tmp_path, cells) for _ in range(2))

    assert first == second
    assert [each["data"] for each in first[3]] == [each["data"] for each in outputs(page)["a"]]


def test_own_turns_are_replayed(page: Page, server: Loopback) -> None:
    """Without FILE the notebook's saved turns answer: the same text, thinking, time and counts."""
    lesson = {name: LESSON[name] for name in ("a", "b", "side", "c")}
    run_all(page, "%minimax", lesson)
    page.save(trusted=False)
    live = {name: page.cells[name]["outputs"] for name in lesson}
    asked = len(server.requests)
    runs = []
    for _ in range(2):
        anew(page)
        cells = run_all(page, "%minimax replay --speed max", lesson)
        assert cells["first"].stdout == in_lines(
            f"From now on, answers come from the saved turns of lesson.ipynb. {BACK}\n"
        )
        page.save(trusted=False)
        runs.append({name: page.cells[name]["outputs"] for name in ("first", *lesson)})

    assert without_state(runs[0]) == without_state(runs[1])
    assert len(server.requests) == asked
    for name in lesson:
        *before, old = live[name]
        *after, new = runs[0][name]
        assert after == before
        assert new["data"]["text/plain"].startswith("recorded, MiniMax-M2.7 · ")
        for what in ("id", "content", "usage", "asked", "knew", "thinking_seconds", "seconds"):
            assert new["data"][TURN].get(what) == old["data"][TURN].get(what)


def test_turn_with_others_above_is_not_replayed(page: Page) -> None:
    """Of saved turns one that was made with other turns above is left out, and told."""
    lesson = {name: LESSON[name] for name in ("a", "b")}
    run_all(page, "", lesson)
    page.run("a", LESSON["a"])
    page.save(trusted=False)
    anew(page)
    cells = run_all(page, "%minimax replay", {"a": LESSON["a"]})

    assert "Turn 2 is not replayed: earlier turns have changed since" in cells["first"].stdout
    assert cells["a"].status == "ok"
    assert "Earlier turns have changed" in page.run("b", LESSON["b"]).shown


def test_fill_asks_for_an_edited_prompt_only(page: Page, server: Loopback) -> None:
    """With `--fill` an edited prompt goes to the server and into the recording, and no other."""
    path = recorded(page)
    page.load(server.url)
    page.run("setup", "x = 'Red'")
    lines = path.read_bytes().count(b"\n")

    cells = run_all(page, "%minimax replay lesson.jsonl --speed max --fill")

    assert cells["c"].saved["backend"] == "url"
    assert cells["b"].saved["backend"] == "recorded"
    assert len(server.requests) == 7
    assert path.read_bytes().count(b"\n") == lines + 1
    page.load("")
    page.run("setup", "x = 'Red'")
    again = run_all(page, "%minimax replay lesson.jsonl --speed max")
    assert again["c"].saved["steps"] == cells["c"].saved["steps"]


# Recording


def test_record_tells_what_it_does(page: Page) -> None:
    """`record` says where to and how it ends; the file holds one line for each exchange."""
    began = page.run("r", "%minimax record 'my lesson.jsonl'").stdout
    page.run("a", LESSON["a"])
    state = page.run("s", "%minimax").stdout
    ended = page.run("end", "%minimax record").stdout

    assert began == in_lines(
        "From now on, each prompt and its answer are recorded in my lesson.jsonl, without the key. "
        "Your readers will run all cells from the top, so run them in that order, too. "
        "`%minimax record` by itself stops recording.\n"
        "Only you can read the file; `!chmod g+r 'my lesson.jsonl'` lets your group read it.\n"
    )
    assert "Recording to my lesson.jsonl: 1 new answer" in state
    assert ended == "Recording stopped: 1 new answer in my lesson.jsonl.\n"
    page.run("b", LESSON["b"])
    data = page.path.with_name("my lesson.jsonl").read_bytes()
    assert [each.key.text for each in read(data, "r").exchanges] == ["Why is the sky blue?"]


def test_recording_stays_on_through_live_and_offline(page: Page) -> None:
    """Who answers is one thing, recording another: `offline` and `live` leave it on."""
    page.run("r", "%minimax record lesson.jsonl")
    page.run("o", "%minimax offline")
    page.run("d", "%%minimax --alone\ndemo error 1008")
    page.run("l", "%minimax live")
    page.run("a", LESSON["a"])

    data = page.path.with_name("lesson.jsonl").read_bytes()
    assert [each.backend for each in read(data, "r").exchanges] == ["offline", "url"]
    page.run("e", "%minimax record")


def test_recording_goes_on_after_a_replay(page: Page) -> None:
    """A replay between does not end a recording."""
    for name in ("other", "lesson"):
        page.run("r", f"%minimax record {name}.jsonl")
    page.run("p", "%minimax replay other.jsonl")
    page.run("l", "%minimax live")
    page.run("a", LESSON["a"])

    data = page.path.with_name("lesson.jsonl").read_bytes()
    assert len(read(data, "r").exchanges) == 1
    assert "1 new answer in lesson.jsonl" in page.run("e", "%minimax record").stdout


@pytest.mark.parametrize("text", ["my notes\n", " "])
def test_record_never_writes_into_another_file(page: Page, text: str) -> None:
    """A file that is there and no recording stays as it is."""
    path = page.path.with_name("notes.txt")
    path.write_text(text)

    cell = page.run("r", "%minimax record notes.txt")

    assert "'notes.txt' is not a recording" in cell.traceback
    assert path.read_text() == text
    assert "nothing is being recorded" in page.run("e", "%minimax record").traceback


@pytest.mark.parametrize("command", ["record", "replay", "restore"])
def test_names_too_long(page: Page, command: str) -> None:
    """A name that no file can have is an error card."""
    cell = page.run("r", f"%minimax {command} {'a' * 300}")

    assert cell.ename == "UsageError"
    assert "File name too long" in cell.traceback


def test_own_file_that_cannot_be_looked_for(page: Page, server: Loopback) -> None:
    """A path of the notebook that can't be a file's is as good as none."""
    page.path = page.path.with_name(f"{'a' * 300}.ipynb")
    page.load(server.url)
    for code in ("%reload_ext mm_magic", "%minimax record lesson.jsonl", "%minimax record"):
        assert page.run("r", code).status == "ok"


def test_order_is_told(page: Page) -> None:
    """A cell that runs again while it is recorded says which cells below have to run again."""
    page.run("r", "%minimax record lesson.jsonl")
    cells = [page.run(name, LESSON[name]) for name in "aba"]
    page.run("e", "%minimax record")

    assert (
        "Earlier turns have changed since turn 2 was answered. Your readers will run all cells "
        "from the top, so run that turn's cell again."
    ) in cells[-1].shown


def test_order_on_the_page_is_told(page: Page) -> None:
    """At the end it is told where cells stand in another order than they ran in."""
    page.run("r", "%minimax record lesson.jsonl")
    for name in ("b", "side", "a"):
        page.run(name, LESSON[name])
    page.cells = {name: page.cells[name] for name in ("a", "side", "b")}
    page.save(trusted=False)

    assert page.run("e", "%minimax record").stdout == in_lines(
        "Recording stopped: 3 new answers in lesson.jsonl.\n"
        "The cells of conversation main did not run in the order in which they appear in the "
        "saved notebook.\n"
    )


def test_key_is_not_in_the_recording(tmp_path: Path, server: Loopback) -> None:
    """Neither key nor address nor header of a request comes into the file."""
    environment = {"MINIMAX_BASE_URL": server.url, "MINIMAX_API_KEY": KEY}
    with Kernel(tmp_path, environment) as kernel:
        kernel.run("%load_ext mm_magic\n%minimax record r.jsonl")
        kernel.run("%%minimax\nWhy?")
        shown = kernel.run("%minimax").shown

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    data = (tmp_path / "r.jsonl").read_text("utf-8")
    assert data.count("\n") == 2
    assert not [word for word in (KEY, server.url, str(server.port), "127.0") if word in data]
    assert KEY not in shown


# Replaying


def test_no_recording_there(page: Page) -> None:
    """A file that is missing, or no recording, and a notebook without turns are told as such."""
    page.path.with_name("notes.txt").write_text("x\n")
    page.save(trusted=False)
    shown = {
        word: page.run("r", f"%minimax replay {word}").traceback
        for word in ("none.jsonl", "notes.txt", "lesson.ipynb", "", "a b")
    }

    assert "there is no file 'none.jsonl'" in shown["none.jsonl"]
    assert "'notes.txt' is not a recording" in shown["notes.txt"]
    assert "'lesson.ipynb' holds no turns that can be replayed" in shown["lesson.ipynb"]
    assert "'lesson.ipynb' holds no turns that can be replayed" in shown[""]
    assert "replay takes one word, got 2" in shown["a b"]
    assert (
        "Answering: your own server (MINIMAX_BASE_URL), without a key"
        in page.run("w", "%minimax").stdout
    )


@pytest.mark.parametrize("named", ["", " lesson.ipynb"])
def test_unsaved_turns_are_told(page: Page, named: str) -> None:
    """What the notebook's file lacks is named, for each conversation, with what to do."""
    page.run("a", LESSON["a"])
    page.save(trusted=False)
    saved = page.run("r", f"%minimax replay --list{named}").shown
    for name in ("b", "side"):
        page.run(name, LESSON[name])
    listed = on_one_line(page.run("r", f"%minimax replay --list{named}").shown)
    told = on_one_line(page.run("r", f"%minimax replay{named}").stdout)

    assert "not listed" not in saved
    for name in ("turn 2 of main", "turn 1 of side"):
        why = "because the notebook has not been saved since it ran. Save it, then run"
        turn = f"T{name[1:]} is not"
        assert f"{turn} listed, {why} `%minimax replay --list` again." in listed
        assert f"{turn} replayed, {why} `%minimax replay` again." in told


def test_empty_recording_is_told(page: Page) -> None:
    """A recording without answers says so; one that is to be filled does not."""
    page.run("r", "%minimax record lesson.jsonl")
    page.run("r", "%minimax record")

    told = on_one_line(page.run("r", "%minimax replay lesson.jsonl").stdout)
    assert "lesson.jsonl holds no complete answers yet." in told
    assert "To add what is missing: `%minimax replay lesson.jsonl --fill`" in told
    listed = page.run("r", "%minimax replay --list").shown
    assert listed.strip() == "There are no answers to list."
    filled = page.run("r", "%minimax replay lesson.jsonl --fill").stdout
    assert "holds no" not in filled


def test_damaged_lines_are_told(page: Page) -> None:
    """Each damaged line is told with its number, and how many answers are not replayed."""
    path = recorded(page)
    first, second, third, *rest = path.read_bytes().split(b"\n")
    stopped = second.replace(b'"ending":"complete"', b'"ending":"stopped"')
    path.write_bytes(b"\n".join([first, stopped, third[:50], *rest]))
    anew(page)

    assert page.run("r", "%minimax replay lesson.jsonl").stdout == in_lines(
        f"From now on, answers come from the recording lesson.jsonl. {BACK}\n"
        "Line 3 is damaged and was left out: it is not complete JSON.\n"
        "1 incomplete answer was left out.\n"
    )


def test_replayed_answer_can_be_stopped(page: Page) -> None:
    """Stop ends a replayed answer at once, and the next cell works."""
    path = recorded(page)
    first, *lines = path.read_bytes().split(b"\n")
    exchange = json.loads(lines[0])
    thinking, mark, text = "".join(data for _, data in exchange["reads"]).partition(
        'event: content_block_start\ndata: {"type": "content_block_start", "index": 1'
    )
    exchange["reads"] = [[0.1, thinking], [900.0, mark + text]]
    path.write_bytes(b"\n".join([first, json.dumps(exchange).encode(), *lines[1:]]))
    anew(page)
    page.run("r", "%minimax replay lesson.jsonl")

    cell = page.run("a", LESSON["a"], when=lambda cell: "thought 1" in str(cell.displays))

    assert cell.ename == "Stopped"
    assert page.run("s", "%%minimax -c side --no-stream\nGo on.").status == "ok"


def test_who_answers_in_replay(page: Page, server: Loopback) -> None:
    """In replay it is said who answers; `%minimax live` goes back to the server."""
    recorded(page)
    page.run("r", "%minimax replay lesson.jsonl")
    day = read_day(page)

    assert page.run("w", "%minimax").stdout.startswith(
        f"Answering: the recording lesson.jsonl (6 answers, recorded {day})\n"
    )
    cell = page.run("dry", "%%minimax --dry-run\nWhy?")
    assert cell.stdout.startswith("To the recording:\n{")
    asked = len(server.requests)
    page.run("l", "%minimax live")
    assert page.run("new", "%%minimax\nNew?").saved["backend"] == "url"
    assert len(server.requests) == asked + 1


def test_recording_that_answers_is_not_recorded_again(page: Page) -> None:
    """The error names the ways back, and how to add to that recording where one can."""
    add = "To add what is missing: "
    recorded(page)
    page.save()
    for words, step in {
        "lesson.jsonl": f"{add}`%minimax replay lesson.jsonl --fill`",
        "lesson.jsonl --fill": "",
        "lesson.ipynb": "",
        "": "",
    }.items():
        page.run("r", f"%minimax replay {words}")
        told = page.run("rec", "%minimax record other.jsonl").traceback
        assert "answers now come from a recording" in told
        assert BACK in told
        assert step in told
        assert (add in told) == bool(step)


def test_help_and_slips(page: Page) -> None:
    """`%minimax replay -h` lists its options; a slip in one names the right one."""
    shown = page.run("h", "%minimax replay -h").stdout
    assert "--speed N   play N times as fast; max plays without pauses" in shown
    for line, told in {
        "--sped 3": "Did you mean --speed?",
        "x --speed fast": "speed must be a number above 0, or max, got 'fast'",
        "x --speed 0": "speed must be a number above 0, or max, got '0'",
        "x --speed nan": "speed must be a number above 0, or max, got 'nan'",
        "x --speed": "--speed needs a value",
        "'x": "a quote is opened but not closed",
    }.items():
        assert told in page.run("h", f"%minimax replay {line}").traceback


def test_completion(page: Page) -> None:
    """Tab offers the recordings in the folder, the options, and the words of `--speed`."""
    recorded(page)
    complete = page.kernel.complete

    assert complete("%minimax record ") == ["lesson.jsonl"]
    assert complete("%minimax replay l") == ["lesson.jsonl"]
    options = ["--speed", "--fill", "--loose", "--list", "--help"]
    assert complete("%minimax replay lesson.jsonl --") == options
    assert complete("%minimax replay lesson.jsonl --speed ") == ["max", "2", "10"]


def test_dead_connection_names_the_ways_out(page: Page) -> None:
    """The card of a dead connection names `%minimax replay` and `%minimax offline`."""
    with Loopback(failure(500, "")) as gone:
        url = gone.url
    page.load(url)
    page.run("c", "%config MiniMax.retries = 0")

    shown = page.run("a", LESSON["a"]).traceback

    assert "refused the connection" in shown
    assert "`%minimax replay` answers from a recording" in shown
    assert "`%minimax offline` from the demo" in shown


def test_stopped_while_recording(page: Page) -> None:
    """An answer that is stopped while it is recorded says that it is not replayed."""
    with Loopback([*streamed()[:5], stall]) as slow:
        page.load(slow.url)
        page.run("r", "%minimax record lesson.jsonl")
        cell = page.run(
            "a", LESSON["a"], when=lambda cell: "The sky scatters" in str(cell.displays)
        )

    assert "A stopped answer is not replayed: run the cell again" in cell.shown
    data = page.path.with_name("lesson.jsonl").read_bytes()
    assert [each.ending for each in read(data, "r").exchanges] == ["stopped"]
