"""The catalog: which model a name means, what it takes, and what its answers cost."""

import pytest

from mm_magic.conversation.catalog import (
    MODELS,
    PREFERENCE,
    check_accepted,
    check_pictures,
    cost,
    default_max_tokens,
    find,
    longer,
    max_tokens_warning,
    preferred,
    price_of,
    thinking_warning,
)
from mm_magic.conversation.reply import Reply
from mm_magic.errors import UsageError
from mm_magic.protocol.messages import Message, Usage


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("MiniMax-M2.5", "MiniMax-M2.5"),
        ("minimax-m2.5-20260211", "MiniMax-M2.5"),
        ("MiniMax-M2.7-highspeed-20260318", "MiniMax-M2.7-highspeed"),
        ("minimax/minimax-m3", "MiniMax-M3"),
        ("MiniMaxAI/MiniMax-M2", "MiniMax-M2"),
        ("MiniMax-M3.1-Flash-Preview", "MiniMax-M3.1-Flash-Preview"),
    ],
)
def test_a_name_finds_its_model(name: str, model: str) -> None:
    """Case, a date at the end and a maker in front change nothing."""
    found = find(name)
    assert found is not None
    assert found.name == model


@pytest.mark.parametrize(
    "name", ["", None, "My-Own", "MiniMax-M2.55", "MiniMax-M2.5-2026", "MiniMax", "x-20260211"]
)
def test_other_names_find_nothing(name: str | None) -> None:
    """Nothing is guessed of a model that is not known."""
    assert find(name) is None


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("MiniMax-M2.7", 2048), ("MiniMax-M3", 16_384), ("MiniMax-M3.1-Flash", 16_384), ("Own", 2048)],
)
def test_max_tokens_by_model(model: str, tokens: int) -> None:
    """The API page's models get its 2048; M3 and later, which think at length, get more."""
    assert default_max_tokens(model) == tokens


@pytest.mark.parametrize(
    ("model", "value", "words"),
    [
        ("MiniMax-M2.7", 2049, "above 2048, the limit on MiniMax's API page"),
        ("minimax-m2.5-20260211", 131_073, "more than MiniMax-M2.5 can write (131072)"),
        ("MiniMax-M3", 524_289, "more than MiniMax-M3 can write (524288)"),
    ],
)
def test_too_many_tokens_are_warned_of(model: str, value: int, words: str) -> None:
    """The warning names the value and the limit, up to which there is none."""
    warning = max_tokens_warning(model, value)
    assert warning is not None
    assert warning.startswith(f"max_tokens {value} is {words}")


@pytest.mark.parametrize(
    ("model", "value"),
    [("MiniMax-M2.7", 2048), ("MiniMax-M2.7", None), ("MiniMax-M3", 524_288), ("Own", 10**9)],
)
def test_no_warning_within_the_limit(model: str, value: int | None) -> None:
    """Nothing is said within the limit, nor of a model whose limit is not known."""
    assert max_tokens_warning(model, value) is None


@pytest.mark.parametrize(
    ("model", "thinking", "told"),
    [
        ("MiniMax-M2.7", "disabled", True),
        ("minimax-m2.5-20260211", "disabled", True),
        ("MiniMax-M2.7", "auto", False),
        ("MiniMax-M3", "disabled", False),
        ("MiniMax-M3.1-Flash", "disabled", False),
        ("Own", "disabled", False),
    ],
)
def test_thinking_that_can_not_be_switched_off(model: str, thinking: str, told: bool) -> None:
    """It is warned of where a model is known to think, and to accept that it should not."""
    assert bool(thinking_warning(model, thinking)) is told


@pytest.mark.parametrize(
    ("model", "tokens", "more"),
    [
        ("MiniMax-M2.7", 100, 2048),
        ("MiniMax-M2.7", 2048, 8192),
        ("MiniMax-M2.7", 100_000, 131_072),
        ("MiniMax-M2.7", 131_072, None),
        ("Own", 2048, 8192),
    ],
)
def test_a_longer_answer(model: str, tokens: int, more: int | None) -> None:
    """The next limit to try is four times as large, and never above the model's own."""
    assert longer(model, tokens) == more


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "line"),
    [
        ("MiniMax-M3.1-Flash", "disabled", None, "`%%minimax --thinking auto --effort low`"),
        ("MiniMax-M3.1-Flash-Preview", "disabled", "low", "--thinking auto"),
        ("MiniMax-M2.7", "auto", "low", "`%%minimax --effort default`"),
        ("minimax-m2.5-20260211", "auto", "max", "-m MiniMax-M3.1-Flash --effort max`"),
    ],
)
def test_what_a_model_refuses(model: str, thinking: str, effort: str | None, line: str) -> None:
    """It is refused here, before anything is sent, with a line that works."""
    with pytest.raises(UsageError) as raised:
        check_accepted(model, thinking, effort)
    assert any(line in step for step in raised.value.next_steps)


@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("MiniMax-M2.7", "disabled", None),
        ("MiniMax-M3", "disabled", None),
        ("MiniMax-M3", "adaptive", "low"),
        ("MiniMax-M3.1-Flash", "adaptive", "max"),
        ("Own", "disabled", "low"),
    ],
)
def test_what_a_model_takes(model: str, thinking: str, effort: str | None) -> None:
    """What it takes, or may take, goes through."""
    check_accepted(model, thinking, effort)


def test_the_best_that_is_offered() -> None:
    """It is named as the server names it; strangers don't count."""
    assert preferred(["x", "minimax-m2.5-20260211", "MiniMax-M3.1-Flash"]) == "MiniMax-M3.1-Flash"
    assert preferred(["x", "minimax-m2.5-20260211"]) == "minimax-m2.5-20260211"
    assert preferred(["x"]) is None
    assert set(PREFERENCE) < set(MODELS)


def test_a_long_prompt_costs_twice_as_much() -> None:
    """Above 512,000 tokens all of MiniMax-M3's request does, what was cached counted too."""
    short = cost("MiniMax-M3", Usage(512_000, 1000))
    long = cost("MiniMax-M3", Usage(500_000, 1000, None, 12_001))
    assert short == pytest.approx(512_000 * 0.3e-6 + 1000 * 1.2e-6)
    assert long == pytest.approx(2 * (500_000 * 0.3e-6 + 1000 * 1.2e-6 + 12_001 * 0.06e-6))


@pytest.mark.parametrize("place", ["usage", "message"])
def test_the_priority_tier_costs_more(place: str) -> None:
    """Half as much again with MiniMax-M3, wherever the tier stands; unknown elsewhere."""
    tier: dict[str, object] = {"service_tier": "priority"}
    usage = Usage(1000, 1000, extra=tier if place == "usage" else {})
    extra = tier if place == "message" else {}
    reply = Reply(Message(model="MiniMax-M3", usage=usage, extra=extra))
    assert price_of(reply, "MiniMax-M3") == pytest.approx(1.5 * 1500e-6)
    assert cost("MiniMax-M3.1-Flash", usage, "priority") is None


def test_a_dated_name_has_a_price() -> None:
    """The service answers under a dated name, and its price is the model's."""
    assert cost("minimax-m2.5-20260211", Usage(10**6, 0)) == pytest.approx(0.30)
    assert cost("MiniMax-M2.1-highspeed", Usage(10**6, 0)) is None


@pytest.mark.parametrize(
    ("model", "own", "earlier", "says"),
    [
        ("MiniMax-M2.7", 1, 0, "can't see pictures, and this would send 1 picture"),
        ("MiniMax-M2.7", 0, 2, "this would send 2 pictures (in earlier turns)"),
        ("MiniMax-M3", 5, 0, "this would send 5 pictures, and MiniMax-M3 takes at most 4"),
        ("MiniMax-M3", 2, 3, "5 pictures (3 of them in earlier turns), and MiniMax-M3 takes"),
    ],
)
def test_pictures_that_a_model_refuses(model: str, own: int, earlier: int, says: str) -> None:
    """The error counts them, and names a way on: without earlier turns, or to another model."""
    with pytest.raises(UsageError) as caught:
        check_pictures(model, own, earlier)
    assert says in str(caught.value)
    assert ("--alone" in str(caught.value.next_steps)) == bool(earlier)


@pytest.mark.parametrize(
    ("model", "own", "earlier"),
    [("MiniMax-M3", 4, 0), ("MiniMax-M3", 1, 3), ("MiniMax-M2.7", 0, 0), ("My-Own", 9, 9)],
)
def test_pictures_that_a_model_takes(model: str, own: int, earlier: int) -> None:
    """Up to four in all; of a model that is not known nothing is said."""
    check_pictures(model, own, earlier)
