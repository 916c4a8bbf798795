"""`%minimax replay FILE --fill`: the one line of a lesson, for who records it and who runs it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Connection, Loopback, Step, failure, numbered, streamed, whole
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

from mm_magic.errors import UsageError
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.reader import read
from mm_magic.wording import in_lines

BACK = "`%minimax live` switches to a server, `%minimax offline` to the demo."
LESSON = (
    "%%minimax\nWhy is the sky blue?",
    "%%minimax -t 0.3\nAnd at night?",
    "%%minimax -t 0.1,1\nName a colour.",
    "%%minimax -n 3 --alone\nName one.",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebook's folder, in which the kernel runs, where no server is set."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def asking(server: Loopback) -> Iterator[Shell]:
    """A notebook with a server that answers."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            yield shell


def run_all(shell: Shell, *cells: str, name: str = "lesson.jsonl") -> None:
    shell.run(f"%minimax replay {name} --fill --speed max")
    for cell in cells or LESSON:
        shell.run(cell)


def exchanges(folder: Path) -> tuple[RecordedExchange, ...]:
    recording = read((folder / "lesson.jsonl").read_bytes(), "lesson.jsonl")
    assert recording.damaged == ()
    return recording.exchanges


def test_one_line_records_and_replays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has a server gets a new file, which answers the second run; who has none runs the same
    cells, and sees what a replay shows."""
    with Loopback(*numbered()) as server:
        with asking(server) as teacher:
            run_all(teacher)
        sent = len(server.requests)
        with asking(server) as teacher:
            run_all(teacher)
    assert sent == len(server.requests) == len(exchanges(folder)) == 7

    before = (folder / "lesson.jsonl").read_bytes()
    shown = []
    for fill in ("--fill", ""):
        with fresh_shell() as reader:
            reader.run(f"%minimax replay lesson.jsonl {fill} --speed max")
            capsys.readouterr()
            for cell in LESSON:
                reader.run(cell)
            shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "recorded " in shown[0]
    assert (folder / "lesson.jsonl").read_bytes() == before


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, that the file is begun and who can read it; then the same with a key and without."""
    usual = in_lines(
        "From now on, answers come from the recording lesson.jsonl. If a model is available, it "
        f"answers prompts that are not in the recording, and its answers are added. {BACK}\n"
    )
    with Loopback(*numbered()) as server, asking(server) as shell:
        capsys.readouterr()
        run_all(shell, "%minimax")
        told, _, state = capsys.readouterr().out.partition("Answering: ")
        assert (
            told
            == (
                "Started a new recording, lesson.jsonl.\n"
                "Only you can read the file; `!chmod g+r lesson.jsonl` lets your group read it.\n"
            )
            + usual
        )
        assert on_one_line(state).startswith(
            "the recording lesson.jsonl (0 answers); a model is asked for what is missing model "
        )
        run_all(shell, "1")
        assert capsys.readouterr().out.startswith(usual)
    with fresh_shell() as shell:
        capsys.readouterr()
        run_all(shell, "%minimax")
        assert capsys.readouterr().out.startswith(
            f"{usual}Answering: the recording lesson.jsonl (0 answers)\n"
        )


@pytest.mark.parametrize(
    ("there", "name", "beside"),
    [
        ("lesson.jsonl", "lessn.jsonl", " Did you mean lesson.jsonl, which is in the same folder?"),
        ("lesson.jsonl", "Lesson", " Did you mean lesson.jsonl, which is in the same folder?"),
        ("lesson.jsonl", "homework.jsonl", ""),
        ("notes.jsonl", "note.jsonl", ""),  # it is no recording
    ],
)
def test_name_that_looks_mistyped(
    folder: Path, there: str, name: str, beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is begun, or missing where nobody can be asked, names the one that is meant."""
    (folder / "notes.jsonl").write_text("{}\n")
    with Loopback(*numbered()) as server, asking(server) as shell:
        run_all(shell, LESSON[0])
        (folder / "sub").mkdir()
        capsys.readouterr()
        run_all(shell, "1", name=name)
        told = on_one_line(capsys.readouterr().out)
        assert told.startswith(f"Started a new recording, {name}.{beside} Only you can read")
    (folder / name).unlink()

    for fill in ("", "--fill"):
        with fresh_shell() as shell:
            error = shell.error(f"%minimax replay ../{folder.name}/{name} {fill}")
        assert isinstance(error, UsageError)
        assert error.message == f"there is no file {name!r}"
        step = f"{there} is in the same folder: `%minimax replay ../{folder.name}/{there}`"
        path = f"../{folder.name}/{name}"
        begin = "To create it from the answers of your next cells, including the demo's: "
        assert error.next_steps == (step if beside else f"{begin}`%minimax record {path}`",)
    assert not (folder / name).exists()


def test_only_what_is_missing_is_asked(folder: Path) -> None:
    """Edited cells, one more cell that asks the same, more answers and one more value: each is a
    request, in whatever order, and the others stay as they were."""
    with Loopback(*numbered(20)) as server:
        with asking(server) as shell:
            run_all(shell)
        before = (folder / "lesson.jsonl").read_bytes()
        with asking(server) as shell:
            run_all(
                shell,
                LESSON[0],
                "%%minimax -t 0.3\nAnd at dawn?",
                "%%minimax -t 0.1,0.5,1 --alone\nName a colour.",
                "%%minimax -n 5 --alone -o five\nName one.",
                "%%minimax --alone -o six\nName one.",
                "import mm_magic as mm\nseven = mm.ask('Name one.')",
            )
            texts = [*(each.text for each in shell["five"]), shell["six"].text, shell["seven"].text]
        assert len(server.requests) == 7 + 1 + 3 + 2 + 1 + 1
    assert (folder / "lesson.jsonl").read_bytes().startswith(before)
    named = [each for each in exchanges(folder) if each.key.text == "Name one."]
    assert sorted(each.sample for each in named) == [0, 1, 2, 3, 4, 5, 6]
    assert len({*texts}) == 7

    with fresh_shell() as reader:
        run_all(
            reader,
            "%%minimax -n 7 --alone -o all\nName one.",
            "%%minimax --alone -o again\nName one.",
        )
        assert [each.text for each in reader["all"]] == texts
        assert reader["again"].text == texts[-1]


def test_miss_without_a_key() -> None:
    """A reader's edited prompt gets a replay's error, which says nothing of keys."""
    with Loopback(*numbered()) as server, asking(server) as shell:
        run_all(shell, LESSON[0])
    with fresh_shell() as reader:
        run_all(reader, LESSON[0])
        error = reader.error("%%minimax\nWhy is the sky red?")
    assert isinstance(error, UsageError)
    assert error.message == "this request is not in 'lesson.jsonl'"
    assert "Why is the sky blue?" in error.next_steps[0]
    assert "key" not in str(error.next_steps)


@pytest.mark.parametrize("where", ["", "--alone ", "-c side ", '-c "my side" '])
def test_line_that_is_recorded(where: str) -> None:
    """The line that a miss gives keeps what comes before the prompt, so that it hits."""
    cell = f"%%minimax {where}-t 0.3\nName one."
    with Loopback(*numbered()) as server, asking(server) as shell:
        run_all(shell, LESSON[0], cell)
    with fresh_shell() as reader:
        run_all(reader, LESSON[0])
        error = reader.error(cell.replace("0.3", "0.9"))
        assert isinstance(error, UsageError)
        assert (
            error.next_steps[0]
            == f"This prompt was recorded with -t 0.3: `%%minimax {where}-t 0.3`"
        )
        reader.run(cell)


def test_demo_fills_only_if_it_was_chosen(folder: Path) -> None:
    """`%minimax offline` chooses it; where only a key is missing, nothing is begun or added."""
    with fresh_shell() as shell:
        shell.error("%minimax replay lesson.jsonl --fill")
        assert not (folder / "lesson.jsonl").exists()
        shell.run("%minimax offline")
        run_all(shell, LESSON[0])
    assert [each.backend for each in exchanges(folder)] == ["offline"]
    with fresh_shell() as shell:
        run_all(shell, LESSON[0])
        shell.error(LESSON[1])
    assert len(exchanges(folder)) == 1


def test_folder_where_nothing_can_be_written(folder: Path) -> None:
    """Where a file can't be begun the error says why."""
    with Loopback(*numbered()) as server, asking(server) as shell:
        error = shell.error("%minimax replay none/lesson.jsonl --fill")
        assert str(error).startswith("'lesson.jsonl' can't be written: No such file or directory")
        run_all(shell, LESSON[0])
        (folder / "lesson.jsonl").unlink()
        (folder / "lesson.jsonl").mkdir()
        assert "is a folder" in str(shell.error("%minimax replay lesson.jsonl --fill"))


def test_error_is_asked_again(folder: Path) -> None:
    """A run that the service refused in the middle goes on where it stopped."""
    first, second = numbered(2)
    with Loopback(first, failure(401, "no"), second) as server:
        with asking(server) as shell:
            run_all(shell, LESSON[0])
            shell.error(LESSON[1])
        with asking(server) as shell:
            run_all(shell, *LESSON[:2])
    assert [each.ending for each in exchanges(folder)] == ["complete", "failed", "complete"]
    assert len(server.requests) == 3


def test_model_that_took_the_place_of_the_default(folder: Path) -> None:
    """Where the default model is retired, another one fills, each answer in its own place."""
    line, *lines = "Name one.", "Name one.", "Name one."
    cells = [f"%%minimax --alone\n{prompt}" for prompt in (line, *lines)]
    with Loopback(*numbered()) as server, asking(server) as shell:
        run_all(shell, *cells)
    path = folder / "lesson.jsonl"
    head, _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"".join(rest))  # of three answers the first is missing

    with Loopback(retired(streamed())) as server, asking(server) as shell:
        run_all(shell, *cells)
    asked = [each.json["model"] for each in server.requests if each.method == "POST"]
    assert asked == ["MiniMax-M2.7", "MiniMax-M3"]
    assert [each.sample for each in exchanges(folder)] == [1, 2, 0]


def retired(steps: list[Step]) -> Callable[[Connection], None]:
    """A server that offers MiniMax-M3 alone, and answers so."""

    def answer(connection: Connection) -> None:
        request = connection.request
        if request.method == "GET":
            whole(200, {"data": [{"id": "MiniMax-M3"}]})(connection)
        elif request.json["model"] != "MiniMax-M3":
            failure(400, "invalid params, unknown model 'MiniMax-M2.7' (2013)")(connection)
        else:
            for step in steps:
                step(connection)

    return answer
