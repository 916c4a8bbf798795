"""How much live drawing may send: so many messages a second, and bytes linear in what came."""

import json
from collections.abc import Callable
from typing import Protocol

from mm_magic.rendering.bundles import Bundle

INTERVAL = 1 / 6
"""Seconds between two drawings."""
PER_MESSAGE = 1 / 8
"""Seconds that each message takes from the budget: JupyterLab queues updates, it drops none."""
BURST = 20_000
BYTES_PER_CHARACTER = 45
BYTES_PER_SECOND = 2_000
"""What live drawing may send: a burst, so much a character that came, so much a second."""


class Screen(Protocol):
    """Where bundles go. A slot is a display; slots come down the page in the order of creation."""

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        """Create the display `slot`, or with `update` replace what it shows."""


class Budget:
    """Says when the next drawing is due, by what the earlier ones took."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        per_character: int = BYTES_PER_CHARACTER,
        per_second: int = BYTES_PER_SECOND,
    ) -> None:
        self._clock = clock
        self._per_character = per_character
        self._per_second = per_second
        self._due = float("-inf")
        self._messages = 0
        self._credit = float(BURST)
        self._credit_time = clock()

    def earn(self, characters: int) -> None:
        """So many characters came."""
        self._credit += characters * self._per_character

    def is_due(self) -> bool:
        now = self._clock()
        self._credit += (now - self._credit_time) * self._per_second
        self._credit = min(self._credit, BURST * 10)
        self._credit_time = now
        return now >= self._due and self._credit >= 0

    def count(self) -> None:
        """A message was sent."""
        self._messages += 1

    def charge(self, bundle: Bundle) -> int:
        """Take the bytes of this bundle on the wire, and return how many there are."""
        size = len(json.dumps(bundle, ensure_ascii=False).encode())
        self._credit -= size
        return size

    def spend(self) -> None:
        """A drawing has ended: its messages put off the next one."""
        if self._messages:
            spent = max(INTERVAL, self._messages * PER_MESSAGE)
            self._due = max(self._due, self._clock()) + spent
            self._messages = 0
