"""One turn as a value: a prompt, the messages that followed, and its place."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mm_magic.conversation.left_out import LeftOut, prompt_without
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.sent_messages import Sending, sent_messages
from mm_magic.conversation.steps import in_wire, prints_of
from mm_magic.errors import Kind
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import JsonObject, encode_json, fingerprint
from mm_magic.protocol.messages import Message

if TYPE_CHECKING:
    from weakref import ref

TURN_MIME = "application/vnd.minimax.turn+json"
"""The MIME type under which a cell's outputs hold turns."""
NOTHING = ""
"""The hash of no turns."""
_MOST_HASHES = 8
"""Of what stands above a turn, as each sort of reader knows it now, and as it was before."""
_NOTEBOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as nbformat 4.5 has it


class TurnKey(NamedTuple):
    """What makes a turn: a cell, and the place among the turns of one run of it, from 0.

    Copies are counted apart: `fork` is the conversation that their cell begins with them, and
    `index_in_cell` the number of the turn that each is a copy of. So a cell that asks and forks
    knows each of them again, whatever it does first.
    """

    cell_id: str
    index_in_cell: int
    fork: str = ""

    def is_from(self, cell_id: str | None, index: int) -> bool:
        """Whether it is of this cell, with this index or a higher one."""
        return self.cell_id == cell_id and self.index_in_cell >= index


def is_notebook_name(name: str) -> bool:
    """Whether a file of this name is a notebook; some systems write names in capitals."""
    return name.lower().endswith(".ipynb")


def is_notebook_id(cell_id: str) -> bool:
    """Whether a notebook file can hold this id; VS Code names a cell by an address instead."""
    return _NOTEBOOK_ID.fullmatch(cell_id) is not None


class Failure(NamedTuple):
    """Why one of several answers did not come, or not whole: the error's kind and message."""

    kind: Kind
    message: str


@dataclass(frozen=True, eq=False)  # with slots, `turn.model = …` would raise a TypeError
class Turn:
    """A prompt and what followed, in their place.

    One that stood alone has no `conversation`, and the number 0. `parameters` is the request's body
    but for its messages, and `said` names those of them that the notebook set. `request_key` is the
    hash of the request's `RequestKey`, `sample` counts the answers to that same request, from 0.
    `context_hash` is the fingerprint of all that the model was given, `turns_hash` that of the
    turns in it. `sent` counts the earlier turns that the request carried; `link` ends their chain,
    and is None for a turn that was read from a file. `replaces` are the ids of the turns that stood
    in its place before. `label` names its cell for the reader, as "[3]". `hides_thinking` says that
    its cell was asked not to draw it; no file says so, as a reader must be able to look at what is
    sent. `is_version_1`: it was read from a file of version 0.1, where an option that is not set
    can't be told from its default. `is_untrusted`: it came from a file that Jupyter does not trust:
    it is shown and not sent. Where its cell asked for several answers at once, `answer` is the
    number of this one, from 1, and `others` holds the rest, as the turns that they would be; of one
    that failed, `failure` says why. `without` is what the request of this answer left out; `prompt`
    is that of the cell all the same. `copy_of` is the number of the turn that `%minimax fork`
    copied, 0 where it is no copy. `version` is the number of its answer among those that its place
    has had, from 1, and `former` are the last of those, the newest at the end; no file has them.
    `extra` are fields of its saved form that this release does not know.
    """

    conversation: str | None
    number: int
    key: TurnKey | None
    prompt: Prompt
    reply: Reply
    parameters: JsonObject
    context_hash: str
    turns_hash: str
    said: frozenset[str] = frozenset()
    request_key: str = ""
    sample: int = 0
    sent: int = 0
    link: "Link | None" = None
    replaces: tuple[str, ...] = ()
    label: str = ""
    is_hidden: bool = False
    hides_thinking: bool = False
    is_version_1: bool = False
    is_untrusted: bool = False
    answer: int = 0
    others: tuple["Turn", ...] = ()
    failure: Failure | None = None
    without: LeftOut | None = None
    copy_of: int = 0
    version: int = 1
    former: tuple["Turn", ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    _encoded: dict[bool, bytes] = field(init=False, repr=False, default_factory=dict)

    @cached_property
    def id(self) -> str:
        """A fingerprint of conversation, number, prompt and content."""
        content = self.reply.content
        if self.reply.earlier_steps:
            content = [*map(in_wire, self.reply.earlier_steps), *content]
        return fingerprint([self.conversation, self.number, self.prompt.to_wire(), content])

    def hash_behind(self, turns_hash: str) -> str:
        """The hash of the turns with this hash, and of this one behind them.

        It is kept, as a cell that runs again asks this of all turns.
        """
        known = self._hashes
        if (found := known.get(turns_hash)) is None:
            if len(known) >= _MOST_HASHES:
                known.clear()
            found = known[turns_hash] = fingerprint([turns_hash, self.id])
        return found

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {}

    @property
    def steps(self) -> tuple[Message, ...]:
        """The messages that followed the prompt: one, the answer, in the ordinary case."""
        return self.reply.steps

    @cached_property
    def is_sendable(self) -> bool:
        """Whether a server takes its answer back, so that later requests may carry it."""
        return bool(self._sent(in_context=False))

    @cached_property
    def prints(self) -> tuple[str, ...]:
        """The fingerprints of its prompt and of what followed without thinking.

        Later requests know it by them.

        There are none where no server would take its answer: then it is not sent.
        """
        return prints_of(self.prompt, self.messages(in_context=False))

    def messages(self, *, in_context: bool) -> list[JsonObject]:
        """Its messages as a server accepts them back; see `sent_messages`."""
        return [in_wire(message, self.prompt) for message in self._sent(in_context=in_context)]

    def _sent(self, *, in_context: bool) -> list[Message]:
        is_cut = self.reply.status != "complete" or self.reply.message.is_cut
        messages = (Message(role="user", content=self.prompt.content), *self.steps)
        return sent_messages(messages, Sending(in_context, is_whole=not is_cut))

    def encoded(self, *, in_context: bool) -> bytes:
        """The JSON of its messages; kept, as later requests join the same bytes."""
        known = self._encoded
        if in_context not in known:
            encoded = b",".join(map(encode_json, self.messages(in_context=in_context)))
            known[in_context] = (
                known[not in_context] if encoded == known.get(not in_context) else encoded
            )
        return known[in_context]

    @property
    def asked(self) -> JsonObject:
        """What of `parameters` the notebook set."""
        return {name: self.parameters[name] for name in self.said if name in self.parameters}

    @property
    def sent_prompt(self) -> Prompt:
        """What was asked: the prompt, or what was left of it."""
        return prompt_without(self.prompt, self.without)

    @property
    def system(self) -> str:
        """The system prompt, "" if none was sent."""
        return str(self.parameters.get("system") or "")

    @cached_property
    def is_demo(self) -> bool:
        return self.reply.is_demo

    @property
    def answers(self) -> list["Turn"]:
        """All answers to its prompt, itself among them, in order, as turns in its place."""
        here: dict[str, Any] = {name: getattr(self, name) for name in _OF_PLACE}
        others = [replace(other, **here) for other in self.others]
        return sorted([self, *others], key=lambda turn: turn.answer)

    @property
    def as_made(self) -> "Turn":
        """The turn as its cell made it and as a file keeps it, whatever answer was picked since."""
        first = first_choice(self.answers) if self.others and self.reply.may_enter() else None
        return self if first is None else self.with_answer(first.answer)

    @property
    def choices(self) -> list[int]:
        """The numbers of its answers that may become part of its conversation."""
        return [each.answer for each in self.answers if each.reply.may_enter()]

    def with_answer(self, number: int) -> "Turn":
        """The turn with this one of its answers, if it has it, and the others beside that."""
        found = next((each for each in self.answers if each.answer == number), self)
        return self if found is self else with_others(found, self.answers)

    def is_of(self, cell_id: str | None) -> bool:
        """Whether this cell made it; none is of the cell None."""
        return self.key is not None and self.key.cell_id == cell_id

    def is_strange_to(self, key: TurnKey) -> bool:
        """Whether it may have this key where its cell bears another sort of name.

        A front end then does not tell which cell of the file is running.
        """
        mine = self.key
        if mine is None or mine.fork != key.fork:
            return False
        return is_notebook_id(mine.cell_id) != is_notebook_id(key.cell_id)

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.parameters.get("model", ""))


_OF_PLACE = (
    *("conversation", "number", "key", "label"),
    *("replaces", "is_hidden", "hides_thinking", "is_version_1", "is_untrusted"),
    *("copy_of", "version", "former"),
)
"""What all answers to one prompt share."""


def first_choice(answers: Iterable[Turn]) -> Turn | None:
    """The answer that is its cell's turn unless another one is picked.

    It is the first complete one, else the first with text. Where none has text it is the first,
    which is drawn and not remembered; None of none.
    """
    found = sorted(
        answers, key=lambda turn: (not turn.reply.may_enter(), turn.reply.status != "complete")
    )
    return found[0] if found else None


def with_others(turn: Turn, answers: Iterable[Turn]) -> Turn:
    """The turn with the other answers to its prompt. One that is untrusted makes it untrusted."""
    others = tuple(replace(each, others=()) for each in answers if each.answer != turn.answer)
    is_untrusted = any(each.is_untrusted for each in (turn, *others))
    return replace(turn, others=others, is_untrusted=is_untrusted)


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One earlier turn as it is sent, and all before it.

    `messages` is the JSON of its messages, joined by commas. `turn` does not keep its turn alive:
    each turn has the links that its request carried, and would keep those turns, and what their own
    requests carried, however often their cells ran again. The first link has no turn: it stands for
    model, server and system prompt. In a chain that is not `with_thinking` no turn is sent with
    its thinking. `context_hash` is the fingerprint of all up to here,
    `turns_hash` that of the turns alone. `size` counts the bytes up to here, as `weight` does, and
    `pictures` the pictures.
    """

    before: "Link | None"
    turn: "ref[Turn] | None"
    messages: bytes
    context_hash: str
    turns_hash: str
    size: int
    with_thinking: bool = True
    pictures: int = 0
