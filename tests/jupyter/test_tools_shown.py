"""What functions return, below the calls of an answer."""

from collections.abc import Iterator

import pytest
from support.loopback import Loopback
from support.shells import Shell, fresh_shell
from support.tool_service import BLUE, ToolService, call

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
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose server calls three times, and then says what it saw."""
    service = ToolService([call("make", id=id_) for id_ in ("t1", "t2", "t3")], [BLUE])
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
