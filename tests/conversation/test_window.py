"""What is left out where a conversation does not fit into the model's window, and who is told."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from support.asks import ask_of
from support.scripted import Answer, ScriptedSession, Service

from mm_magic.conversation.catalog import BYTES_PER_TOKEN, MODELS, image_tokens, room, weight
from mm_magic.conversation.history import chained, first_link
from mm_magic.conversation.left_out import LeftOut
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.request import encode_message
from mm_magic.session.build_request import NotSentError
from mm_magic.session.notes import too_long_note
from mm_magic.session.options import Options

MODEL = "MiniMax-M2.7"
OPTIONS = Options(model=MODEL, max_tokens=2000, retries=0)
LONG = "x" * 100_000
SHORT = Prompt.of_text("Why?")


def answer(text: str) -> Answer:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}
    return Answer("whole", (thought, {"type": "text", "text": text}))


class Notebook:
    """A session, and the requests that its service saw."""

    def __init__(self) -> None:
        self.service = Service()
        self.session = ScriptedSession(self.service)
        self.session.variables["MINIMAX_BASE_URL"] = "http://127.0.0.1:1"

    def run(self, prompt: str, text: str = "Yes.", options: Options = OPTIONS) -> list[str]:
        """The notes of a turn."""
        self.service.next_answer = answer(text)
        run = self.session.turns.start(ask_of(prompt, options))

        async def drive() -> None:
            async for _ in self.session.turns.steps(run):
                pass

        asyncio.run(drive())
        return run.notes

    @property
    def messages(self) -> Any:
        """Those of the last request."""
        return self.service.requests[-1]["messages"]


def room_of(options: Options, question: bytes) -> int | None:
    assert options.max_tokens is not None
    return room(options.model, options.max_tokens, options.system, len(question))


def test_room_is_what_the_window_leaves() -> None:
    """The prompt, the system prompt and the longest answer are taken from the model's window."""
    question = encode_message("user", "Why?")
    left = room_of(replace(OPTIONS, system="Be brief."), question)
    window = MODELS[MODEL].window - 2000
    assert left == window * BYTES_PER_TOKEN - len(question) - len("Be brief.")


def test_a_picture_takes_the_room_of_a_picture() -> None:
    """In a window a picture counts by width × height / 750, wherever it stands."""
    noise = Prompt.of(["What?", Image.effect_noise((900, 750), 90)])
    (picture,) = noise.pictures
    assert image_tokens(picture.size) == 901
    assert weight(len(noise.encode()), [picture]) < BYTES_PER_TOKEN * 1000 < len(noise.encode())
    notebook = Notebook()
    notebook.run("Why?")
    turn = replace(notebook.session.conversations["main"].turns[0], prompt=noise)
    link = chained([turn], first_link(MODEL, "server", ""))[-1]
    assert link.size < BYTES_PER_TOKEN * 1100 < len(link.messages)


def test_room_is_never_less_than_nothing() -> None:
    """Where the answer alone may fill the window, no earlier turn has room."""
    assert room_of(replace(OPTIONS, max_tokens=10**9), b"") == 0


def test_unknown_model_has_no_limit() -> None:
    """Of a model whose window is not known nothing is left out."""
    assert room_of(replace(OPTIONS, model="My-Own"), b"") is None


def test_oldest_turns_are_left_out_and_told() -> None:
    """When all would be too long the oldest turns go, and each such reply says how many."""
    notebook = Notebook()
    notes = [notebook.run(f"{n} {LONG}", LONG) for n in range(5)]
    assert notes[:3] == [[], [], []]
    assert notes[3:] == [[too_long_note(MODEL, 1)], [too_long_note(MODEL, 2)]]
    sent = [m["content"][0] for m in notebook.messages if m["role"] == "user"]
    assert sent == ["2", "3", "4"]


def test_what_is_sent_fits() -> None:
    """As many turns as have room are sent, and not one more."""
    notebook = Notebook()
    for n in range(5):
        notebook.run(f"{n} {LONG}", LONG)
    left = room_of(OPTIONS, encode_message("user", "next"))
    assert left is not None
    parts = notebook.session.turns.request(ask_of("next", OPTIONS)).history.messages
    size = sum(len(part) + 1 for part in parts)
    one_more = notebook.session.conversations.named("main").turns[-len(parts) - 1]
    assert size <= left < size + len(one_more.prompt.text) + len(one_more.reply.text)


def test_thinking_behind_left_out_turns_is_left_out() -> None:
    """Behind turns that are missing the context is another one: their thinking does not go back."""
    notebook = Notebook()
    for n in range(5):
        notebook.run(f"{n} {LONG}", LONG)
    answers = [m["content"] for m in notebook.messages if m["role"] == "assistant"]
    assert [[block["type"] for block in answer] for answer in answers] == [["text"], ["text"]]


@pytest.mark.parametrize(
    ("left_out", "sent"), [(LeftOut("4"), ["4"]), (LeftOut("data", SHORT), ["3", "4"])]
)
def test_no_older_turn_in_place_of_what_is_left_out(left_out: LeftOut, sent: list[str]) -> None:
    """A request without something lacks the same oldest turns as the full one."""
    notebook = Notebook()
    for n in range(5):
        notebook.run(f"{n} {LONG}", LONG)
    full = ask_of(f"Why? {LONG}", OPTIONS)
    built = [
        notebook.session.turns.request(ask).history
        for ask in (full, replace(full, without=left_out))
    ]
    assert [each.too_long for each in built] == [3, 3]
    assert [turn.prompt.text.split()[0] for turn in built[1].turns] == sent


@pytest.mark.parametrize("number", ["1", "2"])
def test_what_has_no_room_cannot_be_left_out(number: str) -> None:
    """A turn that the full request has no room for is not left out of another one."""
    notebook = Notebook()
    for n in range(5):
        notebook.run(f"{n} {LONG}", LONG)
    ask = replace(ask_of("Why?", OPTIONS), without=LeftOut(number))
    with pytest.raises(NotSentError, match=f"turn {number} is not sent"):
        notebook.session.turns.request(ask)


def test_turns_that_were_left_out_come_back() -> None:
    """A model with more room gets them all again, and the reply has no note."""
    notebook = Notebook()
    for n in range(5):
        notebook.run(f"{n} {LONG}", LONG)
    assert notebook.run("next", options=replace(OPTIONS, model="My-Own")) == []
    assert len(notebook.messages) == 11


@pytest.mark.parametrize(("left_out", "words"), [(1, "The oldest turn was"), (2, "The 2 oldest")])
def test_note(left_out: int, words: str) -> None:
    """The note counts the turns, and names the model and its window."""
    note = too_long_note(MODEL, left_out)
    assert note.startswith(words)
    assert f"{MODEL}'s window of {MODELS[MODEL].window:,} tokens" in note
