"""How far the rows of a table are, as numbers."""

from mm_magic.conversation.rows_count import RowsCount


def test_rows_that_were_found_are_not_asked() -> None:
    """Speed, time left and price in all go by what was asked in this run."""
    count = RowsCount(rows=100, done=35, failed=5, found=20, price=0.5, seconds=10)
    assert (count.ended, count.asked, count.speed) == (40, 20, 2)
    assert (count.seconds_left, count.price_in_all) == (30, 2)


def test_nothing_is_foretold_before_anything_was_asked() -> None:
    """Rows that were found tell nothing of the others; an unknown price stays unknown."""
    count = RowsCount(rows=100, done=20, found=20, price=0.0, seconds=10)
    assert (count.speed, count.seconds_left, count.price_in_all) == (None, None, None)
    assert RowsCount(rows=9, done=3, price=None, seconds=1).price_in_all is None
    assert not RowsCount(9).is_demo
