"""Several answers to one prompt, as a value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, overload

from mm_magic.conversation.catalog import price_of
from mm_magic.conversation.reply import Reply, T, counted_usage
from mm_magic.errors import MiniMaxError
from mm_magic.wording import shortened

if TYPE_CHECKING:
    import pandas as pd

_REPR_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one of several requests.

    `number` counts them from 1. `settings` are the options that vary, by name; `label` has them in
    words, as "-t 0.1 · 2 of 3". `model` is the one that was asked. `error` says why the reply is
    not complete; it is None if the answer was stopped.
    """

    number: int
    reply: Reply
    settings: Mapping[str, object] = field(default_factory=dict)
    label: str = ""
    model: str = ""
    error: MiniMaxError | None = None

    @property
    def price(self) -> float | None:
        """In USD; None if it is unknown, or the answer is not complete."""
        is_complete = self.reply.status == "complete"
        return price_of(self.reply, self.model) if is_complete else None


class Replies(Sequence[Reply[T]], Generic[T]):
    """The answers to one prompt, in the order in which they were asked for.

    `replies[0]` is answer 1. If no answer arrived, its Reply is empty. `outcomes` has each
    with its settings and its error.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = tuple(outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    @overload
    def __getitem__(self, place: int) -> Reply[T]: ...
    @overload
    def __getitem__(self, place: slice) -> "Replies[T]": ...
    def __getitem__(self, place: int | slice) -> "Reply[T] | Replies[T]":
        if isinstance(place, slice):
            return Replies(self.outcomes[place])
        return self.outcomes[place].reply

    def __repr__(self) -> str:
        shown = (repr(shortened(reply.text, _REPR_CHARACTERS)) for reply in self)
        return f"Replies([{', '.join(shown)}])"

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame with a row for each answer, numbered from 1 as on the page.

        Columns: the settings that vary, value (where a type was asked for), text, thinking,
        seconds, input_tokens, output_tokens, price (USD), stop_reason, error. Unknown values are
        missing.
        """
        import pandas as pd

        rows = [{**each.settings, **_columns(each)} for each in self.outcomes]
        names = dict.fromkeys(name for each in self.outcomes for name in each.settings)
        is_typed = any(reply.has_value for reply in self)
        names |= dict.fromkeys([*["value"] * is_typed, *_NAMES])
        numbers = pd.Index([each.number for each in self.outcomes], name="answer")
        return pd.DataFrame(rows, index=numbers, columns=list(names))


def _columns(outcome: Outcome) -> dict[str, Any]:
    reply = outcome.reply
    usage = counted_usage(reply)
    return {
        "value": reply.value if reply.has_value else None,
        "text": reply.text,
        "thinking": reply.thinking,
        "seconds": reply.seconds,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "price": outcome.price,
        "stop_reason": reply.stop_reason,
        "error": outcome.error and outcome.error.message,
    }


_NAMES = (
    "text", "thinking", "seconds", "input_tokens", "output_tokens", "price", "stop_reason", "error",
)  # fmt: skip
