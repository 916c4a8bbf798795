"""What a miss says, and what it costs: the kernel waits while the nearest request is looked for."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from support.timing import calls_of

from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.mismatch import difference

ENGLISH = "this product was quite good although its delivery took long and a box broke on the way"
CHINESE = "这个产品非常好虽然送货时间很长但是盒子在路上坏了我们还会再买一次"


def key(prompt: str, earlier: Sequence[tuple[str, ...]] = ()) -> RequestKey:
    return RequestKey({}, tuple(earlier), {"role": "user", "content": prompt})


def exchange(request: RequestKey) -> RecordedExchange:
    return RecordedExchange(request, 0, "", "minimax", "1", None, "complete", 200, "", ())


def said(asked: RequestKey, recorded: Sequence[RequestKey]) -> list[str]:
    return difference([asked], list(map(exchange, recorded)), lambda _name, _value: None)


def english(number: int, length: int = 200) -> str:
    words = Random(number).choices(ENGLISH.split(), k=length)
    return f"Is this review positive? Number {number}\n{' '.join(words)}"


def chinese(number: int) -> str:
    return f"这个评价是好的吗\n{''.join(Random(number).choices(CHINESE, k=400))}"


@pytest.mark.parametrize("prompt", [english, chinese])
def test_the_nearest_of_many(prompt: Callable[[int], str]) -> None:
    """Of many prompts that are made in one way the one with the same text is the nearest."""
    recorded = [key(f"{number}. {prompt(number)}") for number in range(100)]

    (step,) = said(key(f"77. {prompt(77)[:-30]} and more"), recorded)

    assert "The nearest recorded prompt: “77. " in step


def test_another_prompt_costs_the_same_however_long_it_is() -> None:
    """Each further recorded prompt adds little work, and long ones add as little as short ones."""

    def cost_of_one(length: int) -> float:
        recorded = [key(english(number, length)) for number in range(100)]
        asked = key(english(1000, length))
        few = calls_of(lambda: said(asked, recorded[:50]))
        return (calls_of(lambda: said(asked, recorded)) - few) / 50

    assert cost_of_one(150) < 1.5 * cost_of_one(3)


@pytest.mark.parametrize("units", [("a", "ab"), ("abc", "acb"), ("a b ", "b a a "), ("哈", "哈呵")])
def test_repeated_text_is_compared_in_linear_work(units: tuple[str, str]) -> None:
    """A prompt that says one thing over and over takes no more than another of its length."""

    def cost(first: str, second: str) -> int:
        return calls_of(lambda: said(key(first[:300]), [key(second[:300])]))

    assert cost(units[0] * 300, units[1] * 300) < 1.5 * cost(english(1), english(2))


@pytest.mark.parametrize(
    ("prompt", "near"),
    [("Nmae a lake.", True), ("name a lake", True), ("Name a river.", True), ("Why?", False),
     ("Write about the sea", False)],
)  # fmt: skip
def test_what_is_near(prompt: str, near: bool) -> None:
    """A slip of the fingers and another word are near, another question is not."""
    recorded = [RequestKey({"temperature": 1}, (), key("Name a lake.").prompt)]

    assert said(key(prompt), recorded) == [
        "This prompt was not recorded."
        + (" The nearest recorded prompt: “Name a lake.”" if near else "")
    ]


def test_long_conversations_are_compared_in_linear_work() -> None:
    """Where a prompt was recorded behind other turns, twice as many turns are about twice as much
    work, also where all of them are alike."""

    def cost(turns: int) -> int:
        earlier = [("a", "b")] * turns
        recorded = [key("Go on.", [*earlier[: -1 - more], ("c", "d")]) for more in range(5)]
        return calls_of(lambda: said(key("Go on.", earlier), recorded))

    assert cost(400) < 2.5 * cost(200)


def test_the_nearest_conversation() -> None:
    """Of several conversations behind which a prompt was recorded, the most similar one counts."""
    first, second, third = ("a", "1"), ("b", "2"), ("c", "3")
    asked = key("Go on.", [first, second])

    near = said(asked, [key("Go on.", [third]), key("Go on.", [first, second, third])])
    far = said(asked, [key("Go on.", [third])])

    assert "recorded after turn 3" in near[0]
    assert "with a different turn 1" in far[0]
