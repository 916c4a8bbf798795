"""Pictures in the prompts of cells and programs: sent, shown in words, refused, recorded."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from support.canary import found_in
from support.images import a_figure, file_of, jpeg_with_place, plain_image, png_with_names
from support.loopback import Loopback, numbered
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic.errors import UsageError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server of one's own; its answers are "answer 1", "answer 2" and so on."""
    with Loopback(*numbered(30)) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


@pytest.fixture
def shell(server: Loopback) -> Iterator[Shell]:  # noqa: ARG001 - it sets the address
    """A shell in front of that server, with pictures in it."""
    with fresh_shell() as shell:
        yield with_pictures(shell)


@pytest.fixture
def offline() -> Iterator[Shell]:
    """A shell in front of the demo, which takes what MiniMax takes."""
    with fresh_shell() as shell:
        yield with_pictures(shell)


def with_pictures(shell: Shell) -> Shell:
    shell["fig"], shell["red"] = a_figure(), plain_image()
    shell["blue"] = file_of(plain_image(9, 6, "blue"), "JPEG")
    return shell


def last(server: Loopback) -> Any:
    """The messages of the last request."""
    return server.requests[-1].json["messages"]


def kinds(message: Any) -> list[str]:
    """The blocks of a message: its texts, and the types of its pictures."""
    return [block.get("text") or block["source"]["media_type"] for block in message["content"]]


def test_sent_in_order(shell: Shell, server: Loopback) -> None:
    """Text and pictures are sent in their order; a prompt without a picture is a plain string."""
    shell.run("%%minimax\nCompare {{fig}} with {{red}} and {{blue}}.")
    png = "image/png"
    assert kinds(last(server)[0]) == ["Compare ", png, " with ", png, " and ", png, "."]
    shell.run("%%minimax\nWhy?")
    assert kinds(last(server)[0])[1] == png
    assert last(server)[2]["content"] == "Why?"


@pytest.mark.parametrize("options", ["--alone", "-c side", "-o reply", "--no-stream", "-m any"])
def test_with_other_options(shell: Shell, server: Loopback, options: str) -> None:
    """Pictures are sent beside other options; one's own server may have any model."""
    shell.run(f"%%minimax {options}\nWhat is {{{{red}}}}?")
    assert kinds(last(server)[0]) == ["What is ", "image/png", "?"]
    if options == "-o reply":
        assert shell["reply"].text == "answer 1"


def test_metadata_stay_here(shell: Shell, server: Loopback) -> None:
    """Of a picture with a name, a place and a key in it, none is sent."""
    shell["named"], shell["placed"] = png_with_names(), jpeg_with_place()
    shell.run("%%minimax\n{{named}} {{placed}}")
    blocks = last(server)[0]["content"]
    assert [block["type"] for block in blocks] == ["image", "image"]
    assert not found_in(json.dumps(server.requests[-1].json))


def test_a_terminal_names_it(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal, which draws no picture, says what was sent, above the answer."""
    shell.run("%%minimax\nWhat is {{red}}?")
    shown = capsys.readouterr().out
    assert shown.index("[image/png, 8×5, ") < shown.index("answer 1")


def test_shown_in_words(shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """`--dry-run`, `request` and its events show what a picture is, and none of its data."""
    shell.run("%%minimax --dry-run\nWhat is {{red}}?")
    assert server.requests == []
    shell.run("%%minimax\nWhat is {{red}}?")
    data = last(server)[0]["content"][1]["source"]["data"]
    shell.run("%%minimax --dry-run\nAnd {{blue}}?")
    for command in ("request", "request 1", "request 1 --events", "history", "show 1"):
        shell.run(f"%minimax {command}")
    shown = capsys.readouterr().out
    assert shown.count('"data": "image/png, 8×5, ') == 5
    assert '"data": "image/png, 9×6, ' in shown
    assert "Turn 1: What is [image/png, 8×5, " in shown
    assert data[:40] not in shown


def test_a_model_that_is_blind(offline: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that sees nothing is an error that names one that does; nothing is shown or sent."""
    for options in ("", "--dry-run", "-n 2", "-m MiniMax-M2.5"):
        error = offline.error(f"%%minimax {options}\nWhat is {{{{red}}}}?")
        assert isinstance(error, UsageError)
        assert "can't see pictures" in error.message
        assert "`%%minimax -m MiniMax-M3`" in error.next_steps[0]
    assert "[image/png" not in capsys.readouterr().out
    assert "nothing has been sent yet" in str(offline.error("%minimax request"))


def test_a_blind_model_behind_pictures(offline: Shell) -> None:
    """So it is where the pictures are in earlier turns; the tables show what is there."""
    offline.run("%%minimax -m MiniMax-M3\nWhat is {{red}}?")
    error = offline.error("%%minimax\nWhy?")
    assert isinstance(error, UsageError)
    assert "this would send 1 picture (in earlier turns)" in error.message
    assert error.next_steps[-1] == "To leave earlier turns out: `%%minimax --alone`"
    offline.run("%minimax history")
    offline.run("%%minimax --alone\nWhy?")


def test_too_many(offline: Shell) -> None:
    """More pictures than MiniMax takes are refused with the numbers, earlier turns counted."""
    offline.run("%%minimax -m MiniMax-M3\n{{red}} {{blue}}")
    error = offline.error("%%minimax -m MiniMax-M3\n{{red}} {{fig}} {{blue}}")
    assert isinstance(error, UsageError)
    assert "5 pictures (2 of them in earlier turns), and MiniMax-M3 takes at most 4" in str(error)
    offline.run("%%minimax -m MiniMax-M3\n{{red}} {{fig}}")


def test_own_servers_have_no_limit(shell: Shell, server: Loopback) -> None:
    """What a server of one's own takes is not known, so nothing is refused."""
    shell.run("%%minimax\n" + "{{red}} " * 6)
    assert len(last(server)[0]["content"]) == 6


def test_the_demo_tells_what_arrived(offline: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo names type, size and mean colour of each picture, and that one was changed."""
    offline.run("%%minimax -m MiniMax-M3 --alone\nWhat is {{red}} beside {{blue}}?")
    shown = capsys.readouterr().out
    assert "What is [picture 1: 8×5] beside [picture 2: 9×6]?" in shown
    assert "**Pictures, as they arrived** (2):" in shown
    assert "1. image/png, 8×5, " in shown
    assert "mean colour `#c81e28`" in shown
    offline.run("%%minimax -m MiniMax-M3 --alone\nWhat is {{red}} beside {{red}}?")
    assert "- pictures: changed" in capsys.readouterr().out


def test_forecast_counts_pictures(offline: Shell) -> None:
    """A forecast counts a picture by its size in pixels, and not by its bytes."""
    offline["noise"] = Image.effect_noise((1000, 1000), 90)
    error = offline.error("%%minimax -m MiniMax-M3 -n 20\nWhat is {{noise}}?")
    assert isinstance(error, UsageError)
    (told,) = (step for step in error.next_steps if "tokens in" in step)
    assert "bytes and 1 picture." in told
    tokens = int(told.split("about ")[1].split(" tokens")[0].replace(",", ""))
    assert 20 * 1334 <= tokens <= 20 * 1500


def test_several_answers(shell: Shell, server: Loopback) -> None:
    """Each of several requests has the picture; it is shown once."""
    shell.run("%%minimax -n 2 -o replies\nWhat is {{red}}?")
    assert [kinds(request.json["messages"][0])[1] for request in server.requests] == [
        "image/png", "image/png",
    ]  # fmt: skip
    assert len(shell["replies"]) == 2


# -- from Python -------------------------------------------------------------------------------


def test_a_list_of_text_and_pictures(shell: Shell, server: Loopback) -> None:
    """`ask` and `compare` take a list of texts and pictures."""
    shell.run("import mm_magic as mm")
    shell.run("mm.ask(['Compare', fig, 'with', red], show=True)")
    assert kinds(last(server)[0]) == ["Compare", "image/png", "with", "image/png"]
    shell.run("mm.compare(['What is', blue], n=2)")
    assert kinds(last(server)[0]) == ["What is", "image/png"]
    shell.run("mm.ask(['just text'])")
    assert last(server)[0]["content"] == "just text"


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        (["What", 3], "a prompt can hold only text and pictures, got int"),
        ([], "the prompt is empty"),
        (["  "], "the prompt is empty"),
        ([b"<svg/>"], "can't be sent: it is an SVG picture"),
        (plain_image(), "the prompt must be text"),
    ],
)
@pytest.mark.usefixtures("offline")
def test_other_prompts(prompt: Any, why: str) -> None:
    """What is neither text nor a picture is an error before anything is sent."""
    with pytest.raises(UsageError, match=why):
        mm.ask(prompt)


@pytest.mark.parametrize(
    ("part", "what", "step"),
    [
        (a_figure().axes[0].lines[0], "a part of a figure (Line2D)", "Write `value.figure`."),
        (io.BytesIO(), "an open file (BytesIO)", "`value = value.getvalue()`"),
        (3, "int", 'As text: `f"… {value}"`'),
    ],
)
@pytest.mark.usefixtures("offline")
def test_the_line_for_what_is_no_picture(part: object, what: str, step: str) -> None:
    """From Python, too, the error says what to type."""
    with pytest.raises(UsageError) as caught:
        mm.ask(["What is", part])
    assert caught.value.message == f"a prompt can hold only text and pictures, got {what}"
    assert step in caught.value.next_steps[0]


def test_rows_refuse_pictures(offline: Shell) -> None:
    """A table with a column of pictures is refused as a whole, with the line that works."""
    offline["table"] = pd.DataFrame({"picture": [plain_image(), plain_image()]})
    offline["files"] = [{"picture": file_of(plain_image())}]
    offline["names"] = pd.DataFrame({"name": ["a", "b"]})
    for error in (
        offline.error("%%minimax --rows table -m MiniMax-M3\nWhat is {{picture}}?"),
        offline.error("%%minimax --rows table -m MiniMax-M3\nWhat is {{row}}?"),
        offline.error("%%minimax --rows names -m MiniMax-M3\nIs {{name}} in {{fig}}?"),
        offline.error("import mm_magic as mm\nmm.map('What is {{picture}}?', table)"),
        offline.error("import mm_magic as mm\nmm.map('What is {{row}}?', files)"),
    ):
        assert isinstance(error, UsageError)
        assert error.next_steps == (
            'To ask about each picture, use a loop: `mm.ask(["…", picture], model="MiniMax-M3")`',
        )


# -- record, replay, reuse ---------------------------------------------------------------------


def record(shell: Shell, folder: Path, *prompts: str) -> Path:
    path = folder / "lesson.jsonl"
    shell.run(f"%minimax record {path}")
    for prompt in prompts:
        shell.run(f"%%minimax\n{prompt}")
    return path


@pytest.fixture
def recorded(shell: Shell, tmp_path: Path) -> Path:
    """Three prompts with pictures, two of them with the same words, and one without."""
    return record(shell, tmp_path, "What is {{red}}?", "Why?", "What is {{blue}}?")


def test_a_recording_holds_no_picture(recorded: Path, server: Loopback) -> None:
    """A line says of a picture what it is, and holds no data of it."""
    (line, *_) = [json.loads(line) for line in recorded.read_text("utf-8").splitlines()[1:]]
    block = line["request"]["prompt"]["content"][1]
    assert block.keys() == {"type", "media_type", "width", "height", "bytes", "pixels"}
    assert server.requests[0].json["messages"][0]["content"][1]["source"]["data"][:30] not in (
        recorded.read_text("utf-8")
    )


@pytest.fixture
def replay(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.delenv("MINIMAX_BASE_URL")
    with fresh_shell() as shell:
        with_pictures(shell).run(f"%minimax replay {recorded}")
        yield shell


def test_replay_of_the_same_pictures(replay: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The same pictures, whatever their files hold, get their own answers, with no word on it."""
    replay["red"] = png_with_names()
    for prompt in ("What is {{red}}?", "Why?", "What is {{blue}}?"):
        replay.run(f"%%minimax\n{prompt}")
    shown = capsys.readouterr().out
    assert all(f"answer {n}" in shown for n in (1, 2, 3))
    assert "different picture" not in shown


def test_replay_of_other_pictures(replay: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Where pictures alone differ, the recorded answers come and say so, those below as well."""
    replay["red"], replay["blue"] = plain_image(8, 5, "green"), plain_image(7, 7)
    for number, prompt in enumerate(("What is {{red}}?", "Why?", "What is {{blue}}?"), start=1):
        replay.run(f"%%minimax\n{prompt}")
        shown = capsys.readouterr().out
        assert f"answer {number}" in shown
        assert "The answer was recorded with a different picture." in shown


def test_replay_of_another_prompt(replay: Shell) -> None:
    """Other words, another number of pictures or other options are not in the recording."""
    for cell in ("\nWhat was {{red}}?", "\nWhat is {{red}}{{red}}?", " -t 0.1\nWhat is {{red}}?"):
        assert "is not in" in str(replay.error(f"%%minimax{cell}"))


def test_a_picture_that_was_not_recorded(replay: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Above the error for what is not in the recording no picture is shown."""
    capsys.readouterr()
    for options in ("", "-n 2"):
        replay.error(f"%%minimax {options}\nWhat was {{{{red}}}}?")
        assert "[image/png" not in capsys.readouterr().out.partition("nearest recorded")[0]


def test_the_list_names_pictures(replay: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The list of a recording, and the error for what is not in it, say where pictures stand."""
    replay.run("%minimax replay --list")
    assert "What is [image/png, 8×5, " in capsys.readouterr().out
    error = replay.error("%%minimax\nWhat was {{red}}?")
    assert isinstance(error, UsageError)
    assert "recorded prompt: “What is [image/png, 8×5, " in error.next_steps[0]


def test_each_picture_has_its_answer(
    shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of several that ask the same about other pictures each gets its own, in their order."""
    shell.run(f"%minimax record {tmp_path / 'r.jsonl'}")
    for name in ("red", "blue", "fig"):
        shell.run(f"%%minimax --alone\nWhat is {{{{{name}}}}}?")
    monkeypatch.delenv("MINIMAX_BASE_URL")
    capsys.readouterr()
    with fresh_shell() as other:
        with_pictures(other).run(f"%minimax replay {tmp_path / 'r.jsonl'}")
        other["blue"], other["fig"] = plain_image(1, 1), plain_image(2, 2)
        answers = []
        for name in ("red", "blue", "fig"):
            other.run(f"%%minimax --alone -o reply\nWhat is {{{{{name}}}}}?")
            answers.append(other["reply"].text)
    assert answers == ["answer 1", "answer 2", "answer 3"]
    assert capsys.readouterr().out.count("The answer was recorded with a different picture.") == 2


def test_fill_asks_about_another_picture(recorded: Path, server: Loopback) -> None:
    """With `--fill` and somebody to ask, another picture is asked about, and then recorded."""
    for sent in (4, 4):
        with fresh_shell() as shell:
            with_pictures(shell).run(f"%minimax replay {recorded} --fill")
            shell["red"] = plain_image(3, 3)
            shell.run("%%minimax -o reply\nWhat is {{red}}?")
            assert shell["reply"].text == "answer 4"
        assert len(server.requests) == sent


def test_reuse_is_of_the_very_picture(shell: Shell, server: Loopback) -> None:
    """Reuse shows the answer again where the picture is the same, and asks where it is not."""
    shell.run("%minimax --reuse")
    shell.run("%%minimax --alone\nWhat is {{red}}?")
    shell["red"] = png_with_names()  # the same pixels
    shell.run("%%minimax --alone -o reply\nWhat is {{red}}?")
    assert len(server.requests) <= 2
    sent = len(server.requests)
    shell["red"] = plain_image(8, 5, "green")
    shell.run("%%minimax --alone -o reply\nWhat is {{red}}?")
    assert len(server.requests) == sent + 1


def test_literal_sends_no_picture(shell: Shell, server: Loopback) -> None:
    """With `--literal` the braces are sent as written."""
    shell.run("%%minimax --literal\nWhat is {{red}}?")
    assert last(server)[0]["content"] == "What is {{red}}?"
