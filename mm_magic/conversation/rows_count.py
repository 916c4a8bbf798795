"""How far a table is whose rows are asked."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class RowsCount:
    """Counts of rows and of what they took so far.

    Of `done` and `failed` rows, `found` were not asked in this run. `tokens` are those in and out
    of what was asked now, `price` its USD, None where a price is not known; of `uncounted` requests
    nobody knows what they took, as their answers broke off or never came. `seconds` is how long it
    has taken. `is_demo`: the demo answers, which takes its own time.
    """

    rows: int
    done: int = 0
    failed: int = 0
    found: int = 0
    tokens: int = 0
    price: float | None = 0.0
    uncounted: int = 0
    seconds: float = 0.0
    is_demo: bool = False

    @property
    def ended(self) -> int:
        """Rows of which nothing more is expected in this run."""
        return self.done + self.failed

    @property
    def asked(self) -> int:
        """Rows that were asked in this run, and have ended."""
        return self.ended - self.found

    @property
    def speed(self) -> float | None:
        """Rows a second, None where that can't be told yet."""
        return self.asked / self.seconds if self.asked and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this speed, None where that can't be told yet."""
        return (self.rows - self.ended) / self.speed if self.speed else None

    @property
    def price_in_all(self) -> float | None:
        """What all rows will have cost, if the rest costs as much as what was asked."""
        if self.price is None or not self.asked:
            return None
        return self.price * (self.rows - self.found) / self.asked
