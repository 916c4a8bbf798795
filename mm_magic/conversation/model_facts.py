"""Known models and what they cost. Data, never logic; any other name works too."""

from collections.abc import Mapping
from dataclasses import dataclass

from mm_magic.conversation.reply import Reply
from mm_magic.protocol.messages import Usage
from mm_magic.protocol.request import DOCUMENTED_MAX_TOKENS

PRICES_DATE = "November 2026"
DEFAULT_MODEL = "MiniMax-M2.7"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, of PRICES_DATE; None where the price is not known."""

    input: float
    output: float
    cache_read: float
    cache_write: float | None


MODELS: Mapping[str, Price] = {
    "MiniMax-M2.7": Price(0.30, 1.20, 0.06, 0.375),
    "MiniMax-M2.7-highspeed": Price(0.60, 2.40, 0.06, 0.375),
    "MiniMax-M2.5": Price(0.30, 1.20, 0.03, 0.375),
    "MiniMax-M2.1": Price(0.30, 1.20, 0.03, 0.375),
    "MiniMax-M3": Price(0.30, 1.20, 0.06, None),
    "MiniMax-M3.1-Flash": Price(0.15, 0.60, 0.015, None),
}

WINDOWS: Mapping[str, int] = dict.fromkeys(
    ("MiniMax-M2.7", "MiniMax-M2.7-highspeed", "MiniMax-M2.5", "MiniMax-M2.1"), 204_800
)
"""Tokens that a request and its answer may have together; a model that isn't here has no limit."""


def cost(model: str | None, usage: Usage) -> float | None:
    """The price of one request in USD, or None where price or usage is not known."""
    price = MODELS.get(model or "")
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    written = usage.cache_creation_input_tokens or 0
    if written and price.cache_write is None:
        return None
    total = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + (usage.cache_read_input_tokens or 0) * price.cache_read
        + written * (price.cache_write or 0.0)
    )
    return total / 1_000_000


def dollars(amount: float | None) -> str:
    """An amount of USD as it is shown; "—" where it is not known."""
    if amount is None:
        return "—"
    return f"${amount:.4f}" if amount >= 0.00005 or amount == 0 else "under $0.0001"


DEFAULT_MAX_TOKENS = DOCUMENTED_MAX_TOKENS
"""What is sent as `max_tokens` where it is not set: the wire requires one."""


BYTES_PER_TOKEN = 3
"""A careful guess: English text has about 4, Chinese 3 to 4, code and numbers fewer."""


def room(model: str, max_tokens: int, system: str, question: bytes) -> int | None:
    """Bytes that earlier turns may take; None where the model's window is not known."""
    window = WINDOWS.get(model)
    if window is None:
        return None
    taken = len(question) + len(system.encode("utf-8", "replace"))
    return max(0, (window - max_tokens) * BYTES_PER_TOKEN - taken)


def price_of(reply: Reply, asked: str) -> float | None:
    """What an answer of the model `asked` cost, in USD; None where that is not known."""
    return cost(reply.model or asked, reply.usage) if reply.backend == "minimax" else None
