"""`python -m mm_magic extract`: the conversations in notebook files, as a teacher takes them."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.files import cell, file, saved, turn

from mm_magic.cli.extract import COLUMNS, as_csv, as_jsonl, as_markdown
from mm_magic.cli.main import main
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.saved_turn import record_json, turn_json
from mm_magic.protocol.messages import Usage


def notebook(path: Path) -> Path:
    """Two conversations, a turn alone, one that was forgotten and one that broke off."""
    main, side = Conversation("main"), Conversation("side")
    other = saved(side, side.commit(turn("other", conversation="side")))
    one, two, three = (saved(main, main.commit(turn(p))) for p in ("one", "two", "three"))
    main.forget(1)
    last = saved(main, main.commit(turn("last")))
    broken = saved(main, turn("broken", status="incomplete", number=5))
    alone = turn_json(turn("alone", conversation=None, number=0), None)
    path.write_bytes(
        file(
            cell("alone", alone),
            cell("last", last),
            cell("one", one),
            cell("two", two),
            cell("two again", {**two, "copy": True}, two),
            cell("three", three),
            cell("other", other),
            cell("broken", broken),
        )
    )
    return path


def rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.split("\n")[:-1]]


def row(**changed: object) -> Any:
    return dict.fromkeys(COLUMNS) | {"file": "a", "number": 1, "conversation": "main"} | changed


def test_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each turn, once: by conversation and number, those that stand alone last."""
    path = notebook(tmp_path / "a.ipynb")

    assert main(["extract", str(path)]) == 0
    found = rows(capsys.readouterr().out)
    assert [(r["conversation"], r["number"], r["prompt"], r["state"]) for r in found] == [
        ("main", 1, "one", "not remembered"),
        ("main", 2, "two", "remembered"),
        ("main", 3, "three", "remembered"),
        ("main", 4, "last", "remembered"),
        ("main", 5, "broken", "not remembered"),
        ("side", 1, "other", "remembered"),
        (None, 0, "alone", "alone"),
    ]
    assert tuple(found[0]) == COLUMNS
    assert found[1] | {"turn_id": ""} == {
        "file": str(path),
        "turn_id": "",
        "conversation": "main",
        "number": 2,
        "prompt": "two",
        "thinking": "Hm",
        "answer": "TWO",
        "model": "M",
        "temperature": None,
        "top_p": None,
        "max_tokens": None,
        "thinking_option": None,
        "effort": None,
        "system": None,
        "backend": "MiniMax",
        "input_tokens": None,
        "output_tokens": None,
        "seconds": None,
        "status": "complete",
        "state": "remembered",
        "answer_number": 1,
        "without": None,
    }


def test_several_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each answer has a row with the options and seconds of its own; the turn is counted once."""
    asked = turn("Why?", conversation=None, number=0)
    first = replace(asked, answer=1, parameters={"model": "M", "temperature": 0.1})
    late = replace(asked.reply, seconds=2.5)
    second = replace(first, answer=2, parameters={"model": "M", "temperature": 0.2}, reply=late)
    found = turn_json(replace(first, others=(second,)), None)
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", found)))

    assert main(["extract", str(path)]) == 0
    told = capsys.readouterr()
    names = ("answer_number", "temperature", "seconds", "state")
    assert [tuple(each[name] for name in names) for each in rows(told.out)] == [
        (1, 0.1, None, "alone"),
        (2, 0.2, 2.5, "not chosen"),
    ]
    assert told.err == "mm_magic: 1 turn (2 answers) from 1 notebook\n"


def test_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy has a row that says so, with the one answer that is sent, and is counted apart."""
    first = turn("Why?")
    several = replace(first, answer=1, others=(replace(first, answer=2),))
    talk, idea = Conversation("main"), Conversation("idea")
    original = saved(talk, talk.commit(several))
    copied = idea.commit(replace(first, conversation="idea", copy_of=1))
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", original), cell("f", record_json([saved(idea, copied)]))))

    assert main(["extract", str(path)]) == 0
    told = capsys.readouterr()
    assert [(each["conversation"], each["state"]) for each in rows(told.out)] == [
        ("main", "remembered"),
        ("main", "not chosen"),
        ("idea", "copied"),
    ]
    assert told.err == "mm_magic: 1 turn (2 answers) and 1 copy from 1 notebook\n"


def test_folder_of_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder stands for its notebooks, but checkpoints; what fails is told, the rest done."""
    notebook(tmp_path / "b.ipynb")
    notebook(tmp_path / "c.ipynb")
    (tmp_path / "a.ipynb").write_text("{")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    notebook(tmp_path / ".ipynb_checkpoints" / "b-checkpoint.ipynb")

    assert main(["extract", str(tmp_path), str(tmp_path / "none.ipynb")]) == 1
    out, err = capsys.readouterr()
    assert [Path(r["file"]).name for r in rows(out)] == ["b.ipynb"] * 7 + ["c.ipynb"] * 7
    first, second, in_all = err.split("\n")[:-1]
    assert "a.ipynb' is not JSON" in first
    assert "there is no file" in second
    assert "none.ipynb" in second
    assert in_all == "mm_magic: 14 turns from 2 notebooks"


def test_unreadable_turns_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Turns that can't be read are counted on stderr; the file counts as read."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", {"version": 9}, {"version": 9})))

    assert main(["extract", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 saved turns can't be read: written by a later release of mm_magic" in err


def test_csv_is_a_table(tmp_path: Path) -> None:
    """A CSV file has a heading, and is taken for UTF-8 by spreadsheets."""
    path, target = notebook(tmp_path / "a.ipynb"), tmp_path / "out.csv"

    assert main(["extract", str(path), "--format", "csv", "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"\xef\xbb\xbffile,turn_id,conversation,")
    read = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"))))
    assert [each["prompt"] for each in read][:2] == ["one", "two"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "＝1"])
def test_csv_holds_no_formula(text: str) -> None:
    """What a spreadsheet would run gets an apostrophe before it, in every column of text."""
    made = as_csv([row(prompt=text, answer=f"a{text}", conversation=text)])
    (found,) = csv.DictReader(io.StringIO(made))

    assert found["prompt"] == found["conversation"] == f"'{text}"
    assert found["answer"] == f"a{text}"


def test_markdown_keeps_texts_in_their_places() -> None:
    """Prompts, thinking and answers are quoted: none makes a heading, or ends its part."""
    hostile = "# Mine\n\n```\n<script>alert(1)</script>\n![x](http://x/y)"
    made = as_markdown([row(prompt=hostile, answer=hostile, file="a\n# b", model="*M*")])
    own = [line for line in made.split("\n") if line and not line.startswith(">")]

    assert own[:5] == [
        r"# a \# b",
        "## Conversation main",
        "### Turn 1",
        "**Prompt**",
        "**Answer**",
    ]
    assert own[5].startswith(r"\*M\* · None · ? in / ? out")
    assert made.count("> # Mine") == 2
    assert "![" not in made


def test_terminal_is_safe() -> None:
    """No control character comes through raw; in JSON lines each can be read back."""
    acts = "\x1b]0;x\x07\x7f\x9b31m\u202e\u2066\u2028\U000e0041"
    (found,) = rows(as_jsonl([row(prompt=acts, conversation=acts)]))
    assert found["prompt"] == acts

    for made in (as_jsonl, as_csv, as_markdown):
        text = made([row(prompt=acts, answer=acts, file=acts, conversation=acts, model=acts)])
        assert not set(text) & set(acts) - {"0", ";", "]", "x", "3", "1", "m"}


@pytest.mark.parametrize(("status", "counts"), [("complete", (3, 4)), ("stopped", (None, None))])
def test_tokens(
    status: str,
    counts: tuple[int | None, int | None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Tokens are the counts that the server gave, which it does at the end of an answer."""
    json_ = turn_json(turn("alone", conversation=None, number=0), None)
    json_ |= {"usage": Usage(input_tokens=3, output_tokens=4).to_wire(), "status": status}
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", json_)))
    main(["extract", str(path)])

    (found,) = rows(capsys.readouterr().out)
    assert (found["input_tokens"], found["output_tokens"]) == counts


def one_turn(folder: Path, **changed: object) -> Path:
    path = folder / "a.ipynb"
    path.write_bytes(
        file(cell("a", turn_json(turn("why?", conversation=None, number=0), None) | changed))
    )
    return path


def test_options_that_were_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each option that was sent has its value in a column of its own; the seconds have one, too."""
    sent = {
        "model": "M",
        "stream": True,
        "temperature": 0.3,
        "max_tokens": 2048,
        "system": "Be brief.",
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }
    path = one_turn(tmp_path, asked=sent, seconds=2.5)

    main(["extract", str(path)])
    (found,) = rows(capsys.readouterr().out)
    assert {name: found[name] for name in COLUMNS[8:14]} == {
        "temperature": 0.3,
        "top_p": None,
        "max_tokens": 2048,
        "thinking_option": "adaptive",
        "effort": "low",
        "system": "Be brief.",
    }
    assert (found["seconds"], found["thinking"]) == (2.5, "Hm")
    main(["extract", str(path), "--format", "md"])
    line = capsys.readouterr().out.strip().split("\n")[-1]
    assert "temperature 0.3 · max\\_tokens 2048 · thinking\\_option adaptive" in line
    assert " · 2.5 s · " in line


def test_options_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in a file in an option's place and is no value of one is left out."""
    made_up = {"temperature": [1], "thinking": {}, "output_config": {"a": {"b": 1}}, "top_p": True}
    path = one_turn(tmp_path, asked=made_up | {"system": "=1+1"}, seconds="long")

    main(["extract", str(path)])
    (found,) = rows(capsys.readouterr().out)
    assert [found[name] for name in COLUMNS[8:13]] == [None] * 5
    assert found["seconds"] is None
    main(["extract", str(path), "--format", "csv"])
    (found,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert found["system"] == "'=1+1"


@pytest.mark.parametrize(
    ("saved_as", "told"),
    [
        ({"backend": "minimax"}, "MiniMax"),
        ({"backend": "url"}, "own server"),
        ({"backend": "offline"}, "demo"),
        ({"backend": "recorded"}, "recorded"),
        ({"backend": "recorded", "recorded": {"backend": "offline"}}, "recorded, demo"),
        (
            {"backend": "recorded", "recorded": {"backend": "url", "day": "2026-11-28"}},
            "recorded 2026-11-28, own server",
        ),
    ],
)
def test_who_answered(
    saved_as: dict[str, object],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who answered is told in plain words, never in those of the file."""
    main(["extract", str(one_turn(tmp_path, **saved_as))])
    (found,) = rows(capsys.readouterr().out)
    assert found["backend"] == told


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.ipynb", "--format", "xml"], ["a.ipynb", "-o", "b.ipynb"], ["--unknown", "a.ipynb"]],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line exits with 2, and never overwrites a notebook."""
    with pytest.raises(SystemExit) as caught:
        main(["extract", *arguments])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_target_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that can't be written is told, with exit status 1."""
    path = notebook(tmp_path / "a.ipynb")

    assert main(["extract", str(path), "-o", str(tmp_path)]) == 1
    assert "can't be written: Is a directory" in capsys.readouterr().err


LONG = "a" * 300
"""More than a file's name may have."""


def test_paths_that_lead_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name too long and a link to itself are told, and the other files are done."""
    path, loop = notebook(tmp_path / "a.ipynb"), tmp_path / "loop"
    loop.symlink_to(loop)

    assert main(["extract", str(tmp_path / LONG), str(loop), str(loop / "b"), str(path)]) == 1
    told = capsys.readouterr()
    assert len(rows(told.out)) == 7
    assert told.err.count("can't be read") == 3
    assert main(["extract", str(path), "-o", str(tmp_path / LONG)]) == 1
    assert main(["extract", str(path), "-o", str(loop)]) == 1
    assert capsys.readouterr().err.count("can't be written") == 2
    assert loop.is_symlink()


def test_folders_of_others(tmp_path: Path) -> None:
    """What another user keeps to himself is told, and the other files are done."""
    locked = tmp_path / "locked"
    locked.mkdir()
    notebook(locked / "b.ipynb")
    notebook(tmp_path / "a.ipynb").chmod(0o644)
    tmp_path.chmod(0o755)
    locked.chmod(0)
    code = (
        "import encodings.utf_8_sig, os, sys; from mm_magic.cli.main import main\n"
        "if os.geteuid() == 0:\n    os.seteuid(65534)\n"
        "sys.exit(main(['extract', 'locked/b.ipynb', 'locked', 'a.ipynb']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    locked.chmod(0o700)
    assert done.stderr.split("\n")[:-1] == [
        "mm_magic: 'locked' can't be read: Permission denied",
        "mm_magic: 'locked/b.ipynb' can't be read: Permission denied",
        "mm_magic: 7 turns from 1 notebook",
    ]
    assert len(rows(done.stdout)) == 7
    assert done.returncode == 1


def test_name_of_a_file_that_is_no_text(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 comes into every format."""
    notebook(tmp_path / "b\udcff.ipynb")
    target = tmp_path / "turns"
    for form in ("jsonl", "csv", "md"):
        assert main(["extract", str(tmp_path), "--format", form, "-o", str(target)]) == 0
        assert "three" in target.read_text("utf-8-sig")
    main(["extract", str(tmp_path), "-o", str(target)])
    assert rows(target.read_text())[0]["file"].endswith("b\udcff.ipynb")


def test_help_tells_of_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    """The help says what is done to formulas."""
    with pytest.raises(SystemExit):
        main(["extract", "--help"])
    assert "apostrophe" in capsys.readouterr().out


def test_pipe(tmp_path: Path) -> None:
    """The output of the process is UTF-8 whatever the locale, and a reader may stop early."""
    talk = Conversation("main")
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", saved(talk, talk.commit(turn("Grüße 😀" * 50_000))))))
    command = [sys.executable, "-m", "mm_magic", "extract", str(path)]

    done = subprocess.run(
        command, capture_output=True, env={"LC_ALL": "C", "PYTHONUTF8": "0"}, check=True
    )
    assert rows(done.stdout.decode())[0]["prompt"].startswith("Grüße 😀")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        # Of a reader that leaves early the process need not hear.
        assert process.stderr.read() in (b"", b"mm_magic: 1 turn from 1 notebook\n")
        assert process.wait() == 0
