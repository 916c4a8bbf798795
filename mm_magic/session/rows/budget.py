"""What a table may cost: the most that a request can cost is reserved before it is sent."""

import math
from dataclasses import dataclass

from mm_magic.errors import MiniMaxError, NetworkError, ProtocolError
from mm_magic.session.forecast import highest_cost
from mm_magic.session.turn_request import TurnRequest


class TooDear(Exception):
    """A request is not sent, as it could exceed the budget."""


@dataclass(slots=True, eq=False)
class RowsBudget:
    """The most that a table may cost, and what it has cost, in USD; no `limit` where that is None.

    What is not known of `spent` counts in it with the most that it can be; then `is_exact` is
    false. `reserved` is for what is in flight. `missed` is the most that the request can cost for
    which there was no room.
    """

    limit: float | None = None
    spent: float = 0.0
    is_exact: bool = True
    reserved: float = 0.0
    missed: float = 0.0

    def reserve(self, request: TurnRequest) -> "Bill | None":
        """Reserve the most that a request can cost; None if it may be more than what is left."""
        most = self.most(request)
        return Bill(self, request, most) if self.take(most) else None

    def take(self, most: float, *, instead_of: float = 0.0) -> bool:
        """Reserve so much, in the place of what was reserved before, if there is enough left."""
        reserved = self.reserved - instead_of + most
        if self.limit is not None and self.spent + reserved > self.limit:
            self.missed = most
            return False
        self.reserved = reserved
        return True

    def most(self, request: TurnRequest) -> float:
        """The most that a request can cost; 0 where nothing limits it."""
        if self.limit is None:
            return 0.0
        most = highest_cost(request)
        return math.inf if most is None else most


@dataclass(slots=True, eq=False)
class Bill:
    """What is reserved for a `request` in flight, until it is closed, and what it did cost."""

    budget: RowsBudget
    request: TurnRequest
    reserved: float

    def pay(self, price: float | None) -> None:
        """It cost so much; None: nobody knows how much, and it may have cost the most."""
        self.budget.spent += self.reserved if price is None else price
        self.budget.is_exact &= price is not None

    def again(self, request: TurnRequest) -> None:
        """It has ended, and this one is to be sent in its place. Raises TooDear."""
        most = self.budget.most(request)
        if not self.budget.take(most, instead_of=self.reserved):
            raise TooDear
        self.request, self.reserved = request, most

    def close(self) -> None:
        """Nothing more is sent."""
        self.budget.reserved -= self.reserved


def may_be_charged(error: MiniMaxError, *, has_begun: bool) -> bool:
    """Whether a request that failed so may have to be paid for; had its answer begun?

    It costs nothing where the service refused it, or never got it. Of one that had no answer, or
    not all of one, nobody says what it cost.
    """
    if isinstance(error, NetworkError):
        return error.was_sent and error.kind != "redirect"
    return has_begun or isinstance(error, ProtocolError) or error.kind == "timeout"
