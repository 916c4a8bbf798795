"""The embedded backend, asked as a client asks it: JSON in, status and timed bytes out."""

import asyncio
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.shells import fresh_shell

from mm_magic.transport.demo.offline import DEMOS, Offline
from mm_magic.transport.exchange import Exchange

OPENING = "Offline demo, not a language model"
FIRST = "nothing to compare; this is the first one."
SCORES = {
    "oak": 3.0,
    "elm": 2.2,
    "ash": 1.6,
    "fir": 1.1,
    "pine": 0.6,
    "lime": 0.1,
    "birch": -0.6,
    "maple": -1.4,
}


@dataclass(frozen=True)
class Answer:
    """What a client makes of an exchange."""

    status: int
    kind: str
    times: list[float]
    raw: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        frames = self.raw.decode("utf-8").split("\n\n")
        assert frames.pop() == ""
        pairs = [frame.split("\n") for frame in frames]
        events = [json.loads(data.removeprefix("data: ")) for _, data in pairs]
        assert [name for name, _ in pairs] == [f"event: {event['type']}" for event in events]
        return events

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    @property
    def text(self) -> str:
        return self._joined("text", "text_delta")

    @property
    def thinking(self) -> str:
        return self._joined("thinking", "thinking_delta")

    def _joined(self, field: str, delta: str) -> str:
        if self.kind == "application/json":
            return "".join(b.get(field, "") for b in self.json["content"] if b["type"] == field)
        deltas = [e["delta"] for e in self.events if e["type"] == "content_block_delta"]
        return "".join(d[field] for d in deltas if d["type"] == delta)


def read(exchange: Exchange) -> Answer:
    async def collect() -> list[tuple[float, bytes]]:
        return [chunk async for chunk in exchange.chunks]

    chunks = asyncio.run(collect())
    raw = b"".join(data for _, data in chunks)
    return Answer(
        exchange.status, exchange.headers["content-type"], [seconds for seconds, _ in chunks], raw
    )


def body(prompt: object, *earlier: str, **fields: object) -> dict[str, object]:
    """A request; `earlier` holds prompts and answers in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(earlier)]
    messages.append({"role": "user", "content": prompt})  # type: ignore[dict-item]
    base = {"model": "MiniMax-M2.7", "max_tokens": 2048, "temperature": 1.0, "top_p": 0.95}
    return base | {"messages": messages} | fields


def ask(offline: Offline, prompt: object, *earlier: str, **fields: object) -> Answer:
    return read(offline.answer(body(prompt, *earlier, **fields)))


def whats_new(answer: Answer) -> list[str]:
    """The lines of the section on what changed."""
    section = answer.text.split("**Changed since the previous request to the demo:**")[1]
    lines = section.split("**Sent:**")[0].strip().split("\n")
    return [line.removeprefix("- ") for line in lines]


def sampling_rows(answer: Answer) -> dict[str, list[str]]:
    """The cells of the table of eight words, by word."""
    rows = [line.strip("| ").split(" | ") for line in answer.text.split("\n") if " % |" in line]
    return {row[0]: row[1:] for row in rows}


def draws(answer: Answer) -> list[str]:
    _, told = answer.text.split("**20 draws:** ")
    return told.split("\n")[0].split()


def test_stream_has_the_shape_of_a_captured_one() -> None:
    """A streamed answer has the service's events in the service's order."""
    answer = ask(Offline(), "Why is the sky blue?", stream=True)
    assert (answer.status, answer.kind) == (200, "text/event-stream")
    events = answer.events
    kinds = [event["type"] for event in events]
    no_deltas = [kind for kind in kinds if kind != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert no_deltas == ["message_start", "ping", *block, *block, "message_delta", "message_stop"]
    start = events[0]["message"]
    assert re.fullmatch(r"[0-9a-f]{32}", start["id"])
    assert start["model"] == "offline-demo"
    assert start["content"] == []
    assert events[2]["content_block"] == {"type": "thinking", "thinking": ""}
    signature = events[kinds.index("content_block_stop") - 1]
    assert signature["index"] == 0
    assert signature["delta"]["type"] == "signature_delta"
    assert re.fullmatch(r"[0-9a-f]{64}", signature["delta"]["signature"])
    assert events[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {
            "input_tokens": 5,
            "output_tokens": len(answer.thinking.split()) + len(answer.text.split()),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def test_unstreamed_answer_is_one_document() -> None:
    """Without stream the same words come as one JSON body, when the stream would have ended."""
    streamed = ask(Offline(), "Hello", stream=True)
    document = ask(Offline(), "Hello", stream=False)
    assert document.kind == "application/json"
    assert document.times == [pytest.approx(streamed.times[-1], abs=0.2)]
    message = document.json
    assert message["base_resp"] == {"status_code": 0, "status_msg": "success"}
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert message["stop_reason"] == "end_turn"
    # The parameter `stream` itself is told in the text; nothing else differs.
    assert document.text.replace("stream false", "stream true") == streamed.text
    assert message["usage"] == streamed.events[-2]["usage"]


SCRIPT = """
import asyncio, hashlib, json, sys
from mm_magic.transport.demo.offline import Offline
async def main():
    offline, digest = Offline(), hashlib.sha256()
    for body in json.load(sys.stdin):
        async for seconds, data in offline.answer(body).chunks:
            digest.update(repr(seconds).encode() + data)
    print(digest.hexdigest())
asyncio.run(main())
"""


def test_same_requests_give_same_bytes_and_times() -> None:
    """Another process with another hash seed gives the same bytes at the same times."""
    requests = [
        body("Why?", stream=True, thinking={"type": "adaptive"}, metadata={"a": 1, "b": 2}),
        body("And?", "Why?", "So.", stream=True, temperature=0.3, top_p=0.5),
        *(body(name, stream=bool(place % 2)) for place, name in enumerate(DEMOS)),
    ]

    def digest(seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input=json.dumps(requests),
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert digest("1") == digest("2")


def test_ordinary_answer_keeps_a_pleasant_pace() -> None:
    """Thinking begins at 0.3 s and lasts 1 to 1.5 s; all is done in 3 to 5 s, words one by one."""
    history = [f"Prompt number {n}, `code`" for n in range(60)]
    for earlier in ([], history):
        answer = ask(Offline(), "x " * 5000, *earlier, stream=True, system="Be brief. " * 30)
        moments = dict(zip((e["type"] for e in answer.events), answer.times, strict=True))
        assert answer.times == sorted(answer.times)
        assert answer.times[2] == 0.3
        stop = [event["type"] for event in answer.events].index("content_block_stop")
        assert 1.0 <= answer.times[stop] - 0.3 <= 1.5
        assert 3.0 <= moments["message_stop"] <= 5.0
        assert max(b - a for a, b in pairwise(answer.times)) <= 0.2


def test_answer_opens_with_what_it_is_and_tells_the_way_out_once() -> None:
    """Each answer opens with the demo sentence; the way to a real one is in the first alone."""
    offline = Offline()
    first, second = ask(offline, "One"), ask(offline, "Two")
    assert first.text.startswith(OPENING)
    assert second.text.startswith(OPENING)
    assert "`%minimax key`" in first.text
    assert "MINIMAX_API_KEY" in first.text
    assert "%minimax key" not in second.text
    assert "%minimax key" in ask(Offline(), "Two").text


def test_way_out_waits_for_an_answer_that_is_not_cut() -> None:
    """An answer cut by max_tokens has not told the way out, so the next one does."""
    offline = Offline()
    assert "%minimax key" not in ask(offline, "One", max_tokens=200).text
    assert "%minimax key" in ask(offline, "Two").text


def test_prompt_earlier_turns_system_and_parameters_are_told() -> None:
    """The answer shows all parts of the request that a class wants to see."""
    answer = ask(
        Offline(),
        "And at sunset?",
        "Why is the sky blue, and the sea as well?",
        "Because.",
        system="Be brief.",
        temperature=0.3,
    )
    assert "```text\nAnd at sunset?\n```" in answer.text
    assert "**Earlier prompts** (1 turn sent along): Why is the sky blue, and …\n" in answer.text
    assert "**System prompt** (2 words): `Be brief.`" in answer.text
    sent = "model MiniMax-M2.7 · max_tokens 2048 · temperature 0.3 · top_p 0.95"
    assert f"**Sent:** {sent}\n" in answer.text
    assert answer.thinking.startswith("Step 1: read the request: 3 messages, 16 words")


def test_what_was_not_sent_is_not_told() -> None:
    """An ordinary answer is short: a prompt alone has no line about what it could have had."""
    answer = ask(Offline(), "x", temperature=None, top_p=None)
    told = [line.split(":")[0].strip("*") for line in answer.text.split("\n\n")]
    first = [OPENING, "Prompt, as it arrived** (1 word)", "```text\nx\n```"]
    assert told[:-2] == [*first, "Changed since the previous request to the demo", "Sent"]
    assert len(answer.thinking.split("\n\n")) == 3


def test_of_a_long_conversation_the_last_prompts_are_told() -> None:
    """With 12 turns sent along, the last ten are named."""
    answer = ask(Offline(), "x", *(f"{part} {n}" for n in range(12) for part in ("ask", "say")))
    shown = " · ".join(f"ask {n}" for n in range(2, 12))
    assert f"**Earlier prompts** (12 turns sent along, the last 10 shown): {shown}\n" in answer.text


def test_content_may_be_blocks() -> None:
    """A list of text blocks is read like a string."""
    blocks = [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]
    assert "```text\nOne\n\nTwo\n```" in ask(Offline(), blocks).text


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (body("a"), body("a"), ["nothing: the same request again."]),
        (body("a"), body("b"), ["prompt: changed; it was `a`"]),
        (body("c", "a", "b"), body("c", "a", "b", "c", "d"), ["earlier turns: 1 added"]),
        (body("c", "a", "b", "q", "r"), body("c"), ["earlier turns: 2 removed"]),
        (body("c", "a", "b", "q", "r"), body("c", "q", "r"), ["earlier turns: 1 removed"]),
        (
            body("c", "a", "b", "q", "r"),
            body("x", "q", "r", "c", "d"),
            ["prompt: changed; it was `c`", "earlier turns: 1 removed, 1 added"],
        ),
        (
            body("c", "a", "b"),
            body("x", "c", "d"),
            ["prompt: changed; it was `c`", "earlier turns: 1 removed, 1 added"],
        ),
        (
            body("x", "a", "b", "c", "d", "e", "f"),
            body("x", "c", "d", "e", "new"),
            ["earlier turns: turn 2 with a different answer, 1 removed"],
        ),
        (
            body("x", "go on", "1", "go on", "2", "go on", "3"),
            body("x", "go on", "2", "go on", "3", "c", "d"),
            ["earlier turns: 1 removed, 1 added"],
        ),
        (
            body("x", "a", "b", "c", "d"),
            body("x", "a", "new", "c", "d"),
            ["earlier turns: turn 1 with a different answer"],
        ),
        (
            body("x", "a", "b"),
            body("x", "A", "B", "c", "d"),
            ["earlier turns: 1 removed, 2 added"],
        ),
        (body("a"), body("a", temperature=0.3), ["temperature: 1 → 0.3"]),
        (body("a", top_p=None), body("a"), ["top_p: 0.95 (default) → 0.95, now sent"]),
        (body("a"), body("a", top_p=None), ["top_p: 0.95 → 0.95 (default), no longer sent"]),
        (body("a", top_p=None), body("a", top_p=0.9), ["top_p: 0.95 (default) → 0.9"]),
        (body("a", stream=True), body("a"), ["stream: true → not sent"]),
        (body("a"), body("a", system="s"), ["system prompt: added"]),
        (body("a", system="t"), body("a", system="s"), ["system prompt: changed"]),
        (body("a", system="t"), body("a"), ["system prompt: removed"]),
        (
            body("a"),
            body("b", model="MiniMax-M2.5", max_tokens=1000),
            [
                "prompt: changed; it was `a`",
                "model: MiniMax-M2.7 → MiniMax-M2.5",
                "max_tokens: 2048 → 1000",
            ],
        ),
    ],
)
def test_what_changed(
    before: Mapping[str, object], now: Mapping[str, object], expected: list[str]
) -> None:
    """The answer names each difference from the previous request, and nothing else."""
    offline = Offline()
    first = read(offline.answer({**before, "stream": False}))
    assert whats_new(first) == [FIRST]
    offline = Offline()
    read(offline.answer(before))
    assert whats_new(read(offline.answer(now))) == expected


def thought(text: str, thinking: str) -> list[dict[str, str]]:
    """An answer that is sent back with its thinking."""
    return [
        {"type": "thinking", "thinking": thinking, "signature": "s"},
        {"type": "text", "text": text},
    ]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (
            thought("b", "hm"),
            "b",
            "turns 1 and 2 sent without thinking (thinking goes only to the model that produced "
            "it, with the same system prompt)",
        ),
        ("b", thought("b", "hm"), "turns 1 and 2 sent with thinking again"),
        (thought("b", "hm"), thought("b", "aha"), "turns 1 and 2 with different thinking"),
        (thought("b", "hm"), thought("B", ""), "turns 1 and 2 with a different answer"),
    ],
)
def test_turns_without_their_thinking_are_not_called_edited(
    before: Any, now: Any, expected: str
) -> None:
    """What another model is not sent is told as such, in one phrase for all its turns."""
    offline = Offline()
    read(offline.answer(body("x", "a", before, "c", before)))

    changed = whats_new(read(offline.answer(body("x", "a", now, "c", now))))

    assert changed == [f"earlier turns: {expected}"]


def test_another_model_is_told_with_what_it_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that asks another model names the model, and the turns that lost their thinking."""
    for name in ("MINIMAX_API_KEY", "MINIMAX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with fresh_shell() as shell:
        shell.run("%%minimax\nWhy?")
        text = shell.run("%%minimax -m MiniMax-M2.5\nAnd at night?").text
    capsys.readouterr()

    assert "- earlier turns: turn 1 sent without thinking (it goes only" not in text
    assert "- earlier turns: 1 added\n" in text
    assert "- model: MiniMax-M2.7 → MiniMax-M2.5\n" in text


def test_refused_request_is_not_the_request_before() -> None:
    """A request that was refused leaves no trace in the next comparison."""
    offline = Offline()
    assert ask(offline, "").status == 400
    assert whats_new(ask(offline, "a")) == [FIRST]


@pytest.mark.parametrize(
    ("sent", "is_shown"),
    [
        ({"temperature": None, "top_p": None}, False),
        ({"temperature": 1.0, "top_p": None}, True),
        ({"temperature": None, "top_p": 0.95}, True),
    ],
)
def test_chances_are_shown_where_temperature_or_top_p_was_sent(
    sent: dict[str, object], is_shown: bool
) -> None:
    """One rule for the table and the thinking about it, alone and beside others."""
    alone, one = ask(Offline(), "x", **sent), beside(Offline(), 1, "x", **sent)
    assert ("| oak |" in alone.text) == ("| oak |" in one.text) == is_shown
    assert ("20 draws" in alone.text) == ("draw 20 words" in alone.thinking) == is_shown
    assert "20 draws" in one.text  # by which one of several is told from another


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (1.0, 0.95), (0.3, 0.9), (0.7, 0.5)]
)
def test_table_is_softmax_and_nucleus(temperature: float, top_p: float) -> None:
    """The printed probabilities are those of a second computation, before and after top_p."""
    rows = sampling_rows(ask(Offline(), "x", temperature=temperature, top_p=top_p))
    weights = {word: math.exp(score / temperature) for word, score in SCORES.items()}
    shares = {word: weight / sum(weights.values()) for word, weight in weights.items()}
    ahead = {word: sum(s for s in shares.values() if s > shares[word]) for word in shares}
    kept = {word: share for word, share in shares.items() if ahead[word] < top_p}
    flat = {word: math.exp(score) for word, score in SCORES.items()}
    for word, (score, at_one, at_temperature, after, _drawn) in rows.items():
        assert float(score) == SCORES[word]
        assert at_one == f"{100 * flat[word] / sum(flat.values()):.1f} %"
        assert at_temperature == f"{100 * shares[word]:.1f} %"
        share = kept.get(word)
        assert after == ("cut" if share is None else f"{100 * share / sum(kept.values()):.1f} %")
    assert rows.keys() == SCORES.keys()
    assert sum(float(row[2].removesuffix(" %")) for row in rows.values()) == pytest.approx(
        100, abs=0.4
    )


def test_low_temperature_sharpens_and_top_p_cuts_the_draws() -> None:
    """The same random numbers fall on likelier words as temperature and top_p go down."""
    hot = ask(Offline(), "x", temperature=1.0, top_p=1.0)
    cold = ask(Offline(), "x", temperature=0.2, top_p=1.0)
    narrow = ask(Offline(), "x", temperature=1.0, top_p=0.6)
    order = list(SCORES)
    for calmer in (cold, narrow):
        pairs = list(zip(draws(hot), draws(calmer), strict=True))
        assert len(pairs) == 20
        assert all(order.index(new) <= order.index(old) for old, new in pairs)
        assert draws(calmer) != draws(hot)
    assert set(draws(narrow)) <= {"oak", "elm"}
    counts = {word: row[-1] for word, row in sampling_rows(hot).items()}
    assert counts == {word: str(draws(hot).count(word) or "·") for word in SCORES}


def test_seed_comes_from_the_prompt_and_the_number_of_earlier_turns() -> None:
    """Other prompts and longer histories draw other words; other answers in it don't."""
    first = draws(ask(Offline(), "x", "a", "b"))
    assert draws(ask(Offline(), "x", "a", "another answer")) == first
    assert draws(ask(Offline(), "y", "a", "b")) != first
    assert draws(ask(Offline(), "x")) != first


def test_smallest_temperature_is_worked_out() -> None:
    """The least positive number is a valid temperature: one word takes all."""
    rows = sampling_rows(ask(Offline(), "x", temperature=5e-324))
    assert [row[2] for row in rows.values()] == ["100.0 %"] + ["0.0 %"] * 7


@pytest.mark.parametrize("stream", [True, False])
def test_max_tokens_cuts_the_thinking_first(stream: bool) -> None:
    """Thinking and text together have max_tokens words; unfinished thinking is unsigned."""
    full = ask(Offline(), "x", stream=stream)
    steps = len(full.thinking.split())
    for limit in (1, steps - 1, steps, steps + 1, steps + 40):
        answer = ask(Offline(), "x", stream=stream, max_tokens=limit)
        words = answer.thinking.split() + answer.text.split()
        assert len(words) == limit
        assert (b"signature" in answer.raw) == (limit >= steps)
        last = answer.events[-2] if stream else answer.json
        assert last["usage"]["output_tokens"] == limit
        assert (last.get("delta") or last)["stop_reason"] == "max_tokens"
        assert bool(answer.text) == (limit > steps)


def test_disabled_thinking_leaves_one_block() -> None:
    """With thinking disabled the answer is a text block alone."""
    answer = ask(Offline(), "x", thinking={"type": "disabled"})
    assert [block["type"] for block in answer.json["content"]] == ["text"]


# Beside others


def beside(offline: Offline, number: int, prompt: str = "Name a tree.", **fields: object) -> Answer:
    return read(offline.beside_others(number).answer(body(prompt, **fields)))


def test_beside_others_the_answer_is_short() -> None:
    """One of several tells its chances and draws, and what was sent beside the prompt."""
    text = beside(Offline(), 1, temperature=0.5).text

    assert text.startswith(f"{OPENING}: it drew 20 words at temperature 0.5 and top_p 0.95.")
    assert "| oak |" in text
    assert "**20 draws:** " in text
    assert "System prompt" not in text
    assert "Changed since" not in text


def test_beside_others_the_system_prompt_comes_first() -> None:
    """Where it varies, that is what its reader looks for; one answer shows its own alone."""
    demo = Offline()
    brief, pirate = (beside(demo, n, system=said).text for n, said in ((1, "Be brief"), (2, "Arr")))

    second = f"{OPENING}: it can't follow the system prompt; it drew 20 words at temperature"
    assert brief.startswith(f"**System prompt** (2 words): `Be brief`\n\n{second}")
    assert pirate.startswith(f"**System prompt** (1 word): `Arr`\n\n{second}")
    assert "Arr" not in brief


def test_beside_others_it_names_what_was_sent() -> None:
    """It names the prompt and the earlier ones, so that a reader sees what another lacks."""
    roles = ("user", "assistant")
    earlier = [{"role": role, "content": f"{n}"} for n in range(102) for role in roles]
    alone = beside(Offline(), 1, "Name a `tree`.").text
    asked = {"role": "user", "content": "word " * 30}
    later = beside(Offline(), 1, messages=[*earlier, asked]).text

    assert "**Prompt** (3 words): ``Name a `tree`.``" in alone
    assert "Earlier prompts" not in alone
    shown = " · ".join(f"`{n}`" for n in range(2, 102))
    assert f"**Earlier prompts** (102 turns sent along, the last 100 shown): {shown}\n" in later
    assert f"**Prompt** (30 words): `{'word ' * 20}…`" in later


def test_beside_others_each_number_has_its_draws() -> None:
    """The number is in the seed, and the first draws as it would alone."""
    texts = [beside(Offline(), number).text for number in (1, 2, 3)]
    drawn = [text.split("draws:** ")[1].split("\n")[0].split() for text in texts]

    assert drawn[0] == draws(ask(Offline(), "Name a tree."))
    assert drawn[0] != drawn[1] != drawn[2]


def test_beside_others_the_bytes_depend_on_the_request_alone() -> None:
    """Whatever came before, and in whatever order they come, the bytes are the same."""
    fresh, used = Offline(), Offline()
    ask(used, "Another prompt")
    forwards = [beside(fresh, number, stream=True).raw for number in (1, 2, 3)]
    backwards = [beside(used, number, stream=True).raw for number in (3, 2, 1)]

    assert forwards == backwards[::-1]


def test_first_of_several_is_the_request_before() -> None:
    """What follows is compared with the first of them, whichever came last."""
    demo = Offline()
    for number in (2, 1, 3):
        beside(demo, number, temperature=number / 10)

    assert whats_new(ask(demo, "Name a tree.", temperature=0.1)) == [
        "nothing: the same request again."
    ]


def test_beside_others_practice_prompts_work() -> None:
    """A practice prompt and a scripted error answer as they do alone, and so does a refusal."""
    assert beside(Offline(), 2, "demo error 429").status == 429
    assert "filler text" in beside(Offline(), 2, "demo long").text
    assert beside(Offline(), 1, temperature=7).status == 400
    assert beside(Offline(), 1, thinking={"type": "disabled"}).thinking == ""
