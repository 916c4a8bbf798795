"""The models that servers list, as far as they were asked."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from mm_magic.errors import MiniMaxError
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.who_answers import redact
from mm_magic.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from mm_magic.transport.client import Client

LIST_SECONDS = 10.0
"""For a list of models: nobody waits longer for it, nor for the error that it stands beside."""


class OfferedModels:
    """The lists that servers gave, by their addresses.

    `refusals` counts how often a refused model led to a look at the list.
    """

    def __init__(self) -> None:
        self.refusals = 0
        self._listed: dict[str, list[str]] = {}
        self._looking = TurnQueue()

    def of(self, endpoint: Endpoint | None) -> list[str]:
        """What the server listed; [] where it was not asked, and for the demo."""
        return self._listed.get(endpoint.base_url, []) if endpoint else []

    async def ask(self, client: "Client", endpoint: Endpoint) -> list[str]:
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
                    await self.ask(client, endpoint)
                self.refusals += 1
        return self.of(endpoint)
