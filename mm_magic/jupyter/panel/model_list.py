"""Asks the server in the background which models it offers, for the panel's list."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from mm_magic.errors import MiniMaxError
from mm_magic.session.session import Session

Server: TypeAlias = tuple[str, bool]
"""Its address, and whether there is a key for it."""


class _Asking:
    """Asks for the list of a session's server, while one of its panels waits for it."""

    def __init__(self) -> None:
        self._panels: WeakSet[ModelList] = WeakSet()
        self._server: Server | None = None
        self._has_come = False
        self._task: asyncio.Task[None] | None = None

    def begin(self, panel: "ModelList", server: Server | None, *, is_again: bool) -> None:
        """Ask this server, if it is another one; or `is_again`, where its list did not come."""
        self._panels.add(panel)
        is_due = is_again and not self._has_come and (self._task is None or self._task.done())
        if server == self._server and not is_due:
            return
        self._stop()
        self._server, self._has_come = server, False
        if server is not None:
            self._task = asyncio.ensure_future(self._ask(panel.session))

    async def _ask(self, session: Session) -> None:
        with suppress(MiniMaxError):  # the known names are enough to go on with
            await session.models.ask(session.client)
            self._has_come = True
            session.watchers.tell()

    def leave(self, panel: "ModelList") -> None:
        """Ask no longer if this was the last panel that waits."""
        self._panels.discard(panel)
        if not self._panels:
            self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None


_asking: WeakKeyDictionary[Session, _Asking] = WeakKeyDictionary()


class ModelList:
    """Fills `session.models.offered`, once for each server, and tells the session's watchers.

    Where no event loop runs, and where a server gives no list, nothing happens.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._asking = _asking.setdefault(session, _Asking())
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Ask, also a server that gave no list before: a new panel may ask it again."""
        self._soon(partial(self._begin, is_again=True))

    def look(self) -> None:
        """Ask, if another server answers than before. May be called on any thread."""
        self._soon(partial(self._begin, is_again=False))

    def close(self) -> None:
        self._soon(partial(self._asking.leave, self))

    def _soon(self, work: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(work)

    def _begin(self, *, is_again: bool) -> None:
        if self.session.recordings.replaying is not None:  # it answers: no server is asked
            return
        try:
            endpoint = self.session.who.endpoint()
        except MiniMaxError:
            return
        server = None if endpoint is None else (endpoint.base_url, endpoint.key is not None)
        self._asking.begin(self, server, is_again=is_again)
