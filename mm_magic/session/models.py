"""The models that can be asked: those that servers list, as far as they were asked."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from mm_magic.conversation.catalog import thinking_warning
from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from mm_magic.session.recordings import Recordings
from mm_magic.session.told import Told
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.who_answers import WhoAnswers, redact
from mm_magic.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from mm_magic.transport.client import Client

LIST_SECONDS = 10.0
"""For a list of models: nobody waits longer for it, nor for the error that it stands beside."""


class Models:
    """The lists that servers gave, by their addresses, and what a recording names.

    `refusals` counts how often a refused model led to a look at the list.
    """

    def __init__(self, who: WhoAnswers, recordings: Recordings, told: Told) -> None:
        self._who = who
        self._recordings = recordings
        self._told = told
        self.refusals = 0
        self._listed: dict[str, list[str]] = {}
        self._looking = TurnQueue()

    async def ask(self, client: "Client") -> list[str]:
        """The models that the server offers; none where the demo answers. Raises MiniMaxError."""
        endpoint = self._who.endpoint()
        return [] if endpoint is None else await self._ask(client, endpoint)

    @property
    def offered(self) -> list[str]:
        """The models that the server which answers now listed; none if it was not asked."""
        with suppress(MiniMaxError):
            return self._of(self._who.endpoint())
        return []

    @property
    def known(self) -> list[str]:
        """The models that are offered, and those that the recording which answers names."""
        replaying = self._recordings.replaying
        return [*self.offered, *(replaying.models if replaying else ())]

    def note(self, model: str) -> str:
        """A sentence if nobody knows this model, "" otherwise. It asks no server."""
        if self._recordings.replaying is None:
            with suppress(MiniMaxError):
                return self.note_at(self._who.endpoint(), model)
        return ""

    def note_at(self, endpoint: Endpoint | None, model: str) -> str:
        """The same of a server, None for the demo; it counts as told."""
        from mm_magic.session.notes import model_note

        self._told.once(f"model {model}")
        is_own = endpoint is not None and endpoint.backend != "minimax"
        return model_note(model, self._of(endpoint), is_own=is_own)

    def thinking_note(self, options: Options) -> str:
        """A sentence if MiniMax's model thinks whatever these options say, "" otherwise."""
        if self._recordings.replaying is None:
            with suppress(MiniMaxError):
                return self.thinking_note_at(self._who.endpoint(), options)
        return ""

    @staticmethod
    def thinking_note_at(endpoint: Endpoint | None, options: Options) -> str:
        """The same of a server, None for the demo. What one's own server does is not known."""
        if endpoint is None or endpoint.backend != "minimax":
            return ""
        return thinking_warning(options.model, options.thinking) or ""

    async def ask_after_refusal(
        self, client: "Client", endpoint: Endpoint, refusals: int
    ) -> list[str]:
        """The list of a server that does not know the model that it was asked; [] if it has none.

        `refusals` is their number before the request was sent: of several requests that are refused
        at once only the first asks.
        """
        async with self._looking.passing():
            if refusals == self.refusals:
                with suppress(MiniMaxError):
                    await self._ask(client, endpoint)
                self.refusals += 1
        return self._of(endpoint)

    def _of(self, endpoint: Endpoint | None) -> list[str]:
        """What the server listed; [] where it was not asked, and for the demo."""
        return self._listed.get(endpoint.base_url, []) if endpoint else []

    async def _ask(self, client: "Client", endpoint: Endpoint) -> list[str]:
        """Ask the server for its list, and keep it. Raises MiniMaxError."""
        try:
            async with asyncio.timeout(LIST_SECONDS):
                listed = await client.models(endpoint)
        except TimeoutError:
            from mm_magic.transport.body import silent

            raise silent(f"the server sent no list of models within {LIST_SECONDS:g} s") from None
        except MiniMaxError as error:
            redact(error, endpoint)
            raise
        self._listed[endpoint.base_url] = listed
        return listed
