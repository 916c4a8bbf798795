"""The line that says how far a table is, and the one that stays when all rows have ended."""

import math
from collections.abc import Sequence

from mm_magic.conversation.catalog import dollars
from mm_magic.conversation.rows_count import RowsCount
from mm_magic.rendering.bundles import Bundle, line_bundle, status_bundle
from mm_magic.transport.endpoint import DEMO_NAME
from mm_magic.wording import counted

_BAR = 16
"""Characters of the bar."""
_SOON = 60  # seconds: beyond them minutes are counted


def growing_line(count: RowsCount) -> str:
    """As `██████░░ 41 of 60 rows · 1 failed · 12,340 tokens · 8.2 rows/s · 3 s left`."""
    full = _BAR * count.ended // count.rows
    bar = "█" * full + "░" * (_BAR - full)
    parts = [f"{bar} {count.ended:,} of {counted(count.rows, 'row')}", *_took(count)]
    if count.speed is not None:
        parts.append(f"{_number(count.speed)} rows/s")
    elif count.seconds >= 1:
        parts.append(f"{int(count.seconds)} s")
    if count.seconds_left is not None:
        parts.append(f"{_time(count.seconds_left)} left")
    return " · ".join(parts)


def growing_bundle(count: RowsCount) -> Bundle:
    """The line for a page."""
    return line_bundle(growing_line(count))


def ended_bundle(count: RowsCount, notes: Sequence[str], *, to: str = "") -> Bundle:
    """What stays under the cell: the line, and sentences below it. `to` is a variable."""
    parts = [DEMO_NAME] if count.is_demo else []
    parts.append(counted(count.rows, "row"))
    if count.done != count.rows or count.failed:
        parts.append(f"{count.done:,} answered")
    parts += _took(count, is_over=True)
    if count.asked and not count.is_demo:
        parts.append(f"{count.seconds:.1f} s")
    if to:
        parts.append(f"stored in {to}")
    return status_bundle(parts, notes, None)


def _took(count: RowsCount, *, is_over: bool = False) -> list[str]:
    """What failed, tokens and price, and how many requests have neither."""
    parts = [f"{count.failed:,} failed"] if count.failed else []
    if count.tokens:
        parts.append(f"{count.tokens:,} tokens")
    if count.price:
        in_all = None if is_over else count.price_in_all
        more = f" of about {dollars(in_all)}" if in_all is not None else ""
        parts.append(f"{dollars(count.price)}{more}")
    if count.uncounted:
        parts.append(f"{counted(count.uncounted, 'request')} not counted")
    return parts


def _number(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"


def _time(seconds: float) -> str:
    if seconds < _SOON:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60):,} min"
