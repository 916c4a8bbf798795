"""`%config MiniMax`: the options as traits, in step with the session's."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

import traitlets
from traitlets.config import Config, Configurable

from mm_magic.errors import UsageError
from mm_magic.session.options import ROWS, Options
from mm_magic.session.session import Session

T = TypeVar("T")


def _option(kind: Callable[..., T], text: str) -> T:
    """A trait that `%config` and IPython's configuration files can set."""
    trait = kind(help=text, allow_none=True)
    assert isinstance(trait, traitlets.TraitType)
    trait.tag(config=True)
    return trait


class MiniMax(Configurable):
    """The defaults of every `%%minimax` cell and of `mm.ask`. The line of a cell overrides them."""

    model = _option(traitlets.Unicode, "The model to ask.")
    temperature = _option(traitlets.Float, "Randomness, in (0, 1].")
    max_tokens = _option(traitlets.Int, "The longest answer in tokens, thinking included.")
    top_p = _option(traitlets.Float, "How much of the likely words to keep, in (0, 1].")
    system = _option(traitlets.Unicode, "The role and the manner of the model.")
    thinking = _option(traitlets.Unicode, "auto, adaptive or disabled.")
    hide_thinking = _option(traitlets.Bool, "Do not show the thinking.")
    stream = _option(traitlets.Bool, "Ask for the answer as it comes.")
    conversation = _option(traitlets.Unicode, "The conversation that cells belong to.")
    retries = _option(traitlets.Int, "Further tries while the service is busy.")

    def __init__(self, session: Session, **config: object) -> None:
        self._session = session
        self._lock = Lock()
        try:
            super().__init__(**config)
        except traitlets.TraitError as error:
            print(f"mm_magic: the options of the IPython configuration are not used: {error}")
            super().__init__(config=Config())
        for name, value in _values(session.options).items():
            if name not in self._configured():
                self.set_trait(name, value)
        self.observe(self._to_session, names=self.option_names())
        self._to_session(None)

    @classmethod
    def option_names(cls) -> list[str]:
        return [row.name for row in ROWS]

    def show(self, options: Options) -> None:
        """Set all traits to these options."""
        with self.hold_trait_notifications():
            for name, value in _values(options).items():
                self.set_trait(name, value)

    def update_config(self, config: Config) -> None:
        """As `%config` does. What is refused goes out of `config`, too.

        `%config` hands that on by the names of the classes, and the shells' (Terminal…, ZMQ…) come
        later: they would keep the value, and the next load of the extension would find it.
        """
        try:
            super().update_config(config)
        except traitlets.TraitError:
            config.pop(type(self).__name__, None)
            raise

    def _configured(self) -> set[str]:
        """What the user's IPython configuration sets."""
        return set(self.config.get("MiniMax", {}))

    @traitlets.validate(*(row.name for row in ROWS))
    def _valid(self, proposal: dict[str, object]) -> object:
        trait = proposal["trait"]
        assert isinstance(trait, traitlets.TraitType)
        try:
            self._session.options.overridden({str(trait.name): proposal["value"]})
        except UsageError as error:
            raise traitlets.TraitError(in_one_line(error)) from None
        return proposal["value"]

    def _to_session(self, _change: object) -> None:
        with self._lock:  # two threads may each set a trait: the later sees both
            given = {name: getattr(self, name) for name in self.option_names()}
            before = self._session.options
            changed = {n: value for n, value in given.items() if value != getattr(before, n)}
            self._session.options = before.overridden(changed)


def in_one_line(error: UsageError) -> str:
    """What is wrong, and what to do."""
    return ". ".join((error.message, *error.next_steps))


def _values(options: Options) -> dict[str, object]:
    return {name: getattr(options, name) for name in (row.name for row in ROWS)}
