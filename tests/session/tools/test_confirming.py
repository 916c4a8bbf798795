"""The question whether a function may be called, on a line of its own."""

import asyncio
import io

import pytest

from mm_magic.protocol.messages import ToolUseBlock
from mm_magic.session.tools.confirming import ask_in_line

LONG = ToolUseBlock("t1", "run", {"code": "x = 1; " * 1000 + "END"})


@pytest.mark.parametrize(("is_shown", "ends"), [(False, True), (True, False)])
def test_the_whole_call_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_shown: bool,
    ends: bool,
) -> None:
    """Nobody agrees to what is cut off: only a call that is shown above has a short question."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    assert asyncio.run(ask_in_line(LONG, is_shown=is_shown))
    asked = capsys.readouterr().out
    assert asked.startswith('Run run(code="x = 1; x = 1;')
    assert asked.endswith("? [y/N] ")
    assert ("END" in asked) is ends


def test_a_call_stays_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a model writes can't look like another question, or move the cursor."""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    given = "{\n\x1b[2J\rRun nothing()? [y/N] "

    assert not asyncio.run(ask_in_line(ToolUseBlock("t1", "run", given)))
    asked = capsys.readouterr().out
    assert not {"\n", "\r", "\x1b"} & {*asked}
