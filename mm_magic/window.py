"""Whether a request fits into the model's window, as far as that can be told before it is sent."""

from mm_magic.catalog import WINDOWS
from mm_magic.settings import Options

BYTES_PER_TOKEN = 3
"""A careful guess: English text has about 4, Chinese 3 to 4, code and numbers fewer."""


def room(options: Options, question: bytes) -> int | None:
    """Bytes that earlier turns may take; None where the model's window is not known."""
    window = WINDOWS.get(options.model)
    if window is None:
        return None
    taken = len(question) + len(options.system.encode("utf-8", "replace"))
    return max(0, (window - options.max_tokens) * BYTES_PER_TOKEN - taken)


def too_long_note(model: str, left_out: int) -> str:
    """The sentence that tells how many turns were left out."""
    turns = "The oldest turn was" if left_out == 1 else f"The {left_out} oldest turns were"
    return (
        f"{turns} left out: all together may not fit into {model}'s window of "
        f"{WINDOWS[model]:,} tokens."
    )
