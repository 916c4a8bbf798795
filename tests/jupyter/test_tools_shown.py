"""What functions return, below the calls of an answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loopback import Loopback
from support.shells import Shell, fresh_shell
from support.tool_service import BLUE, ToolService, call

LOOK = "def look() -> str:\n    'Look.'\n    return 'blue'"
RETURNS = """\
shown = []
class Table:
    def _repr_html_(self):
        shown.append("html")
        return "<table><tr><td>1</td></tr></table>"
class Widget:
    def _ipython_display_(self):
        shown.append("itself")
def make():
    "Make one."
    return made()
"""


@pytest.fixture
def service() -> ToolService:
    """Calls three times, and then says what it saw."""
    return ToolService([call("make", id=id_) for id_ in ("t1", "t2", "t3")], [BLUE])


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, service: ToolService) -> Iterator[Shell]:
    with Loopback(service) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            yield shell


@pytest.mark.parametrize(("made", "shown"), [("Table", ["html"] * 3), ("Widget", [])])
def test_objects_are_asked_once(shell: Shell, made: str, shown: list[str]) -> None:
    """Each shows itself once, however often its call is drawn; none draws on the page itself."""
    shell.run(RETURNS)
    shell["made"] = shell[made]
    shell.run("%%minimax --tools make\nWhy?")

    assert shell["shown"] == shown
    assert shell.ip.display_formatter.ipython_display_formatter.enabled


def test_requests_of_a_turn_that_failed(
    shell: Shell, service: ToolService, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them are shown, with what arrived."""
    service.answers = [[call()], [call()], 400]
    shell.run(LOOK)
    shell.error("%%minimax --tools look\nWhy?")
    capsys.readouterr()
    shell.run("%minimax request --events")

    shown = capsys.readouterr().out
    assert shown.count("Sent:") == 3
    assert shown.count("HTTP 200") == 2
    assert shown.count("HTTP 400") == 1


def test_list_of_a_recording(
    shell: Shell,
    service: ToolService,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A request that goes on behind calls has no prompt of its own, and says what it has."""
    service.answers = [[call()], [BLUE]]
    shell.run(LOOK)
    shell.run(f"%minimax record {tmp_path / 'r.jsonl'}")
    shell.run("%%minimax --tools look\nWhy?")
    capsys.readouterr()
    shell.run(f"%minimax replay {tmp_path / 'r.jsonl'} --list")

    _, *rows, _ = capsys.readouterr().out.strip().splitlines()
    assert [row.split("  ")[0] for row in rows] == ["Why?", "[result of a call]"]
