"""Which notebooks `extract` and `strip` take: patterns, folders of students, and nothing at all."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import hostile
from support.files import cell, file, saved, turn

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import TURN_MIME


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command line, as a shell without patterns hands it over."""
    return subprocess.run(
        [sys.executable, "-m", "mm_magic", *words],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def notebook(path: Path) -> Path:
    """A notebook with one turn, whose prompt is the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    main = Conversation("main")
    path.write_bytes(file(cell("a", saved(main, main.commit(turn(path.name))))))
    return path


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """Folders of students in the folder of a class, with what Jupyter and a Mac leave there."""
    for name in ("alice/lesson.ipynb", "bob/week 1/lesson.ipynb", "intro.ipynb"):
        notebook(tmp_path / "class" / name)
    for name in (".ipynb_checkpoints/lesson-checkpoint.ipynb", "._lesson.ipynb", "notes.txt"):
        path = tmp_path / "class" / "alice" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no notebook", "utf-8")
    (tmp_path / "class" / "empty").mkdir()
    notebook(tmp_path / "a[1].ipynb")
    notebook(tmp_path / "b.ipynb")
    return tmp_path


def files_of(done: "subprocess.CompletedProcess[str]") -> list[str]:
    return [Path(json.loads(line)["file"]).as_posix() for line in done.stdout.splitlines()]


ALL = ["class/intro.ipynb", "class/alice/lesson.ipynb", "class/bob/week 1/lesson.ipynb"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["*.ipynb"], ["a[1].ipynb", "b.ipynb"]),
        (["?.ipynb"], ["b.ipynb"]),
        (["[ab].ipynb"], ["b.ipynb"]),
        (["a[1].ipynb"], ["a[1].ipynb"]),
        (["class"], ALL),
        (["class/"], ALL),
        (["class/bob"], ALL[2:]),
        (["class/*/*.ipynb"], ALL[1:2]),
        (["class/**/*.ipynb"], [ALL[1], ALL[2], ALL[0]]),
        (["class/[ab]*"], ALL[1:]),
        (["class", "class/alice", "b.ipynb", "b.ipynb"], [*ALL, "b.ipynb"]),
        (["."], ["a[1].ipynb", "b.ipynb", *ALL]),
    ],
)
def test_what_is_found(school: Path, words: list[str], found: list[str]) -> None:
    """A pattern is what a shell would make of it, a folder all notebooks in it and below it; each
    comes once, and hidden ones, as checkpoints, not at all."""
    done = run(school, "extract", *words)

    notebooks = "notebook" if len(found) == 1 else "notebooks"
    turns = notebooks.replace("notebook", "turn")
    said = f"mm_magic: {len(found)} {turns} from {len(found)} {notebooks}\n"
    assert (done.returncode, done.stderr) == (0, said)
    assert files_of(done) == found


def test_home(school: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder, also where the shell leaves it as it is."""
    monkeypatch.setenv("HOME", str(school))
    monkeypatch.setenv("USERPROFILE", str(school))

    done = run(school, "extract", "~/b*.ipynb")

    assert [Path(name).name for name in files_of(done)] == ["b.ipynb"]


@pytest.mark.parametrize("command", ["extract", "strip"])
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("*.nothing", "no notebook matches '*.nothing'"),
        ("class/*/*.txt", "no notebook matches 'class/*/*.txt'"),
        ("class/empty", "there is no notebook in 'class/empty'"),
        ("none.ipynb", "there is no file 'none.ipynb'"),
        ("~nobody/*.ipynb", "no notebook matches '~nobody/*.ipynb'"),
    ],
)
def test_nothing_found(school: Path, command: str, word: str, said: str) -> None:
    """Nothing found is said, and the exit status is 1; the others are done."""
    done = run(school, command, word)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"mm_magic: {said}\n")

    done = run(school, command, word, "b.ipynb")
    in_all = {"extract": "mm_magic: 1 turn from 1 notebook\n", "strip": ""}[command]
    assert (done.returncode, done.stderr) == (1, f"mm_magic: {said}\n{in_all}")
    assert "b.ipynb" in done.stdout


def test_nothing_found_writes_nothing(school: Path) -> None:
    """Where no notebook is found, an older table stays."""
    (school / "answers.csv").write_text("kept", "utf-8")

    run(school, "extract", "*.nothing", "--format", "csv", "-o", "answers.csv")

    assert (school / "answers.csv").read_text("utf-8") == "kept"


def test_notebooks_without_turns(tmp_path: Path) -> None:
    """That notebooks were read and hold no turn is said; they count as read."""
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).write_bytes(file(cell("a")))

    done = run(tmp_path, "extract", ".")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "mm_magic: no saved turns in 2 notebooks\n"


def test_some_notebooks_have_turns(school: Path) -> None:
    """It is said how many of the notebooks hold turns, also where the turns go into a file."""
    (school / "empty.ipynb").write_bytes(file(cell("a")))
    said = "removed 2 saved turns from 2 of 3 notebooks"

    done = run(school, "extract", "*.ipynb", "-o", "answers.jsonl")
    assert done.stderr == "mm_magic: 2 turns from 2 of 3 notebooks\n"
    done = run(school, "strip", "*.ipynb")
    assert done.stdout.split("\n")[-2] == f"In all: {said}."
    done = run(school, "strip", "*.ipynb", "--thinking")
    nothing = "removed 0 saved turns and the thinking of 0 answers from 0 of 3 notebooks"
    assert done.stdout.split("\n")[-2] == f"In all: {nothing}."


@pytest.mark.parametrize("word", ["class", "class/*"])
def test_strip_of_a_folder(school: Path, word: str) -> None:
    """`strip` takes folders and patterns, too, and leaves hidden files alone."""
    hidden = notebook(school / "class/alice/.ipynb_checkpoints/lesson-checkpoint.ipynb")
    (school / "class" / "empty").rmdir()

    done = run(school, "strip", word)

    assert done.returncode == 0
    assert done.stdout.count("removed 1 saved turn.") == 3
    assert done.stdout.endswith("In all: removed 3 saved turns from 3 notebooks.\n")
    assert all(TURN_MIME not in (school / name).read_text("utf-8") for name in ALL)
    assert TURN_MIME in hidden.read_text("utf-8")
    assert TURN_MIME in (school / "b.ipynb").read_text("utf-8")


def test_real_commands(school: Path) -> None:
    """Command lines as people write them."""
    for case in hostile.load("real-world/commands.json"):
        if "argv" not in case:
            continue
        done = run(school, *case["argv"])
        assert done.returncode == case.get("rc", 0)
        assert not re.search(case.get("not", r"(?!)"), done.stdout)
        assert re.search(case.get("has", ""), done.stdout)
