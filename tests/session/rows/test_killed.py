"""SIGKILL at random moments: nothing that was answered is asked again, and the table is whole."""

from pathlib import Path

import pytest
from support.rows_figures import Killed, kill_again_and_again

ROWS, PARALLEL, KILLS = 120, 8, 6


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path) -> None:
    """Requests in all are at most the rows, and those in flight at each kill; then the file alone
    gives the same table."""
    found = kill_again_and_again(tmp_path, ROWS, PARALLEL, KILLS, seed=7)
    assert found.requests <= ROWS + KILLS * PARALLEL
    assert found == Killed(found.requests, same_without_network=True)
