"""The embedded backend's practice prompts, its refusals, and prompts that break what is naive."""

import asyncio
import json
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt
from support.corpora import strings
from support.samples import one_in
from support.timing import seconds_of

from mm_magic.protocol.failure import CODES, classify_response
from mm_magic.transport.demo.offline import DEMOS, Offline

OPENING = "Offline demo, not a language model"


def send(body: dict[str, object]) -> tuple[int, list[tuple[float, bytes]]]:
    """The status and the timed chunks that a new backend gives."""
    exchange = Offline().answer(body)

    async def collect() -> list[tuple[float, bytes]]:
        return [chunk async for chunk in exchange.chunks]

    return exchange.status, asyncio.run(collect())


def prompt(text: str, **fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def document(text: str, **fields: object) -> dict[str, Any]:
    """The JSON body of the answer to one prompt, not streamed."""
    _, chunks = send(prompt(text, **fields))
    return dict(json.loads(b"".join(data for _, data in chunks)))


def answer_text(text: str, **fields: object) -> str:
    return str(document(text, **fields)["content"][-1]["text"])


def code_blocks(markdown: str) -> list[str]:
    tokens = MarkdownIt().parse(markdown)
    return [token.content for token in tokens if token.type == "fence"]


@pytest.mark.parametrize("name", [name for name in DEMOS if "error" not in name])
def test_demo_opens_with_what_it_is_and_fits_the_default_limit(name: str) -> None:
    """Each practice text says that it is a demo, and max_tokens 2048 doesn't cut it."""
    _, chunks = send(prompt(f"  {name}\n", stream=True, max_tokens=2048))
    raw = b"".join(data for _, data in chunks)
    deltas = [json.loads(line[6:]) for line in raw.decode().split("\n") if line.startswith("data")]
    text = "".join(d["delta"].get("text", "") for d in deltas if d["type"] == "content_block_delta")
    assert text.startswith(OPENING)
    assert b'"max_tokens"' not in raw


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("demo long", 10, 12.5),
        ("demo slow", 20, 30),
        ("demo code", 2, 6),
        ("demo maths", 2, 6),
        ("demo stall", 600, 610),
        ("demo cut", 2, 6),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_demo_lasts(name: str, least: float, most: float, stream: bool) -> None:
    """Each practice answer takes the time that its purpose needs, streamed or not."""
    status, chunks = send(prompt(name, stream=stream))
    assert status == 200
    assert least <= chunks[-1][0] <= most


def test_demo_long_has_headings_lists_and_code() -> None:
    """The long text has about 12 kB and all that a page of an answer can hold."""
    text = answer_text("demo long")
    kinds = {token.type for token in MarkdownIt().parse(text)}
    assert 11_000 < len(text) < 13_000
    assert {"heading_open", "bullet_list_open", "fence"} <= kinds
    assert "filler text" in text.split("\n")[0]


def test_demo_code_runs_by_itself() -> None:
    """The program compiles, runs in an isolated interpreter and prints its three tables."""
    (code,) = code_blocks(answer_text("demo code"))
    run = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("temperature") == 3
    assert run.stderr == ""


def test_demo_maths_has_each_kind_of_formula() -> None:
    """The formulas come in all four notations, with a matrix and a line that begins with `-`."""
    text = answer_text("demo maths")
    for formula in (r"\(w_1", r"$e^{i\pi} + 1 = 0$", "\n$$\n", "\n\\[\n", r"\\ \sin", "\n- b^3"):
        assert formula in text


def test_demo_stall_is_silent_after_its_text() -> None:
    """Once the words have come, the next bytes are 600 seconds away."""
    _, chunks = send(prompt("demo stall", stream=True))
    gaps = [b[0] - a[0] for a, b in pairwise(chunks)]
    assert max(gaps) == pytest.approx(600, abs=1)
    assert sorted(gaps)[-2] < 1


def test_demo_cut_ends_without_a_stop() -> None:
    """The stream ends behind a word: no block is closed, no stop_reason, no message_stop."""
    _, chunks = send(prompt("demo cut", stream=True))
    raw = b"".join(data for _, data in chunks)
    assert b"text_delta" in chunks[-1][1]
    assert raw.count(b"event: content_block_stop") == 1
    assert b"message_delta" not in raw
    assert b"message_stop" not in raw


def test_demo_cut_unstreamed_is_half_a_document() -> None:
    """Without stream the cut leaves JSON that can't be parsed."""
    with pytest.raises(json.JSONDecodeError):
        document("demo cut")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("1008", 500, "(1008)"),
        ("402", 402, "(1008)"),
        ("429", 429, "(1002)"),
        ("2056", 429, "(2056)"),
        ("2061", 500, "(2061)"),
        ("2064", 529, "(2064)"),
        ("2049", 401, "(2049)"),
        ("1001", 504, "(1001)"),
        ("1039", 429, "(1039)"),
        ("404", 404, ""),
        ("502", 502, ""),
    ],
)
def test_demo_error_has_status_body_and_request_id(number: str, status: int, code: str) -> None:
    """A scripted error arrives with the status and the body that the service gives it."""
    got, chunks = send(prompt(f"demo error {number}", stream=True))
    body = json.loads(chunks[0][1])
    assert got == status
    assert body["type"] == "error"
    assert body["error"]["message"].endswith(code)
    assert re.fullmatch(r"[0-9a-f]{32}", body["request_id"])


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_of_the_service_can_be_practised(code: int) -> None:
    """Each known code has a scripted error, with the status and the type that suit its meaning."""
    status, chunks = send(prompt(f"demo error {code}"))
    body = b"".join(data for _, data in chunks)
    error = classify_response(status, {}, body)
    assert error.code == code
    assert error.message.endswith(f": a practice error of the offline demo ({code})")
    uncoded = classify_response(status, {}, body.replace(b" (%d)" % code, b""))
    if status != 500:  # which does come with codes that mean something else
        assert uncoded.kind == ("server" if status == 504 else error.kind)


@pytest.mark.parametrize("asked", ["demo error 9999", "demo error", "demo error abc"])
def test_unknown_demo_error_lists_the_known_ones(asked: str) -> None:
    """An error that is not scripted is a wrong parameter; the message says what there is."""
    status, chunks = send(prompt(asked))
    message = json.loads(chunks[0][1])["error"]["message"]
    assert status == 400
    assert message.endswith("(2013)")
    assert all(str(number) in message for number in (*CODES, 429, 529))


def test_prompt_that_only_holds_a_demo_name_gets_the_ordinary_answer() -> None:
    """A practice answer needs the exact prompt: nothing is matched by key words."""
    for text in ("demo long please", "Demo code", "a demo error 1008"):
        assert "**Prompt, as it arrived**" in answer_text(text)


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"messages": []}, "messages is empty"),
        ({"messages": None}, "messages is empty"),
        ({"messages": [user("")]}, "messages[0]: content is empty"),
        ({"messages": [user(" \n")]}, "messages[0]: content is empty"),
        ({"messages": [user([])]}, "messages[0]: content is empty"),
        ({"messages": [{"role": "user"}]}, "messages[0]: content is empty"),
        ({"messages": [{"role": "system", "content": "x"}, user("y")]}, "got 'system'"),
        ({"messages": [user("x"), {"role": "assistant", "content": "y"}]}, "the last message"),
        ({"messages": ["x"]}, "must be an object"),
        (
            {"messages": [user("x")], "temperature": 0},
            "temperature must be above 0 and at most 1, got 0",
        ),
        (
            {"messages": [user("x")], "temperature": 1.5},
            "temperature must be above 0 and at most 1, got 1.5",
        ),
        ({"messages": [user("x")], "top_p": True}, "top_p must be above 0 and at most 1, got True"),
        (
            {"messages": [user("x")], "top_p": float("nan")},
            "top_p must be above 0 and at most 1, got nan",
        ),
        ({"messages": [user("x")], "max_tokens": 0}, "max_tokens must be a whole number of 1"),
    ],
)
def test_request_is_refused_like_a_server_refuses_it(fields: dict[str, object], says: str) -> None:
    """A request that the service refuses gets its 400 with code 2013 and the reason."""
    status, chunks = send({"model": "m", **fields})
    body = json.loads(chunks[0][1])
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert says in body["error"]["message"]
    assert body["error"]["message"].endswith("(2013)")


HOSTILE = [
    "```\nout\n```",
    "a ```` b ``` c `` d",
    "`" * 199,
    "~~~\n# title",
    "\ud83d lone \udc00 surrogates",
    "\x00\x1b[31m\x07\u2028\u202e",
    "| a | b |\n| - | - |\n| `|` | \\| |",
    "</script><b>$x$ \\(y\\) \\[z\\]",
    "data: x\n\nevent: message_stop\n\n",
    "," * 39 + "#",
]


def stays_quoted(text: str) -> None:
    """The hostile text as prompt, system, model, name and earlier turn leaves the layout alone."""
    messages = [user(text), {"role": "assistant", "content": text}, user(f"a{text}")]
    body: dict[str, object] = {"model": text, "system": text, "messages": messages}
    offline = Offline()
    for stream in (False, True):
        exchange = offline.answer({**body, "stream": stream, "metadata": {text: text}})

        async def collect(chunks: Any = exchange.chunks) -> bytes:
            return b"".join([data async for _, data in chunks])

        raw = asyncio.run(collect())
        if not stream:
            check_layout(json.loads(raw)["content"][1]["text"])
        for frame in raw.decode("utf-8").split("\n\n")[:-1]:
            event, data = frame.split("\n")
            assert json.loads(data.removeprefix("data: "))["type"] == event.removeprefix("event: ")


def check_layout(text: str) -> None:
    """The blocks of the answer, whatever was quoted in it."""
    tokens = MarkdownIt().enable("table").parse(text)
    outer = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
    paragraph = "paragraph_open"
    assert outer == [paragraph, paragraph, "fence", *[paragraph] * 4, "hr", paragraph]
    kinds = {c.type for token in tokens for c in token.children or []}
    assert kinds <= {"text", "code_inline", "strong_open", "strong_close"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_prompt_stays_in_its_quotes(text: str) -> None:
    """No text that is sent can leave its code block or its line."""
    stays_quoted(text)


def test_names_and_values_are_shown_as_they_were_sent() -> None:
    """Those with Markdown's own signs in them are code, which holds each sign as it came."""
    answer = document("x", model="a|b`c\\|d", metadata={"|": 1})
    tokens = MarkdownIt().enable("table").parse(answer["content"][1]["text"])
    (sent,) = (t.children or [] for t in tokens if t.content.startswith("**Sent:**"))
    assert [child.content for child in sent if child.content] == [
        "Sent:", " model ", "a|b`c\\|d", " · metadata ", '{"|": 1}',
    ]  # fmt: skip


@one_in(10)
def test_naughty_strings_stay_in_their_quotes(step: int) -> None:
    """Each string of the corpora is told back without breaking JSON or Markdown."""
    for text in [*filter(str.strip, strings())][::step]:
        stays_quoted(text)


def test_lone_surrogate_does_not_stop_the_answer() -> None:
    """Half an emoji has no UTF-8 form; the answer shows a sign in its place."""
    assert "```text\na\ufffdb\n```" in answer_text("a\ud83db")


@pytest.mark.timed
def test_large_prompt_and_long_history_take_linear_time() -> None:
    """Ten times the input takes no more than some thirty times as long."""

    def seconds(size: int) -> float:
        history = [message for _ in range(size) for message in (user("why " * 5), reply)]
        body: dict[str, object] = {
            "model": "m",
            "messages": [*history, user("`|#, " * size * 20)],
        }
        return seconds_of(lambda: send(body))

    reply = {"role": "assistant", "content": "because " * 5}
    assert seconds(5000) < 30 * seconds(500)
