"""What several answers cost in all, and how it is told."""

import pytest

from mm_magic.conversation.count import Count, count
from mm_magic.conversation.reply import Reply
from mm_magic.protocol.messages import Message, TextBlock, Usage

M3 = "MiniMax-M3"


def answer(usage: Usage, model: str = M3) -> Reply:
    return Reply(Message(model=model, content=(TextBlock("Hi"),), usage=usage), backend="minimax")


def test_nothing_is_counted_of_nothing() -> None:
    """A count begins at zero, and adding one changes no other."""
    assert Count() + Count() == Count()
    assert str(Count()) == "0 answers"
    one = Count(1, 0, 0, 5, 7, 3, 0.5)
    assert Count() + one == one
    assert one + one == Count(2, 0, 0, 10, 14, 6, 1.0)


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ([answer(Usage(100_000, 0))], "1 answer · 100,000 in / 0 out · $0.0300"),
        ([answer(Usage(10, 20, None, 30), "Own")], "1 answer · 10 in + 30 from cache / 20 out"),
        ([answer(Usage())] * 2, "2 answers · 2 not counted"),
        (
            [answer(Usage(10_000, 20)), answer(Usage(1, 2), "Own"), answer(Usage())],
            "3 answers · 10,001 in / 22 out · $0.0030 and — · 1 not counted",
        ),
    ],
)
def test_what_is_told_of_several_answers(replies: list[Reply], told: str) -> None:
    """Tokens and price of those that were counted, and how many were not."""
    found = Count()
    for reply in replies:
        found += count(reply, reply.model or "")
    assert str(found) == told
