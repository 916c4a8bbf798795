"""The request: its parameters are checked before anything is sent, and its body is the page's."""

import json
from typing import Any, cast

import pytest

from mm_magic.errors import UsageError
from mm_magic.protocol.request import (
    Request,
    Thinking,
    check_fraction,
    check_max_tokens,
    check_model,
    check_thinking,
    max_tokens_warning,
    user_message,
)

HELLO: dict[str, object] = {"role": "user", "content": "Hello"}
ALL: dict[str, Any] = {
    "model": "MiniMax-M2.7",
    "messages": [HELLO],
    "system": "Be brief",
    "stream": True,
    "max_tokens": 2048,
    "temperature": 0.3,
    "top_p": 0.95,
}


def request(**parameters: Any) -> Request:
    given = {"model": "MiniMax-M2.7", "messages": [HELLO], **parameters}
    return Request(**given | {"messages": [encoded(each) for each in given["messages"]]})


def encoded(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def test_the_least_body_is_the_pages_example() -> None:
    """A body of defaults has the page's three required keys and `stream`, and nothing else."""
    assert request(stream=False).to_body() == {
        "model": "MiniMax-M2.7",
        "messages": [HELLO],
        "stream": False,
    }


def test_every_parameter_reaches_the_body_under_its_own_name() -> None:
    """All parameters are sent as they were given."""
    assert request(**ALL, thinking="adaptive").to_body() == {
        **ALL,
        "thinking": {"type": "adaptive"},
    }


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"model", "messages", "stream"}))
def test_a_parameter_that_is_none_is_left_out(name: str) -> None:
    """None leaves the server's own default to act, and touches no other parameter."""
    body = request(**{**ALL, name: None}).to_body()
    assert ALL.keys() - {name} == body.keys()


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [("auto", None), ("adaptive", {"type": "adaptive"}), ("disabled", {"type": "disabled"})],
)
def test_thinking_is_sent_only_when_asked_for(thinking: Thinking, sent: object) -> None:
    """`auto` sends nothing, the other two words send their object."""
    assert sent == request(thinking=thinking).to_body().get("thinking")


def test_an_empty_system_prompt_is_left_out() -> None:
    """The service gets no empty `system`."""
    assert "system" not in request(system="").to_body()


@pytest.mark.parametrize(
    "model",
    [
        "MiniMax-M2.7",
        "MiniMax-M2.7-highspeed",
        "MiniMax-M2.5",
        "MiniMax-M2.1",
        "hf.co/other/model:Q4_K_M",
    ],
)
def test_any_name_is_a_model(model: str) -> None:
    """The page's four models pass, and so does a name that nobody knows."""
    assert model == request(model=model).to_body()["model"]


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize("value", [1, 1.0, 0.95, 0.01, 5e-324])
def test_fractions_within_the_range_are_sent(name: str, value: float) -> None:
    """temperature and top_p reach the body unchanged where they are in (0, 1]."""
    assert value == request(**{name: value}).to_body()[name]


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize(
    "value",
    [0, 0.0, -0.0, -0.1, 1.0001, 2.0, float("nan"), float("inf"), 10**400, True, "0.5", None, [1]],
)
def test_fractions_outside_the_range_are_refused(name: str, value: Any) -> None:
    """The message names the parameter, the range and the value that came."""
    with pytest.raises(UsageError) as raised:
        check_fraction(name, value)
    assert f"{name} must be in (0, 1], got {value!r}" == str(raised.value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0])
def test_zero_comes_with_the_value_to_write(value: float) -> None:
    """Who wants the least random answer learns what to write in place of 0."""
    with pytest.raises(UsageError) as raised:
        request(temperature=value)
    assert raised.value.next_steps == ("The smallest useful value is 0.01.",)


@pytest.mark.parametrize("value", [1, 2048, 2049, 524_288])
def test_max_tokens_from_one_up_is_sent(value: int) -> None:
    """A limit above the page's maximum is sent all the same."""
    assert value == request(max_tokens=value).to_body()["max_tokens"]


@pytest.mark.parametrize("value", [0, -1, 1.0, 10.5, True, "5", float("nan")])
def test_max_tokens_below_one_is_refused(value: Any) -> None:
    """Zero, a fraction, text and true are no number of tokens."""
    with pytest.raises(UsageError) as raised:
        check_max_tokens(value)
    assert f"max_tokens must be a whole number of 1 or more, got {value!r}" == str(raised.value)


def test_max_tokens_above_the_pages_maximum_is_warned_of() -> None:
    """The warning names the value and the maximum; up to 2048 there is none."""
    warning = max_tokens_warning(2049)
    assert warning is not None
    assert "2049" in warning
    assert "2048" in warning
    assert [max_tokens_warning(value) for value in (None, 1, 2048)] == [None, None, None]


@pytest.mark.parametrize("model", ["", "  ", None, 5])
def test_a_model_without_a_name_is_refused(model: Any) -> None:
    """The message shows what came in place of a name."""
    with pytest.raises(UsageError, match="model must be a name, got"):
        check_model(model)


@pytest.mark.parametrize("value", ["enabled", "", None, "Auto"])
def test_thinking_is_one_of_three_words(value: Any) -> None:
    """`enabled`, which gateways refuse, is refused here; the message lists the words."""
    with pytest.raises(UsageError) as raised:
        check_thinking(value)
    assert f"thinking must be auto, adaptive or disabled, got {value!r}" == str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"temperature": 2.0},
        {"top_p": 0.0},
        {"max_tokens": 0},
        {"thinking": "enabled"},
        {"messages": []},
    ],
)
def test_a_wrong_request_is_never_made(wrong: dict[str, Any]) -> None:
    """A request with one wrong parameter raises at once, of the user's kind of error."""
    with pytest.raises(UsageError) as raised:
        request(**wrong)
    assert (raised.value.kind, raised.value.retryable) == ("usage", False)


@pytest.mark.parametrize("prompt", ["", " ", "\n\t\u3000"])
def test_a_prompt_of_white_space_is_refused(prompt: str) -> None:
    """The service would refuse it with a 400; here nothing is sent."""
    with pytest.raises(UsageError, match="the prompt is empty"):
        user_message(prompt)


def test_a_prompt_is_sent_as_it_is() -> None:
    """Spaces, braces, quotes and line ends of a prompt reach the body untouched."""
    prompt = '  {"a": $x}\r\n%%minimax \\ ?\t\x00\u2028😀\n'
    assert {"role": "user", "content": prompt} == json.loads(user_message(prompt))
    sent = request(messages=[user_message(prompt)]).encode()
    assert prompt == cast("Any", json.loads(sent))["messages"][0]["content"]


def test_the_body_is_json_in_utf8() -> None:
    """Text is sent as UTF-8 and not as escapes, and the bytes are the body's JSON."""
    made = request(messages=[user_message("Zürich 😀")], system="简短")
    assert made.to_body() == json.loads(made.encode())
    assert "Zürich 😀".encode() in made.encode()


def test_lone_surrogates_can_be_sent() -> None:
    """Halves of a character in a prompt are joined, or sent as U+FFFD."""
    sent = request(messages=[user_message("\ud83d\ude00 \ud800")]).encode()
    assert json.loads(sent)["messages"][0]["content"] == "😀 \ufffd"
