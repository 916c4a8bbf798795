"""Questions, the answers that they get, and a kernel that asks them as the notebook layer does."""

import asyncio
import warnings
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from mm_magic.conversation.saved_turn import turn_json
from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from support.asks import ask_of
from support.oracle import DEMO, Who
from support.scripted import Answer, ScriptedSession, Service

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}
UNSIGNED = {"type": "thinking", "thinking": "Hm"}
BLANK = {"type": "text", "text": "\n\n"}
BLUE = {"type": "text", "text": "Blue."}
RED = {"type": "text", "text": "Red."}
NEW = {"type": "x_note", "weight": 1.0, "of": {"z": 0.5, "a": [2.0]}}
ANSWERS = {
    "blue": Answer("whole", (SIGNED, BLUE)),
    "red": Answer("whole", (SIGNED, RED)),
    "with something new": Answer("whole", (SIGNED, NEW, BLUE)),
    "unsigned": Answer("whole", (UNSIGNED, BLUE)),
    "in turns": Answer("whole", (BLANK, SIGNED, BLUE, SIGNED, RED, SIGNED)),
    "thought only": Answer("whole", (SIGNED,)),
    "blank": Answer("whole", (SIGNED, BLANK)),
    "stopped at once": Answer("stopped"),
    "stopped in thinking": Answer("stopped", (UNSIGNED,)),
    "stopped in white space": Answer("stopped", (SIGNED, BLANK)),
    "stopped in text": Answer("stopped", (SIGNED, RED)),
    "stopped in later thinking": Answer("stopped", (SIGNED, BLUE, UNSIGNED)),
    "broken": Answer("broken", (SIGNED, BLUE)),
    "refused": Answer("refused"),
}
WHOS: dict[str, Who] = {
    "usual": ("MiniMax-M2.7", "A", ""),
    "another model": ("MiniMax-M3", "A", ""),
    "another server": ("MiniMax-M2.7", "B", ""),
    "another system": ("MiniMax-M2.7", "A", "Be brief."),
    "demo": ("MiniMax-M2.7", DEMO, ""),
}


@dataclass(frozen=True)
class Call:
    """One question, and the answer that it gets, in words. Without a conversation it is alone."""

    conversation: str | None
    who: str
    prompt: str
    answer: str

    @property
    def options(self) -> Options:
        model, _, system = WHOS[self.who]
        name = self.conversation or "main"
        return Options(model=model, system=system, conversation=name, retries=0)


@dataclass(frozen=True)
class World:
    """What is there before a day begins: an event loop, who answers, and at which addresses.

    `is_wired`: over sockets.
    """

    loop: asyncio.AbstractEventLoop
    service: Service
    urls: Mapping[str, str]
    is_wired: bool = False


class Kernel:
    """A kernel's session, driven as the notebook layer drives it."""

    def __init__(self, world: World) -> None:
        self._loop, self._service, self._urls = world.loop, world.service, world.urls
        self.session = ScriptedSession(self._service, is_wired=world.is_wired)
        self.notes: list[str] = []  # what the last answer told

    def close(self) -> None:
        self._loop.run_until_complete(self.session.client.aclose())

    def magic(self, call: Call) -> tuple[bool, list[Any]]:
        """A `%%minimax` cell: whether it ends well, and what is in its outputs."""
        self._prepare(call)
        self._service.stop = lambda: None
        is_well, outputs, self.notes = self._loop.run_until_complete(self._magic(call))
        return is_well, outputs

    def ask(self, call: Call) -> bool:
        """`mm.ask`: whether it got an answer."""
        self._prepare(call)
        self._service.stop = partial(self._stop_when_all_came, call)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            is_well = self._loop.run_until_complete(self._ask(call))
        self.notes = [str(each.message) for each in warned]
        return is_well

    def take_request(self) -> Any:
        """What was sent since this was asked last."""
        return self._service.take_request()

    def _prepare(self, call: Call) -> None:
        """Choose who answers, and what."""
        server = WHOS[call.who][1]
        self.session.who.choice = "offline" if server == DEMO else "live"
        self.session.variables["MINIMAX_BASE_URL"] = self._urls[server]
        self._service.next_answer = ANSWERS[call.answer]

    async def _magic(self, call: Call) -> tuple[bool, list[Any], list[str]]:
        alone = call.conversation is None
        run = self.session.start(ask_of(call.prompt, call.options, alone=alone), is_drawn=True)
        answer = ANSWERS[call.answer]
        is_well = False
        try:
            async with aclosing(self.session.steps(run)) as steps:
                async for _ in steps:
                    if answer.ending == "stopped" and run.reply().content == [*answer.blocks]:
                        run.cancel()
            is_well, reply = True, run.reply()
        except asyncio.CancelledError:
            _stay()
            reply = self.session.stop(run)
        except MiniMaxError:
            reply = run.reply()
        assert run.request is not None
        turn = run.turn or run.request.turn(reply)
        return is_well, [turn_json(turn, self.session.conversations.state_of(turn))], run.notes

    def _stop_when_all_came(self, call: Call) -> None:
        """From any thread: stop the turn of `ask`."""

        def look() -> None:
            (run,) = self.session.running
            if run.reply().content == [*ANSWERS[call.answer].blocks]:
                run.cancel()
            else:
                self._loop.call_soon(look)

        self._loop.call_soon_threadsafe(look)

    async def _ask(self, call: Call) -> bool:
        try:
            await self.session.ask(call.prompt, call.options, alone=call.conversation is None)
        except asyncio.CancelledError:
            _stay()
            return False
        except MiniMaxError:
            return False
        return True


def _stay() -> None:
    """The task was cancelled, and goes on."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
