"""`%config MiniMax`: the options as traits, in step with the session's."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

import traitlets
from traitlets.config import Config, Configurable

from mm_magic.errors import UsageError
from mm_magic.session.options import ROWS, Kind, Options, Row
from mm_magic.session.session import Session

_TRAITS: Mapping[Kind, type[traitlets.TraitType[Any, Any]]] = {
    "text": traitlets.Unicode,
    "number": traitlets.Float,
    "count": traitlets.Int,
    "word": traitlets.Unicode,
    "switch": traitlets.Bool,
}
NAMES = [row.name for row in ROWS]


def _trait(row: Row) -> traitlets.TraitType[Any, Any]:
    """A trait that `%config` and IPython's configuration files can set; None is not set."""
    kind, default = _TRAITS[row.kind], row.default
    return kind(default, allow_none=row.may_be_unset, help=row.help).tag(config=True)


class MiniMax(Configurable):
    """The defaults of every `%%minimax` cell and of `mm.ask`. The line of a cell overrides them."""

    vars().update({row.name: _trait(row) for row in ROWS})  # one for each row of the options

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
        # The configuration file belongs to the machine: no notebook said it.
        session.options = replace(session.options, **{n: getattr(self, n) for n in NAMES})
        self.observe(self._to_session, names=NAMES)

    def say(self, given: Mapping[str, object]) -> None:
        """Set these options: the notebook says them, also where they had this value before."""
        options = self._session.options.overridden(given)
        with self.hold_trait_notifications():
            for name in given:
                self.set_trait(name, getattr(options, name))
        with self._lock:
            self._session.options = self._session.options.overridden(given)

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
        said = config.get(type(self).__name__, {})
        with self._lock:
            self._session.options = self._session.options.overridden(
                {name: getattr(self, name) for name in NAMES if name in said}
            )

    def _configured(self) -> set[str]:
        """What the user's IPython configuration sets."""
        return set(self.config.get("MiniMax", {}))

    @traitlets.validate(*NAMES)
    def _valid(self, proposal: dict[str, object]) -> object:
        trait = proposal["trait"]
        assert isinstance(trait, traitlets.TraitType)
        try:
            self._session.options.overridden({str(trait.name): proposal["value"]})
        except UsageError as error:
            raise traitlets.TraitError(in_one_line(error)) from None
        return proposal["value"]

    def _to_session(self, change: dict[str, Any]) -> None:
        with self._lock:  # two threads may each set a trait: the later sees both
            name = change["name"]
            if getattr(self._session.options, name) != change["new"]:
                given = {name: getattr(self, name)}
                self._session.options = self._session.options.overridden(given)


def in_one_line(error: UsageError) -> str:
    """What is wrong, and what to do."""
    return ". ".join((error.message, *error.next_steps))


def _values(options: Options) -> dict[str, object]:
    return {name: getattr(options, name) for name in NAMES}
