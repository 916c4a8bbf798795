"""The options of a turn."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mm_magic.conversation.model_facts import DEFAULT_MODEL
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import join_surrogates
from mm_magic.protocol.request import (
    DOCUMENTED_MAX_TOKENS,
    Thinking,
    check_fraction,
    check_max_tokens,
    check_model,
    check_thinking,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a turn is asked with. Raises UsageError where a value is out of its range.

    `retries` is the number of further tries before the first event of an answer arrives.
    """

    model: str = DEFAULT_MODEL
    temperature: float = 1.0
    max_tokens: int = DOCUMENTED_MAX_TOKENS
    top_p: float = 0.95
    system: str = ""
    thinking: Thinking = "auto"
    hide_thinking: bool = False
    stream: bool = True
    conversation: str = "main"
    retries: int = 2

    def __post_init__(self) -> None:
        check_model(self.model)
        check_fraction("temperature", self.temperature)
        check_max_tokens(self.max_tokens)
        check_fraction("top_p", self.top_p)
        check_thinking(self.thinking)
        if not isinstance(self.system, str):
            raise UsageError(f"system must be text, got {self.system!r}")
        if not isinstance(self.conversation, str) or not self.conversation.strip():
            raise UsageError(f"a conversation needs a name, got {self.conversation!r}")
        for name in ("hide_thinking", "stream"):
            if not isinstance(value := getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, got {value!r}")
        if not isinstance(self.retries, int) or isinstance(self.retries, bool) or self.retries < 0:
            raise UsageError(f"retries must be a whole number of 0 or more, got {self.retries!r}")
        for name in ("model", "system", "conversation"):  # no file or socket takes half characters
            object.__setattr__(self, name, join_surrogates(getattr(self, name)))

    def overridden(self, **given: object) -> "Options":
        """These options with those of `given` that are not None."""
        return replace(self, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]


def first_options(environ: Mapping[str, str]) -> Options:
    """The defaults of a new kernel or script: MINIMAX_MODEL, and the API page's values."""
    return Options(model=environ.get("MINIMAX_MODEL", "").strip() or DEFAULT_MODEL)
