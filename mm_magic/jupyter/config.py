"""`%config MiniMax`: the options as traits, in step with the session's."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

import traitlets
from traitlets.config import Config, Configurable

from mm_magic.errors import UsageError
from mm_magic.session.options import BY_NAME, ROWS, Row
from mm_magic.session.session import Session

_TRAITS: Mapping[type, type[traitlets.TraitType[Any, Any]]] = {
    str: traitlets.Unicode,
    float: traitlets.Float,
    int: traitlets.Int,
    bool: traitlets.Bool,
}


def _trait(row: Row) -> traitlets.TraitType[Any, Any]:
    """What `%config` and IPython's configuration files set of an option; None is not set."""
    kind = _TRAITS[row.kind.of]
    return kind(row.default, allow_none=row.may_be_unset, help=f"{row.help}.").tag(config=True)


class MiniMax(Configurable):
    """The defaults of every `%%minimax` cell and of `mm.ask`. The line of a cell overrides them."""

    locals().update((row.name, _trait(row)) for row in ROWS)  # in a class it is its namespace

    def __init__(self, session: Session, **config: object) -> None:
        self._session = session
        self._lock = Lock()
        self.problem = ""
        try:
            super().__init__(**config)
        except traitlets.TraitError as error:
            self.problem = f"The options in your IPython configuration are ignored: {error}"
            super().__init__(config=Config())
        # A configuration file is a part of the environment: the notebook has not said this.
        configured = {name: getattr(self, name) for name in self._named_in(self.config)}
        session.options = replace(session.options, **configured)
        session.defaults.is_model_chosen |= "model" in configured
        for name in BY_NAME:
            self.set_trait(name, getattr(session.options, name))
        self._first = session.options
        self.observe(self._follow, list(BY_NAME))
        session.watchers.append(self._keep_up)

    def say(self, given: Mapping[str, object]) -> None:
        """Set options, as the notebook says them. Raises UsageError, and then sets none.

        May be called on any thread.
        """
        with self._lock:
            options = self._session.options = self._session.options.overridden(given)
        for name in given:
            self.set_trait(name, getattr(options, name))

    def set_back(self) -> None:
        """Set the panel's options to what they were before the notebook said any of them.

        The conversation stays, and so does a model that the session chose by itself, since the
        default one was refused. May be called on any thread.
        """
        with self._lock:
            options = self._session.options
            stays = {"conversation", *({"model"} - options.said)}
            names = [row.name for row in ROWS if row.in_panel and row.name not in stays]
            first = {name: getattr(self._first, name) for name in names}
            self._session.options = replace(options, said=options.said.difference(names), **first)
        for name, value in first.items():
            self.set_trait(name, value)

    def _keep_up(self) -> None:
        """The session may have changed an option by itself: another model answers, say."""
        for name in BY_NAME:
            if getattr(self, name) != (value := getattr(self._session.options, name)):
                self.set_trait(name, value)

    def update_config(self, config: Config) -> None:
        """As `%config` does: it says its options, also where they were the same before.

        What is refused goes out of `config`, too. `%config` hands that on by the names of the
        classes, and the shells' (Terminal…, ZMQ…) come later: they would keep the value, and the
        next load of the extension would find it.
        """
        try:
            super().update_config(config)
        except traitlets.TraitError:
            config.pop(type(self).__name__, None)
            raise
        self.say({name: getattr(self, name) for name in self._named_in(config)})

    @staticmethod
    def _named_in(config: Config) -> set[str]:
        """The options that a configuration sets."""
        return {name for name in config.get("MiniMax", ()) if name in BY_NAME}

    @traitlets.validate(*BY_NAME)
    def _valid(self, proposal: dict[str, Any]) -> object:
        try:
            BY_NAME[proposal["trait"].name].accept(proposal["value"])
        except UsageError as error:
            raise traitlets.TraitError(in_one_line(error)) from None
        return proposal["value"]

    def _follow(self, change: dict[str, Any]) -> None:
        """A trait was set, by Python or `say`: the session's option is set with it."""
        with self._lock:  # two threads may each set a trait: the later sees both
            options = self._session.options
            if getattr(options, change["name"]) != change["new"]:
                self._session.options = options.overridden({change["name"]: change["new"]})


def in_one_line(error: UsageError) -> str:
    """What is wrong, and what to do."""
    return ". ".join((error.message, *error.next_steps))
