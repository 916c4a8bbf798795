"""Questions, the answers that they get, and a kernel that asks them as the notebook layer does."""

import asyncio
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm_magic.conversation.left_out import LeftOut
from mm_magic.conversation.notebook_file import Notebook
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.session.left_out import check_sent
from mm_magic.session.notebook_as_recording import recording_of
from mm_magic.session.options import Options
from mm_magic.session.replaying import Replaying
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.run import Run
from mm_magic.session.together import Together
from mm_magic.session.tools.tool import tools_of
from mm_magic.session.turn_request import Ask, TypeOrTools
from mm_magic.session.variants import Variant, variants
from mm_magic.transport.recording.player import Replay
from support import scripted
from support.asks import ask_of
from support.looks import asked, without_variable
from support.oracle import DEMO, Who
from support.scripted import CALLING, Answer, ScriptedSession, Service

if TYPE_CHECKING:
    from mm_magic.conversation.rows_count import RowsCount

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
    "demo that sees": ("MiniMax-M3", DEMO, ""),
}


def look(at: str) -> str:
    """Look at something."""
    return f"The {at} is blue."


TOOLS = tools_of([look])
STEPS = (
    {"role": "assistant", "content": [*CALLING.blocks]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "The sky is blue."}],
    },
)
"""What follows a prompt with tools before the answer."""


@dataclass(frozen=True)
class Asked:
    """One of the requests of a question: who is asked, what, and what the answer is.

    `said` are the options that the notebook sets, `without` is the number of a turn that is left
    out.
    """

    who: Who
    prompt: str
    said: Mapping[str, Any]
    answer: Answer
    without: int | None = None


@dataclass(frozen=True)
class Call:
    """One question, and the answer that it gets if it is sent. Without a conversation it is alone.

    `prompt` is a text, or the name of one with pictures.
    `what` is "reuse" where a saved answer would do, "fresh" where none does, else "". The notebook
    sets its system prompt; which model is asked is the kernel's default. If it `has_tools`, the
    first answer calls one, and the answer comes behind its result.
    """

    conversation: str | None
    who: str
    prompt: str
    answer: str
    what: str = ""
    has_tools: bool = False

    @property
    def options(self) -> Options:
        model, _, system = WHOS[self.who]
        name = self.conversation or "main"
        options = Options(model=model, conversation=name, retries=0)
        return options.overridden({"system": system} if system else {})

    @property
    def asked(self) -> Asked:
        """Its request."""
        said: dict[str, Any] = {"system": WHOS[self.who][2]} if WHOS[self.who][2] else {}
        if self.has_tools:
            said["tools"] = [each.to_wire(is_minimax=False) for each in TOOLS]
        return Asked(WHOS[self.who], self.prompt, said, ANSWERS[self.answer])


@dataclass(frozen=True)
class Comparison:
    """One question that is asked several times at once: with `-n` if all answers are the same.

    Of two answers, the second may be the one `without` something.
    """

    call: Call
    answers: tuple[str, ...]
    without: str = ""

    def variants(self, options: Options) -> list[Variant]:
        """As many temperatures as there are answers, or none."""
        number = len(self.answers)
        if self.without:
            left_out = LeftOut(self.without)
            less = Prompt.of(asked(without_variable(self.call.prompt)))
            prompt = less if left_out.is_variable else None
            return [*variants(options, {}, 1, [replace(left_out, prompt=prompt)])]
        if len({*self.answers}) == 1:
            return [*variants(options, {}, number)]
        return [*variants(options, {"temperature": self._temperatures}, 1)]

    @property
    def _temperatures(self) -> tuple[float, ...]:
        return tuple((place + 1) / 10 for place in range(len(self.answers)))

    @property
    def asked(self) -> list[Asked]:
        """Its requests."""
        found = [replace(self.call.asked, answer=ANSWERS[each]) for each in self.answers]
        if self.without:
            return [found[0], self._without(found[1])]
        if len({*self.answers}) == 1:
            return found
        return [
            replace(each, said={**each.said, "temperature": temperature})
            for each, temperature in zip(found, self._temperatures, strict=True)
        ]

    def _without(self, full: Asked) -> Asked:
        if self.without.isdecimal():
            return replace(full, without=int(self.without))
        if self.without == "system":
            return replace(full, who=(*full.who[:2], ""), said={})
        return replace(full, prompt=without_variable(full.prompt))


@dataclass(frozen=True)
class Table:
    """Rows with a word each, and by the word the answer that its row gets if it is asked."""

    who: str
    answers: Mapping[str, str]

    @staticmethod
    def prompt(word: str) -> str:
        """What the row of a word asks."""
        return f"Say {word}"

    def ending(self, word: str) -> scripted.Ending:
        """How the answer to a word ends, if it is asked for."""
        return ANSWERS[self.answers[word]].ending

    def text(self, word: str) -> str:
        """The words of the answer."""
        blocks = ANSWERS[self.answers[word]].blocks
        return "".join(block["text"] for block in blocks if block["type"] == "text")


@dataclass(frozen=True)
class World:
    """What is there before a day begins: an event loop, who answers, and at which addresses.

    `is_wired`: over sockets. `file` is where a day has its answers file, if it has one.
    """

    loop: asyncio.AbstractEventLoop
    service: Service
    urls: Mapping[str, str]
    is_wired: bool = False
    file: Path | None = None


class Kernel:
    """A kernel's session, driven as the notebook layer drives it."""

    def __init__(self, world: World) -> None:
        self._loop, self._service, self._urls = world.loop, world.service, world.urls
        self.session = ScriptedSession(self._service, is_wired=world.is_wired)
        self.notes: list[str] = []  # what the last answer told
        self.reuses = False  # as `%minimax --reuse` sets it

    def close(self) -> None:
        self._loop.run_until_complete(self.session.client.aclose())

    def may_reuse(self, call: Call) -> bool:
        """Whether a saved answer would do."""
        return call.what != "fresh" and (self.reuses or call.what == "reuse")

    def _options(self, call: Call) -> Options:
        return call.options.overridden({"reuse": self.reuses or call.what == "reuse"})

    def _ask_of(self, call: Call) -> Ask:
        options, alone = self._options(call), call.conversation is None
        ask = ask_of(asked(call.prompt), options, alone=alone)
        tools = TOOLS if call.has_tools else ()
        return replace(ask, is_fresh=call.what == "fresh", tools=tools)

    def magic(self, call: Call) -> tuple[bool, list[Any]]:
        """A `%%minimax` cell: whether it ends well, and what is in its outputs."""
        self._prepare(call)
        self._service.stop = lambda: None
        is_well, outputs, self.notes = self._loop.run_until_complete(self._magic(call))
        return is_well, outputs

    def compare(self, comparison: Comparison, messages: Sequence[Any]) -> tuple[bool, list[Any]]:
        """A `%%minimax` cell with several answers: whether it ends well, and its outputs.

        `messages` are those of its requests. None is sent where a turn is to be left out that would
        not be.
        """
        self._prepare(comparison.call)
        self._service.stop = lambda: None
        variants = comparison.variants(self._options(comparison.call))
        try:
            if comparison.without:
                check_sent(
                    self.session.requests,
                    self.session.cells.here,
                    self._ask_of(comparison.call),
                    variants,
                )
        except UsageError:
            return False, []
        for each, sent in zip(comparison.asked, messages, strict=True):
            request = scripted.Asked(sent, each.who[2], each.said.get("temperature"))
            self._service.by_request.append((request, each.answer))
        done = self._loop.run_until_complete(self._compare(comparison, variants))
        is_well, outputs, self.notes = done
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

    def ask_rows(self, table: Table, file: Path | None, sent: set[str]) -> list[str | None]:
        """`mm.map`: the text that each row has at the end, None where it has none.

        `sent` are the words that are asked for. It is stopped when nothing more will come of them.
        """
        call = Call(None, table.who, "", "blue")
        self._prepare(call)
        self._service.stop = lambda: None
        for word, answer in table.answers.items():
            asked = [{"role": "user", "content": table.prompt(word)}]
            request = scripted.Asked(asked, WHOS[table.who][2], None)
            self._service.by_request.append((request, ANSWERS[answer]))
        rows = [{"word": word} for word in table.answers]
        how = RowsOptions(self._options(call), file=file)
        job = RowsJob(self.session, table.prompt("{{word}}"), rows, how)
        without_end = sum(table.ending(word) == "stopped" for word in sent)
        self._loop.run_until_complete(self._ask_rows(job, len(sent), without_end))
        return [*job.rows()["answer"]]

    def replay(self, notebook: Notebook) -> None:
        """`%minimax replay`: the notebook's own turns answer from now on."""
        exchanges = recording_of(notebook).exchanges
        self.session.replay(Replaying(Replay(exchanges), "", math.inf))

    def fork(self, origin: str, name: str, until: int | None) -> Sequence[Turn]:
        """`%minimax fork` in a conversation: the copies, none where it is refused."""
        before = self.session.options
        self.session.options = before.overridden({"conversation": origin})
        try:
            return self.session.edits.fork(name, until).copies
        except UsageError:
            return ()
        finally:
            self.session.options = before

    def take_request(self) -> Any:
        """What was sent since this was asked last."""
        return self._service.take_request()

    def take_requests(self) -> list[Any]:
        """The same, where it was several at once."""
        return self._service.take_requests()

    def _prepare(self, call: Call) -> None:
        """Choose who answers, and what."""
        server = WHOS[call.who][1]
        self.session.who.choice = "offline" if server == DEMO else "live"
        self.session.variables["MINIMAX_BASE_URL"] = self._urls[server]
        self._service.next_answer = ANSWERS[call.answer]
        self._service.by_request = []

    async def _magic(self, call: Call) -> tuple[bool, list[Any], list[str]]:
        run = self.session.turns.start(self._ask_of(call), is_drawn=True)
        answer = ANSWERS[call.answer]
        is_well = False
        try:
            async with aclosing(self.session.turns.steps(run)) as steps:
                async for _ in steps:
                    if _all_came(run, answer):
                        run.cancel()
            is_well, reply = True, run.reply()
        except asyncio.CancelledError:
            _stay()
            reply = self.session.turns.stop(run)
        except MiniMaxError:
            reply = run.reply()
        if run.request is None:  # refused before anything was sent
            return is_well, [], run.notes
        turn = run.turn or run.request.turn(reply)
        return is_well, [turn_json(turn, self.session.conversations.state_of(turn))], run.notes

    async def _compare(
        self, comparison: Comparison, variants: list[Variant]
    ) -> tuple[bool, list[Any], list[str]]:
        call = comparison.call
        several = self.session.comparisons.start(self._ask_of(call), variants, is_drawn=True)
        watching = asyncio.ensure_future(self._stop_when_rest_came(comparison, several))
        is_well = False
        try:
            async with aclosing(self.session.comparisons.steps(several)) as steps:
                async for _ in steps:
                    pass
            is_well = True
        except asyncio.CancelledError:
            _stay()
            self.session.commits.commit_together(several)
        except MiniMaxError:
            pass
        finally:
            watching.cancel()
        turn = several.turn
        if turn is None:  # all were refused before anything was sent
            return is_well, [], several.notes
        saved = turn_json(turn, self.session.conversations.state_of(turn))
        return is_well, [saved], several.notes

    async def _stop_when_rest_came(self, comparison: Comparison, several: Together) -> None:
        """Stop them when nothing more will come; where none is stopped, they end by themselves."""
        answers = [ANSWERS[name] for name in comparison.answers]
        if not any(answer.ending == "stopped" for answer in answers):
            return
        while not all(
            run.is_over or run.error or _all_came(run, answer)
            for run, answer in zip(several.runs, answers, strict=True)
        ):
            await asyncio.sleep(0)
        if waiting := [run for run in several.runs if not run.is_over and not run.error]:
            waiting[0].cancel()

    def _stop_when_all_came(self, call: Call) -> None:
        """From any thread: stop the turn of `ask`."""

        def look() -> None:
            (run,) = self.session.running.runs
            if run.reply().content == [*ANSWERS[call.answer].blocks]:
                run.cancel()
            else:
                self._loop.call_soon(look)

        self._loop.call_soon_threadsafe(look)

    async def _ask_rows(self, job: RowsJob, sent: int, without_end: int) -> None:
        counts: list[RowsCount] = []
        task = asyncio.create_task(job.run(counts.append))
        while not task.done():
            await asyncio.sleep(0)
            all_came = len(self._service.requests) == sent
            left = [count.rows - count.ended for count in counts]
            if without_end and all_came and left == [without_end]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await asyncio.gather(task, return_exceptions=without_end > 0)

    async def _ask(self, call: Call) -> bool:
        is_alone = call.conversation is None
        try:
            wanted = TypeOrTools(tools=TOOLS if call.has_tools else ())
            options = self._options(call)
            await self.session.turns.ask(asked(call.prompt), options, alone=is_alone, wanted=wanted)
        except asyncio.CancelledError:
            _stay()
            return False
        except MiniMaxError:
            return False
        return True


def _all_came(run: Run, answer: Answer) -> bool:
    """Whether nothing more comes of an answer that is to be stopped: not of one that was saved."""
    is_asked = run.request is not None and run.request.script is None
    is_begun = is_asked and run.reply().message.id is not None
    return is_begun and answer.ending == "stopped" and run.reply().content == [*answer.blocks]


def _stay() -> None:
    """The task was cancelled, and goes on."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
