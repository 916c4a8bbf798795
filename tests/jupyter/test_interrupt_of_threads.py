"""■ where the code of a cell asks in threads: an interrupt reaches only the main one."""

import pytest
from support.loopback import Loopback, stall
from support.shells import fresh_shell

from mm_magic.session.api import session

THREAD = """
import threading
import mm_magic as mm

ended = threading.Event()

def ask():
    try:
        {call}
    except KeyboardInterrupt:
        ended.set()

threading.Thread(target=ask, daemon=True).start()
"""
CALLS = {
    "map": "mm.map('Say {{n}}', [{'n': n} for n in range(8)], parallel=2)",
    "ask": "mm.ask('Why?')",
    "compare": "mm.compare('Why?', n=2)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_threads_stop_with_their_cell(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a thread of the cell asks is closed, and it gets a KeyboardInterrupt."""
    with Loopback(stall) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            shell["arrived"] = server.arrived
            code = f"{THREAD.format(call=call)}\nassert arrived.wait(30)\nraise KeyboardInterrupt"
            assert isinstance(shell.error(code), KeyboardInterrupt)
            assert shell["ended"].wait(30)
            assert all(each.closed.wait(30) for each in server.connections)
            assert len(server.requests) <= 2


def test_threads_of_other_cells_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier cell asks in the background is not stopped with this one."""
    with Loopback(stall) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            shell["arrived"] = server.arrived
            shell.run(f"{THREAD.format(call=CALLS['ask'])}\nassert arrived.wait(30)")
            shell.error("raise KeyboardInterrupt")
            assert not shell["ended"].is_set()
            (run,) = session().running.runs
            run.cancel()
            assert shell["ended"].wait(30)
