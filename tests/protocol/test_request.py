"""The request: its parameters are checked before anything is sent, and its body is the page's."""

import json
from typing import Any, cast

import pytest

from mm_magic.errors import UsageError
from mm_magic.protocol.request import (
    Request,
    check_count,
    check_fraction,
    check_model,
    check_thinking,
    encode_message,
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


def request(*messages: bytes, **parameters: Any) -> Request:
    sent = messages or (json.dumps(HELLO).encode(),)
    return Request(sent, {"model": "MiniMax-M2.7", **parameters})


def test_the_least_body_is_the_pages_example() -> None:
    """A body of defaults has the page's three required keys and `stream`, and nothing else."""
    assert request(stream=False).to_body() == {
        "model": "MiniMax-M2.7",
        "messages": [HELLO],
        "stream": False,
    }


def test_parameters_are_sent_under_their_own_names() -> None:
    """All parameters reach the body as they are, with the model first and the messages next."""
    parameters = {name: value for name, value in ALL.items() if name != "messages"}
    made = request(**parameters)
    assert made.to_body() == ALL
    assert made.encode().startswith(b'{"model":"MiniMax-M2.7","messages":[')
    assert json.loads(made.encode()) == ALL


def test_a_request_may_have_no_parameter_but_the_model() -> None:
    """A body of model and messages alone is whole JSON."""
    assert json.loads(request().encode()) == {"model": "MiniMax-M2.7", "messages": [HELLO]}


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
    check_model(model)


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize("value", [1, 1.0, 0.95, 0.01, 5e-324])
def test_fractions_within_the_range_pass(name: str, value: float) -> None:
    """temperature and top_p are let through where they are in (0, 1]."""
    check_fraction(name, value)


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize(
    "value",
    [0, 0.0, -0.0, -0.1, 1.0001, 2.0, float("nan"), float("inf"), 10**400, True, "0.5", None, [1]],
)
def test_fractions_outside_the_range_are_refused(name: str, value: Any) -> None:
    """The message names the parameter, the range and the value that came."""
    with pytest.raises(UsageError) as raised:
        check_fraction(name, value)
    assert f"{name} must be above 0 and at most 1, got {value!r}" == str(raised.value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0])
def test_zero_comes_with_the_value_to_write(value: float) -> None:
    """Who wants the least random answer learns what to write in place of 0."""
    with pytest.raises(UsageError) as raised:
        check_fraction("temperature", value)
    assert raised.value.next_steps == ("The smallest useful value is 0.01.",)


@pytest.mark.parametrize("value", [1, 2048, 2049, 524_288])
def test_max_tokens_from_one_up_passes(value: int) -> None:
    """A limit above the page's maximum is let through all the same."""
    check_count("max_tokens", value)


@pytest.mark.parametrize("value", [0, -1, 1.0, 10.5, True, "5", float("nan")])
def test_max_tokens_below_one_is_refused(value: Any) -> None:
    """Zero, a fraction, text and true are no number of tokens."""
    with pytest.raises(UsageError) as raised:
        check_count("max_tokens", value)
    assert f"max_tokens must be a whole number of 1 or more, got {value!r}" == str(raised.value)


def test_a_count_may_begin_at_zero() -> None:
    """No retry at all is a number of retries, fewer than none is not."""
    check_count("retries", 0, least=0)
    with pytest.raises(UsageError, match="retries must be a whole number of 0 or more, got -1"):
        check_count("retries", -1, least=0)


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


def test_a_prompt_is_sent_as_it_is() -> None:
    """Spaces, braces, quotes and line ends of a prompt reach the body untouched."""
    prompt = '  {"a": $x}\r\n%%minimax \\ ?\t\x00\u2028😀\n'
    assert {"role": "user", "content": prompt} == json.loads(encode_message("user", prompt))
    sent = request(encode_message("user", prompt)).encode()
    assert prompt == cast("Any", json.loads(sent))["messages"][0]["content"]


def test_the_body_is_json_in_utf8() -> None:
    """Text is sent as UTF-8 and not as escapes, and the bytes are the body's JSON."""
    made = request(encode_message("user", "Zürich 😀"), system="简短")
    assert made.to_body() == json.loads(made.encode())
    assert "Zürich 😀".encode() in made.encode()


def test_lone_surrogates_can_be_sent() -> None:
    """Halves of a character in a prompt are joined, or sent as U+FFFD."""
    sent = request(encode_message("user", "\ud83d\ude00 \ud800")).encode()
    assert json.loads(sent)["messages"][0]["content"] == "😀 \ufffd"
