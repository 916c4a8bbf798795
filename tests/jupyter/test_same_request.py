"""Which cells ask the same request, so that one recording answers them: what the notebook said."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Connection, Loopback, Step, failure, numbered, whole
from support.shells import Shell, fresh_shell
from traitlets.config import Config

from mm_magic.errors import UsageError


@contextmanager
def notebook(server: Loopback, configured: Mapping[str, object]) -> Iterator[Shell]:
    """A shell that asks this server, with these options in IPython's configuration file."""
    with fresh_shell(Config(MiniMax=dict(configured))) as shell:
        shell.run(f"import os; os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
        yield shell


def recorded(path: Path, *cells: str, configured: Mapping[str, object] | None = None) -> None:
    with Loopback(*numbered()) as server, notebook(server, configured or {}) as shell:
        shell.run(f"%minimax record {path}")
        for cell in cells:
            shell.run(cell)


@contextmanager
def replaying(path: Path, configured: Mapping[str, object] | None = None) -> Iterator[Shell]:
    """A shell in which the recording answers, at the address of another server; none is asked."""
    with Loopback() as server, notebook(server, configured or {}) as shell:
        shell.run(f"%minimax replay {path} --speed max")
        yield shell
        assert server.requests == []


@pytest.mark.parametrize(
    ("line", "model", "note"),
    [("", "MiniMax-M3", ""), ("-m own", "own", "own was asked for, but MiniMax-M2.7 answered.")],
)
def test_model_that_was_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    model: str,
    note: str,
) -> None:
    """Under another default model nobody says that this one was asked; a model that the line names
    was."""
    recorded(tmp_path / "r", f"%%minimax {line}\nWhy?")
    monkeypatch.setenv("MINIMAX_MODEL", model)
    with replaying(tmp_path / "r") as shell:
        capsys.readouterr()
        shell.run(f"%%minimax {line}\nWhy?")
    shown = capsys.readouterr().out
    assert "MiniMax-M2.7 · turn 1" in shown
    assert ("was asked for" in shown) == bool(note)
    assert note in shown


def test_list_of_models_that_only_one_server_has(tmp_path: Path) -> None:
    """Models with commas between are several where the recording knows each by its name."""
    cell = "%%minimax -m own/a,own/b --alone -o both\nWhy?"
    listed = whole(200, {"data": [{"id": "own/a"}, {"id": "own/b"}]})
    with Loopback(listed, *numbered()) as server, notebook(server, {}) as shell:
        shell.run("%minimax models")
        shell.run(f"%minimax record {tmp_path / 'r'}")
        shell.run(cell)
    assert sorted(each.json["model"] for each in server.requests[1:]) == ["own/a", "own/b"]

    with replaying(tmp_path / "r") as shell:
        shell.run(cell)
        shell.run("%%minimax -m own/a, own/b --alone -o spaced\nWhy?")
        texts = [{each.text for each in shell[name]} for name in ("both", "spaced")]
        assert texts == [{"answer 1", "answer 2"}] * 2


def without_the_default(*answers: Sequence[Step]) -> Callable[[Connection], None]:
    """A server of MiniMax-M3, which does not know the default model; its answers in turn."""
    left = list(answers)

    def answer(connection: Connection) -> None:
        request = connection.request
        if request.method == "GET":
            whole(200, {"data": [{"id": "MiniMax-M3"}]})(connection)
        elif request.json["model"] != "MiniMax-M3":
            failure(400, "invalid params, unknown model 'MiniMax-M2.7' (2013)")(connection)
        else:
            for step in left.pop(0):
                step(connection)

    return answer


@pytest.mark.parametrize(
    ("there", "here"),
    [({}, {"temperature": 0.5}), ({"temperature": 0.5, "model": "MiniMax-M3"}, {"top_p": 0.9})],
)
def test_configuration_of_the_machine(
    tmp_path: Path, there: Mapping[str, object], here: Mapping[str, object]
) -> None:
    """IPython's configuration file is no part of what the notebook said."""
    recorded(tmp_path / "r", "%%minimax\nWhy?", configured=there)
    with replaying(tmp_path / "r", here) as shell:
        shell.run("%%minimax\nWhy?")


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("%%minimax --no-stream\nWhy?", "%%minimax --stream\nWhy?"),
        ("%%minimax\nWhy?", "%%minimax --no-stream\nWhy?"),
        ("%%minimax -t 0.3\nWhy?", "%config MiniMax.temperature = 0.3\n%minimax\n"),
        ("%%minimax -t 0.3\nWhy?", "%%minimax -t 0.30 --hide-thinking\nWhy?"),
        ("%%minimax -t 0.3\nWhy?", "import mm_magic as mm\nmm.ask('Why?', temperature=0.3)"),
        ("%%minimax\nWhy?", "%%minimax -t default\nWhy?"),
        ("%%minimax\nWhy?", "%%minimax -c other\nWhy?"),
        ("%%minimax -t 1\nWhy?", "import mm_magic as mm\nmm.ask('Why?', temperature=1)"),
        ("%%minimax --thinking auto -s ''\nWhy?", "%%minimax\nWhy?"),
        ("%%minimax -m MiniMax-M3\nWhy?", "%config MiniMax.model = 'MiniMax-M3'"),
    ],
)
def test_same_request(tmp_path: Path, there: str, here: str) -> None:
    """How an answer is shown, and in which way an option is set, tells no requests apart."""
    recorded(tmp_path / "r", there)
    with replaying(tmp_path / "r") as shell:
        shell.run(here)
        if "%config" in here:
            shell.run("%%minimax\nWhy?")


@pytest.mark.parametrize("cell", ["%%minimax\nWhy?", "%%minimax -n 2\nWhy?"])
@pytest.mark.parametrize("variables", [{}, {"MINIMAX_MODEL": "Own-Model"}])
def test_model_that_took_the_place_of_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, variables: Mapping[str, str]
) -> None:
    """What another model answered in place of the default one is found wherever the default one
    is another, and the panel does not say its name for the notebook."""
    night = "%%minimax --effort low\nAnd at night?"
    with Loopback(without_the_default(*numbered())) as server, notebook(server, {}) as shell:
        shell.run("%minimax panel")
        shell.run(f"%minimax record {tmp_path / 'r'}")
        shell.run(cell)
        shell.run(night)
    asked = [each.json["model"] for each in server.requests if each.method == "POST"]
    assert asked[-1] == "MiniMax-M3"

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with replaying(tmp_path / "r") as shell:
        shell.run("%minimax panel")
        shell.run(cell)
        assert shell.run(night).model == "MiniMax-M2.7"  # as the server's answer has it


@pytest.mark.parametrize(
    ("there", "here", "step"),
    [
        ("-t 0.3", "", "This prompt was recorded with -t 0.3: `%%minimax -t 0.3`"),
        ("", "-t 0.3", "This prompt was recorded with -t default: `%%minimax -t default`"),
        ("", "-t 1", "This prompt was recorded with -t default: `%%minimax -t default`"),
        (
            "-m MiniMax-M3",
            "",
            "This prompt was recorded with -m MiniMax-M3: `%%minimax -m MiniMax-M3`",
        ),
        ("", "-m MiniMax-M2.7", "This prompt was recorded with the default model."),
        (
            "--thinking disabled",
            "",
            "This prompt was recorded with --thinking disabled: `%%minimax --thinking ",
        ),
    ],
)
def test_another_request(tmp_path: Path, there: str, here: str, step: str) -> None:
    """An option that is set in one of two cells alone tells them apart, and the error says so."""
    recorded(tmp_path / "r", f"%%minimax {there}\nWhy?")
    with replaying(tmp_path / "r") as shell:
        error = shell.error(f"%%minimax {here}\nWhy?")
    assert isinstance(error, UsageError)
    assert error.next_steps[0].startswith(step)


def test_list_shows_what_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` shows each recorded prompt with options, model and answers; who answers stays."""
    again = "%%minimax --alone\nName one."
    recorded(
        tmp_path / "r",
        "%%minimax -t 0.1\nWhy?",
        '%%minimax -t 0.1 --alone -s "In <b>\u202ebrief</b>"\n' + "long " * 50,
        again,
        "%%minimax --alone\n\n  Name one.\n",
        "%minimax replay --list",
    )
    while_recording = capsys.readouterr().out
    with fresh_shell() as shell:
        capsys.readouterr()
        shell.run(f"%minimax replay {tmp_path / 'r'} --list")
        named = capsys.readouterr().out
        shell.run("%minimax")
        assert "your own server" in capsys.readouterr().out
    with replaying(tmp_path / "r") as shell:
        capsys.readouterr()
        shell.run("%minimax replay --list")
        in_use = capsys.readouterr().out

    head, *rows, note = named.splitlines()
    assert head.split() == ["prompt", "options", "model", "answers"]
    assert [row.split("  ")[0] for row in rows] == ["Why?", "long " * 11 + "long…", "Name one."]
    assert "  -t 0.1 system …  " in rows[1]
    assert [row.split()[-1] for row in rows] == ["1", "1", "2"]
    assert all("MiniMax-M2.7" in row for row in rows)
    assert f"The table shows the recording {tmp_path / 'r'} (4 answers, recorded " in note
    assert in_use == named
    assert while_recording.splitlines()[-5:-1] == named.splitlines()[:-1]


def test_list_without_a_recording(tmp_path: Path) -> None:
    """Where nothing is in use and the notebook's file is not known, `--list` asks for a name."""
    with fresh_shell() as shell:
        error = shell.error("%minimax replay --list")
        missing = shell.error(f"%minimax replay {tmp_path / 'none'} --list")
    assert isinstance(error, UsageError)
    assert error.next_steps == ("Name a recording, or the notebook: `%minimax replay FILE`",)
    assert "there is no file" in str(missing)


def test_list_counts_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recorded refusal is an answer, and the table says that it is an error."""
    with Loopback(failure(400, "no")) as server, notebook(server, {}) as shell:
        shell.run(f"%minimax record {tmp_path / 'r'}")
        shell.error("%%minimax\nWhy?")
        capsys.readouterr()
        shell.run("%minimax replay --list")

    assert capsys.readouterr().out.splitlines()[1].endswith("1, errors: 1")
