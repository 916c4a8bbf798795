"""What a request lacks that its cell asks for: one of several requests may leave something out."""

import re
from dataclasses import dataclass

from mm_magic.errors import UsageError
from mm_magic.prompt.prompt import Prompt

SYSTEM = "system"
"""The name of the system prompt among what may be left out."""
_TURN = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An earlier turn by its number, the system prompt by `SYSTEM`, or a variable by its name.

    `prompt` is what is asked without the variable; None for the others. Raises UsageError where
    `what` can't be any of them.
    """

    what: str
    prompt: Prompt | None = None

    def __post_init__(self) -> None:
        if not (_TURN.fullmatch(self.what) or self.what.isidentifier()):
            raise UsageError(
                f"only a turn, the system prompt or a variable can be left out, got {self.what!r}",
                next_steps=(
                    "Give the number of a turn, `system`, or the name of a variable, without "
                    "braces.",
                ),
            )

    @property
    def turn(self) -> int | None:
        """The number of the turn, None where it is no turn."""
        return int(self.what) if _TURN.fullmatch(self.what) else None

    @property
    def is_variable(self) -> bool:
        """Whether it is a variable, in whose place the prompt has nothing."""
        return self.what != SYSTEM and self.turn is None

    def __str__(self) -> str:
        """As in "without …": turn 2, the system prompt, {{notes}}."""
        if self.turn is not None:
            return f"turn {self.turn}"
        return f"{{{{{self.what}}}}}" if self.is_variable else "the system prompt"


def prompt_without(prompt: Prompt, left_out: LeftOut | None) -> Prompt:
    """What of a cell's prompt is sent."""
    return (left_out and left_out.prompt) or prompt


def turn_in(left_out: LeftOut | None) -> int | None:
    """The number of the turn that is left out, None where none is."""
    return left_out.turn if left_out else None
