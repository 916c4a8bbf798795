"""Asks the server in the background which models it offers, for the panel's list."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias
from weakref import WeakKeyDictionary

from mm_magic.errors import MiniMaxError
from mm_magic.session.session import Session

Server: TypeAlias = tuple[str, bool]
"""Its address, and whether there is a key for it."""

_asked: WeakKeyDictionary[Session, Server | None] = WeakKeyDictionary()


class ModelList:
    """Fills `session.models.offered`, once for each server, and tells the session's watchers.

    Where no event loop runs, and where a server gives no list, nothing happens.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        """Ask, if another server answers than before. May be called on any thread."""
        self._soon(self._begin)

    def close(self) -> None:
        self._soon(self._cancel)

    def _soon(self, work: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(work)

    def _begin(self) -> None:
        if self._session.recordings.replaying is not None:  # it answers: no server is asked
            return
        try:
            endpoint = self._session.who.endpoint()
        except MiniMaxError:
            return
        server = None if endpoint is None else (endpoint.base_url, endpoint.key is not None)
        if server is not None and server != _asked.get(self._session):
            self._task = asyncio.ensure_future(self._ask())
        _asked[self._session] = server

    async def _ask(self) -> None:
        with suppress(MiniMaxError):  # the known names are enough to go on with
            await self._session.models.ask(self._session.client)
            self._session.watchers.tell()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
