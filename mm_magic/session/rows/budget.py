"""What a table may cost: the most that a request can cost is reserved before it is sent."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mm_magic.errors import MiniMaxError, NetworkError, ProtocolError
from mm_magic.session.forecast import highest_cost
from mm_magic.session.turn_request import TurnRequest


class TooDear(Exception):
    """A request is not sent, as it could exceed the budget."""


@dataclass(slots=True, eq=False)
class Budget:
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

    def has_room(self, request: TurnRequest) -> bool:
        """Whether a request may be sent beside those that are in flight."""
        return self.may_reserve(self.most(request))

    @contextmanager
    def sending(self, request: TurnRequest) -> Iterator["Bill"]:
        """While the body runs, this request is in flight, or another one in its place."""
        bill = Bill(self, request, self.most(request))
        self.reserved += bill.most
        try:
            yield bill
        finally:
            self.reserved -= bill.most

    def most(self, request: TurnRequest) -> float:
        """The most that a request can cost; 0 where nothing limits it."""
        if self.limit is None:
            return 0.0
        most = highest_cost(request)
        return math.inf if most is None else most

    def may_reserve(self, most: float, *, instead_of: float = 0.0) -> bool:
        """Whether so much may be reserved, in the place of what is."""
        taken = self.spent + self.reserved - instead_of
        has_room = self.limit is None or taken + most <= self.limit
        if not has_room:
            self.missed = most
        return has_room


@dataclass(slots=True, eq=False)
class Bill:
    """The most that a `request` in flight can cost, and at its end what it did cost."""

    budget: Budget
    request: TurnRequest
    most: float

    def pay(self, price: float | None) -> None:
        """It cost so much; None: nobody knows how much, and it may have cost the most."""
        self.budget.spent += self.most if price is None else price
        self.budget.is_exact &= price is not None

    def again(self, request: TurnRequest) -> None:
        """It has ended, and this one is to be sent in its place. Raises TooDear."""
        budget, most = self.budget, self.budget.most(request)
        if not budget.may_reserve(most, instead_of=self.most):
            raise TooDear
        budget.reserved += most - self.most
        self.request, self.most = request, most


def may_be_charged(error: MiniMaxError, *, has_begun: bool) -> bool:
    """Whether a request that failed so may have to be paid for; had its answer begun?

    It costs nothing where the service refused it, or never got it. Of one that had no answer, or
    not all of one, nobody says what it cost.
    """
    if isinstance(error, NetworkError):
        return error.was_sent and error.kind != "redirect"
    return has_begun or isinstance(error, ProtocolError) or error.kind == "timeout"
