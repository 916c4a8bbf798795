"""The line and the sentences under several answers: sums, and which of them were cut off."""

from dataclasses import replace

import pytest
from support.asks import ask_of, said

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn, with_others
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock, Usage
from mm_magic.rendering.status_line import status_notes, status_parts
from mm_magic.session.session import Session

USAGE = Usage(input_tokens=1000, output_tokens=40)
MESSAGE = Message(
    id="05b5",
    model="MiniMax-M2.7",
    content=(TextBlock("Because"),),
    usage=USAGE,
    stop_reason="end_turn",
)
REPLY = Reply(MESSAGE, seconds=2.5)
EMPTY = Reply(Message(), "incomplete")


def cut(reply: Reply, used: int) -> Reply:
    """The reply, cut off after so many tokens."""
    usage = replace(USAGE, output_tokens=used)
    return replace(reply, message=replace(reply.message, stop_reason="max_tokens", usage=usage))


def thought(reply: Reply) -> Reply:
    """The reply with thinking in the place of its text."""
    return replace(reply, message=replace(reply.message, content=(ThinkingBlock("Hm.", "5f"),)))


def answers(*replies: Reply, limits: tuple[int, ...] = (), chosen: int = 1) -> Turn:
    """A turn with so many answers, each with its own max_tokens; the chosen one is the turn."""
    session = Session({"MINIMAX_API_KEY": "sk-live-4f6e"})
    session.cells.begin("cell-1")
    turns = []
    for number, reply in enumerate(replies, start=1):
        options = said(max_tokens=limits[number - 1]) if limits else said()
        turn = session.turns.request(ask_of("Why?", options)).turn(reply)
        turns.append(replace(turn, answer=number))
    return with_others(turns[chosen - 1], turns)


def test_the_line_has_the_sums() -> None:
    """Under several answers the line tells what they came to; each one's own is in the table."""
    turn = answers(REPLY, cut(REPLY, 2048), REPLY)

    assert " · ".join(status_parts(turn, to="x")) == (
        "MiniMax-M2.7 · turn 1 · 3 answers · 3,000 in / 2,128 out · $0.0035 · stored in x"
    )


@pytest.mark.parametrize(
    ("replies", "line"),
    [
        ((REPLY, EMPTY), "MiniMax-M2.7 · turn 1 · 2 answers · 1,000 in / 40 out · $0.0003 · "
         "1 not counted"),
        ((replace(REPLY, status="stopped"), REPLY),
         "MiniMax-M2.7 · turn 1 · 2 answers · 1,000 in / 40 out · $0.0003 · 1 not counted"),
        ((replace(REPLY, status="stopped"), EMPTY), "MiniMax-M2.7 · turn 1 · 2 answers"),
        ((EMPTY, EMPTY), "MiniMax-M2.7 · no answer"),
        ((thought(REPLY), EMPTY), "MiniMax-M2.7 · 2 answers · 1,000 in / 40 out · $0.0003 · "
         "1 not counted · not remembered"),
        ((REPLY, replace(REPLY, message=replace(MESSAGE, model="New"))),
         "MiniMax-M2.7, New · turn 1 · 2 answers · 2,000 in / 80 out · $0.0003 and —"),
        ((replace(REPLY, backend="offline"),) * 2,
         "Offline demo, not a language model · turn 1 · 2 answers · 2,000 in / 80 out"),
    ],
)  # fmt: skip
def test_not_all_came(replies: tuple[Reply, ...], line: str) -> None:
    """An answer that failed or was stopped has no count, and every model that answered is named."""
    assert " · ".join(status_parts(answers(*replies))) == line


@pytest.mark.parametrize("chosen", [1, 3])
def test_a_note_names_the_answer(chosen: int) -> None:
    """It says which answer was cut off, whichever of them is the turn."""
    turn = answers(
        thought(cut(REPLY, 30)), cut(REPLY, 100), REPLY, limits=(30, 100, 400), chosen=chosen
    )
    assert status_notes(turn)[:2] == [
        "Answer 1 has no text: thinking used up all of max_tokens 30.",
        "Answer 2 was cut off at max_tokens 100.",
    ]


def test_those_cut_off_alike_are_in_one_sentence() -> None:
    """Answers that were cut off at the same place are listed, also those with thinking alone."""
    full, left = cut(REPLY, 2048), thought(cut(REPLY, 2048))
    turn = answers(full, REPLY, full, full, left, left, cut(REPLY, 9))

    assert status_notes(turn) == [
        "Answers 1, 3 and 4 were cut off at max_tokens 2048.",
        "Answers 5 and 6 have no text: thinking used up all of max_tokens 2048.",
        "Answer 7 was cut off by the service after 9 tokens, short of max_tokens 2048.",
    ]


def test_an_answer_in_the_course_has_no_note() -> None:
    """Whole answers, stopped ones and failed ones are not said to be cut off."""
    stopped = replace(cut(REPLY, 2048), status="stopped")
    assert status_notes(answers(REPLY, stopped, EMPTY)) == []


def test_each_other_model_is_named() -> None:
    """Where another model answered than the one that was asked, it is told once for each."""
    other = replace(REPLY, message=replace(MESSAGE, model="New"))
    assert status_notes(answers(REPLY, other, other)) == [
        "MiniMax-M2.7 was asked for, but New answered."
    ]
