"""What the answers of this kernel came to: tokens, and their price where it is known.

Pure counting. A server counts at the end of an answer, if at all: one that was stopped or broke
off has no count, and is told as such instead of guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from mm_magic.conversation.catalog import PRICES_DATE, dollars, price_of
from mm_magic.conversation.reply import Reply, counted
from mm_magic.transport.endpoint import Backend
from mm_magic.wording import model_name, plain

NOTHING = "no answer yet"
_SUFFIX: Mapping[Backend, str] = {"url": " at another server", "recorded": " from a recording"}


@dataclass(frozen=True, slots=True)
class Count:
    """A number of answers, the tokens of those that were counted, and their price in USD.

    `uncounted` of the answers have no tokens here, and so none in the price; of the counted ones
    `unpriced` have no known price.
    """

    answers: int = 0
    uncounted: int = 0
    unpriced: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    price: float = 0.0

    def __add__(self, other: "Count") -> "Count":
        return Count(*(getattr(self, name) + getattr(other, name) for name in Count.__slots__))

    def __str__(self) -> str:
        """As `3 answers · 117 in / 123 out · $0.0002`."""
        parts = [f"{self.answers} answer{'' if self.answers == 1 else 's'}"]
        if self.answers > self.uncounted:
            parts.append(f"{self.input:,} in / {self.output:,} out")
            parts += [f"{self.cached:,} cached"] * bool(self.cached)
            parts += [self._price()] * self.has_price
        if self.uncounted:
            parts.append(f"{self.uncounted} without a count")
        return " · ".join(parts)

    @property
    def has_price(self) -> bool:
        """Whether the price of any of the answers is known."""
        return self.answers - self.uncounted > self.unpriced

    def _price(self) -> str:
        return f"{dollars(self.price)}{f' and {dollars(None)}' if self.unpriced else ''}"


class Meter:
    """Adds up answers, by model and by who answered. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[Backend, str], Count] = {}

    def add(self, reply: Reply, asked: str) -> None:
        """Count an answer of the model `asked`, also a cut one; nothing where not a word came."""
        if reply.id is None and not reply.content:
            return
        backend: Backend = "offline" if reply.is_demo else reply.backend
        who = backend, model_name(reply.model or asked)
        with self._lock:
            self._counts[who] = self._counts.get(who, Count()) + _count(reply, asked)

    def total(self) -> Count:
        """All that models answered; the demo, which is none and costs nothing, is not in it."""
        return sum((each for (who, _), each in self._rows() if who != "offline"), Count())

    def summary(self) -> str:
        """One short line, of numbers alone."""
        total = self.total()
        if total.answers:
            return f"{total} (prices as of {PRICES_DATE})" if total.has_price else str(total)
        shown = sum(each.answers for _, each in self._rows())
        return f"{NOTHING} from a model; {shown} from the offline demo" if shown else NOTHING

    def lines(self) -> list[str]:
        """The same in words, model by model, fit for a terminal."""
        rows = sorted(self._rows(), key=lambda row: row[0])
        if not rows:
            return [f"Used in this kernel: {NOTHING}."]
        lines = ["Used in this kernel:"]
        for (backend, model), count in rows:
            if backend == "offline":
                lines.append(f"  Offline demo, not a language model: {_demo(count)}")
            else:
                lines.append(f"  {plain(model)}{_SUFFIX.get(backend, '')}: {count}")
        return [*lines, *_explained(self.total())]

    def _rows(self) -> list[tuple[tuple[Backend, str], Count]]:
        with self._lock:
            return list(self._counts.items())


def _count(reply: Reply, asked: str) -> Count:
    usage = counted(reply)
    if usage.input_tokens is None or usage.output_tokens is None:
        return Count(answers=1, uncounted=1)
    price = price_of(reply, asked)
    return Count(
        answers=1,
        unpriced=int(price is None),
        input=usage.input_tokens,
        output=usage.output_tokens,
        cached=usage.cache_read_input_tokens or 0,
        price=price or 0.0,
    )


def _demo(count: Count) -> str:
    return f"{count.answers} answer{'' if count.answers == 1 else 's'} · free"


def _explained(total: Count) -> list[str]:
    lines = []
    if total.has_price:
        unknown = f"; “{dollars(None)}” means unknown" if total.unpriced else ""
        lines.append(f"Prices as of {PRICES_DATE}{unknown}.")
    if total.uncounted:
        lines.append(
            "No count: the answer was stopped or broke off, or its server does not count tokens."
        )
    return lines
