"""What answers come to: tokens, and their price where it is known.

A server counts at the end of an answer, if at all: one that was stopped or broke off has no count,
and is told as such instead of guessed.
"""

from dataclasses import dataclass

from mm_magic.conversation.catalog import dollars, price_of
from mm_magic.conversation.reply import Reply, counted_usage
from mm_magic.wording import counted


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
        parts = [counted(self.answers, "answer")]
        if self.answers > self.uncounted:
            from_cache = f" + {self.cached:,} from cache" if self.cached else ""
            parts.append(f"{self.input:,} in{from_cache} / {self.output:,} out")
            parts += [self._price()] * self.has_price
        if self.uncounted:
            parts.append(f"{self.uncounted} not counted")
        return " · ".join(parts)

    @property
    def has_price(self) -> bool:
        """Whether the price of any of the answers is known."""
        return self.answers - self.uncounted > self.unpriced

    def _price(self) -> str:
        return f"{dollars(self.price)}{f' and {dollars(None)}' if self.unpriced else ''}"


def count(reply: Reply, asked: str) -> Count:
    """The count of one answer of the model `asked`."""
    usage = counted_usage(reply)
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
