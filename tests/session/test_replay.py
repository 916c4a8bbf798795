"""Answers from a recording: which one a request gets, and what is said where there is none."""

import asyncio
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.jumping import run as run_quickly
from support.replays import ALONE, NIGHT, SIGNED, WHY, Cell, Kernel, recorded, replaying
from support.scripted import Answer, Ending
from support.taking import PROMPT, new_client
from support.wire import BEGIN, STOP, delta, sse

from mm_magic.conversation.reply import Origin
from mm_magic.conversation.saved_turn import read_turn, turn_json
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.request_key import RequestKey
from mm_magic.rendering.status_line import status_notes, status_parts
from mm_magic.session.options import Options
from mm_magic.session.replaying import Replaying
from mm_magic.session.run import Step
from mm_magic.session.who_answers import Choice
from mm_magic.transport.body import Batch
from mm_magic.transport.recording.file_format import RecordedExchange, header
from mm_magic.transport.recording.player import Playback, Replay
from mm_magic.transport.recording.reader import read

# The same requests again

cells = st.builds(
    Cell,
    prompt=st.sampled_from(["Why?", "Go on."]),
    conversation=st.sampled_from(["main", "main", "main", "side", None]),
    server=st.sampled_from(["A", "A", "B", "demo"]),
    system=st.sampled_from(["", "", "Be brief."]),
    model=st.sampled_from([None, None, "M"]),
)


def numbered(lesson: Sequence[Cell], *, have_ids: bool) -> list[Cell]:
    return [replace(cell, id=f"c{n}" if have_ids else None) for n, cell in enumerate(lesson)]


def told(kernel: Kernel, lesson: Sequence[Cell]) -> list[Any]:
    """What each cell asks and gets."""
    found = []
    for cell in lesson:
        reply = kernel.run(cell)
        found.append((kernel.request, reply.content, reply.is_demo, reply.usage))
    return found


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lesson=st.lists(cells, min_size=1, max_size=6), have_ids=st.booleans())
def test_replay_asks_and_gets_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, lesson: list[Cell], have_ids: bool
) -> None:
    """From top to bottom each request comes out as it was, byte for byte, and so does its answer.

    That holds for any mixture of servers, the demo, models, system prompts and conversations.
    """
    path = tmp_path_factory.mktemp("lesson") / "r"
    lesson = numbered(lesson, have_ids=have_ids)
    kernel = Kernel()
    kernel.record(path)
    before = told(kernel, lesson)

    again = replaying(path)

    assert told(again, lesson) == before
    assert again.service.requests == []
    if have_ids:  # Run All once more in the same kernel
        again.session.replay(again.session.recordings.replaying)
        for name in list(again.session.conversations):
            again.session.edits.forget(name)
        assert [each[1:] for each in told(again, lesson)] == [each[1:] for each in before]


@settings(deadline=None, max_examples=40)
@given(
    lesson=st.lists(cells, min_size=1, max_size=5),
    kept=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_fill_asks_only_for_what_is_missing(
    tmp_path_factory: pytest.TempPathFactory, lesson: list[Cell], kept: list[bool]
) -> None:
    """What a recording lacks is asked once, and recorded: after that it is whole."""
    path = tmp_path_factory.mktemp("lesson") / "r"
    lesson = [
        cell if cell.conversation is None else replace(cell, prompt=f"{n}. {cell.prompt}")
        for n, cell in enumerate(numbered(lesson, have_ids=True))
    ]
    recorded(path, *lesson)
    first, *lines = path.read_bytes().split(b"\n")
    some = [line for line, is_kept in zip(lines, kept, strict=False) if is_kept]
    path.write_bytes(b"\n".join([first, *some, b""]))

    filled = replaying(path, fills=True)
    answers = [each[1:] for each in told(filled, lesson)]
    whole = replaying(path)

    assert [each[1:] for each in told(whole, lesson)] == answers
    assert whole.service.requests == []


# What the notebook said

ENVIRONMENTS: list[Mapping[str, str]] = [{}, {"MINIMAX_MODEL": "MiniMax-M3"}]


@pytest.mark.parametrize("there", ENVIRONMENTS)
@pytest.mark.parametrize("here", ENVIRONMENTS)
@pytest.mark.parametrize("server", ["B", "demo"])
def test_the_environment_tells_no_requests_apart(
    tmp_path: Path, there: Mapping[str, str], here: Mapping[str, str], server: str
) -> None:
    """With another default model, at another address, the same cells get the same answers."""
    kernel = Kernel(**there)
    kernel.record(tmp_path / "r")
    for cell in (WHY, NIGHT):
        kernel.run(cell)

    again = replaying(tmp_path / "r", here)

    for cell, answer in ((WHY, "answer 1"), (NIGHT, "answer 2")):
        assert again.run(replace(cell, server=server)).text == answer


def test_a_model_that_was_said_does(tmp_path: Path) -> None:
    """A cell that names its model asks something else, also where that is the default model."""
    recorded(tmp_path / "r", replace(ALONE, model="MiniMax-M3"))
    error = replaying(tmp_path / "r", {"MINIMAX_MODEL": "MiniMax-M3"}).refusal(ALONE)
    assert (
        error.next_steps[0]
        == "This prompt was recorded with -m MiniMax-M3: `%%minimax --alone -m MiniMax-M3`"
    )
    assert replaying(tmp_path / "r").run(replace(ALONE, model="MiniMax-M3")).text == "answer 1"


def test_thinking_of_earlier_turns_tells_none_apart(tmp_path: Path) -> None:
    """Earlier turns are compared without their thinking: another kernel may have thought else."""
    recorded(tmp_path / "r", WHY, NIGHT)
    kernel = Kernel()
    kernel.thinking = "Otherwise."
    kernel.run(WHY)
    kernel.replay(tmp_path / "r")

    assert kernel.run(NIGHT).text == "answer 2"


# Which answer


@pytest.mark.parametrize("ids", ["abc", [None, None, None]])
def test_kth_cell_gets_the_kth_answer(tmp_path: Path, ids: Sequence[str | None]) -> None:
    """Cells that ask the same get the answers in order, and one more the last one again; without
    ids each run is a new cell."""
    first, second, third = (replace(ALONE, id=cell_id) for cell_id in ids)
    recorded(tmp_path / "r", first, second)
    kernel = replaying(tmp_path / "r")

    assert [kernel.run(each).text for each in (first, second)] == ["answer 1", "answer 2"]
    assert kernel.run(third).text == "answer 2"


def test_one_more_cell_is_asked_for_where_it_can_be(tmp_path: Path) -> None:
    """With `--fill` one more cell gets an answer of its own, which is recorded; without a server
    it gets the last one again."""
    first, second = replace(ALONE, id="a"), replace(ALONE, id="b")
    recorded(tmp_path / "r", first)
    kernel = replaying(tmp_path / "r", fills=True)
    kernel.run(first)
    filled = kernel.run(second)

    assert filled.origin is None
    assert len(kernel.service.requests) == 1
    offline = replaying(tmp_path / "r", fills=True)
    offline.session.who.demo_allowed = False
    texts = [offline.run(replace(ALONE, id=name, server="none")).text for name in "abc"]
    assert texts == ["answer 1", filled.text, filled.text]


def test_cell_that_runs_again_gets_its_answer_again(tmp_path: Path) -> None:
    """A cell gets the same answer each time that it runs."""
    a, b = replace(ALONE, id="a"), replace(ALONE, id="b")
    recorded(tmp_path / "r", a, b)
    kernel = replaying(tmp_path / "r")

    texts = [kernel.run(each).text for each in (a, b, b, a)]

    assert texts == ["answer 1", "answer 2", "answer 2", "answer 1"]


def test_last_answer_of_a_recorded_cell_counts(tmp_path: Path) -> None:
    """Where a cell ran again while it was recorded, its last answer is the one, as on the page."""
    recorded(tmp_path / "r", WHY, WHY, NIGHT)
    recorded_again = Kernel()
    recorded_again.record(tmp_path / "r")  # a kernel that began anew
    kernel = replaying(tmp_path / "r")

    assert [kernel.run(each).text for each in (WHY, NIGHT)] == ["answer 2", "answer 3"]
    recorded_again.run(WHY)
    assert replaying(tmp_path / "r").run(WHY).text == "answer 1"


def in_threads(kernel: Kernel, times: int) -> list[str]:
    """The answers to one prompt, asked alone from eight threads that take turns very often."""

    def ask(_: int) -> str:
        return asyncio.run(kernel.session.turns.ask("Why?", Options(), alone=True)).text

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(ask, range(times)))
    finally:
        sys.setswitchinterval(interval)


def test_threads_that_record_the_same(tmp_path: Path) -> None:
    """Of threads that ask the same at once each records an answer of its own."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    kernel.service.next_answer = Answer("whole", (SIGNED,))

    in_threads(kernel, 40)

    exchanges = read((tmp_path / "r").read_bytes(), "r").exchanges
    assert sorted(each.sample for each in exchanges) == [*range(40)]


def test_threads_that_replay_the_same(tmp_path: Path) -> None:
    """Of threads that ask the same at once each gets an answer of its own."""
    recorded(tmp_path / "r", *(replace(ALONE, id=str(n)) for n in range(40)))

    assert len(set(in_threads(replaying(tmp_path / "r"), 40))) == 40


@pytest.mark.parametrize("ending", ["stopped", "refused"])
def test_answer_is_not_replaced_by_less(tmp_path: Path, ending: Ending) -> None:
    """What was stopped, or refused, does not stand for an answer that was whole."""
    kernel = recorded(tmp_path / "r", WHY)
    kernel.service.stop = lambda: kernel.session.running.runs[0].cancel()
    with pytest.raises((asyncio.CancelledError, MiniMaxError)):
        kernel.run(replace(WHY, ending=ending))

    assert len(read((tmp_path / "r").read_bytes(), "r").exchanges) == 2
    assert replaying(tmp_path / "r").run(WHY).text == "answer 1"


def test_error_is_replayed(tmp_path: Path) -> None:
    """A request that was refused is refused again, in the service's words."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    before = kernel.refusal(replace(WHY, ending="refused"))

    again = replaying(tmp_path / "r").refusal(WHY)

    assert (again.message, again.kind, again.code) == (before.message, before.kind, 2013)


@pytest.mark.parametrize(
    ("ran", "asks", "steps"),
    [
        ([], NIGHT, ["This prompt was recorded after turn 1, “Why?”: run that turn's cell first."]),
        (
            [],
            Cell("How?"),
            [
                "This prompt was recorded after turns 1 and 2. Run their cells first, starting "
                "with turn 1, “Why?”."
            ],
        ),
        (
            [WHY],
            Cell("How?"),
            ["This prompt was recorded after turn 2, “And at night?”: run that turn's cell first."],
        ),
        (
            [WHY],
            replace(NIGHT, temperature=0.5),
            ["This prompt was recorded with -t default: `%%minimax -t default`"],
        ),
        ([], Cell("Where?"), ["This prompt was recorded with -t 0.3: `%%minimax -t 0.3`"]),
        (
            [],
            Cell("Where?", system="x", temperature=0.3),
            ['This prompt was recorded with -s "": `%%minimax -s ""`'],
        ),
        (
            [],
            Cell("Where?", model="M"),
            ["This prompt was recorded with the default model, -t 0.3."],
        ),
        ([], Cell("What?"), ["This prompt was recorded with a different system prompt."]),
        (
            [],
            Cell("And at nigth?"),
            ["This prompt was not recorded. The nearest recorded prompt: “And at night?”"],
        ),
        (
            [WHY],
            Cell("Is that so?"),
            ["This prompt was not recorded. The prompt recorded at this point: “And at night?”"],
        ),
        (
            [],
            Cell("Tell me of it."),
            ["This prompt was not recorded. The prompt recorded at this point: “Why?”"],
        ),
        (
            [],
            Cell("Tell me of the sea.", temperature=0.7),
            ["This prompt was not recorded."],
        ),
        (
            [WHY, NIGHT],
            replace(NIGHT, id="z"),
            [
                "This prompt was recorded right after turn 1; here, more turns come before it. "
                "`%minimax forget` drops the last one. Or restart the kernel and run the cells "
                "from the top."
            ],
        ),
        (
            [WHY],
            replace(ALONE, prompt="Where?", temperature=0.3, conversation="main"),
            [
                "This prompt was recorded as the first turn; here, more turns come before it. "
                "`%minimax forget` drops the last one. Or restart the kernel and run the cells "
                "from the top."
            ],
        ),
        ([], Cell("Stop?"), ["Its answer was stopped when it was recorded: record it again."]),
    ],
)
def test_difference_is_named(tmp_path: Path, ran: list[Cell], asks: Cell, steps: list[str]) -> None:
    """Without an answer the error names what is other than in the recording, and what mends it."""
    path = tmp_path / "r"
    kernel = recorded(
        path,
        WHY,
        NIGHT,
        Cell("How?", id="c"),
        Cell("Where?", conversation=None, temperature=0.3),
        Cell("What?", conversation=None, system='Say "yes"\n'),
    )
    kernel.service.stop = lambda: kernel.session.running.runs[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        kernel.run(Cell("Stop?", conversation=None, ending="stopped"))
    again = replaying(path)
    for cell in ran:
        again.run(cell)

    error = again.refusal(asks)

    assert error.message == "this request is not in 'r'"
    listed = "To see what is recorded: `%minimax replay --list`"
    fill = "To ask a model for what is missing: `%minimax replay r --fill`"
    assert [each for each in error.next_steps if "--loose" not in each] == [*steps, listed, fill]
    assert again.service.requests == []


@pytest.mark.parametrize(
    ("made", "step"),
    [
        ([{"temperature": 0.1}, {"temperature": 1}], "-t 0.1 and -t 1: `%%minimax --alone -t 0.1`"),
        (
            [{"temperature": 0.1}, {}, {"temperature": 1}, {"temperature": 0.1}],
            "-t 0.1, -t default and -t 1: `%%minimax --alone -t 0.1`",
        ),
        (
            [{"temperature": n / 10} for n in (1, 2, 3, 4, 6, 7, 8)],
            "-t 0.1, -t 0.2, -t 0.3, -t 0.4, -t 0.6 and 2 more: `%%minimax --alone -t 0.1`",
        ),
        (
            [{"temperature": 1, "system": "x"}, {"temperature": 0.5, "system": "y"}],
            "-s y: `%%minimax --alone -s y`",
        ),
        (
            [{"temperature": 1, "system": "x"}, {"model": "M", "temperature": 0.1}],
            "-t 1, -s x; -t 0.1, -m M: `%%minimax --alone -t 1 -s x`",
        ),
        (
            [{"system": "a\nb"}, {"temperature": 0.1, "system": "c"}],
            "-t default, a different system prompt; -t 0.1, -s c.",
        ),
    ],
)
def test_all_recorded_values_are_named(
    tmp_path: Path, made: list[dict[str, Any]], step: str
) -> None:
    """A miss names all values with which the prompt was recorded, and a line with the nearest."""
    recorded(tmp_path / "r", *(replace(ALONE, **options) for options in made))

    refused = replaying(tmp_path / "r").refusal(replace(ALONE, temperature=0.5))

    assert refused.next_steps[0].startswith(f"This prompt was recorded with {step}")


@pytest.mark.parametrize("prompt", ["\nWhy?", "  Why?", "Why?\n\n \t\r\n", " Why?\u00a0"])
def test_space_around_a_prompt_does_not_count(tmp_path: Path, prompt: str) -> None:
    """Blank lines and spaces around a prompt, also around an earlier one, miss no answer."""
    recorded(tmp_path / "r", WHY, replace(NIGHT, prompt=f"\n{NIGHT.prompt} "))
    kernel = replaying(tmp_path / "r")

    assert kernel.run(replace(WHY, prompt=prompt)).text == "answer 1"
    assert kernel.request["messages"][0]["content"] == prompt
    assert kernel.run(NIGHT).text == "answer 2"


def test_lines_that_mend_are_quoted(tmp_path: Path) -> None:
    """Names with spaces stand in quotes in the lines that the error names."""
    recorded(tmp_path / "my lesson", replace(WHY, model="My Model"))

    steps = replaying(tmp_path / "my lesson").refusal(WHY).next_steps

    assert steps[0] == 'This prompt was recorded with -m "My Model": `%%minimax -m "My Model"`'
    assert steps[-1].endswith('`%minimax replay "my lesson" --fill`')


def test_another_answer_before_is_named(tmp_path: Path) -> None:
    """Where an earlier turn has another answer than in the recording, that turn is named."""
    recorded(tmp_path / "r", WHY, NIGHT)
    kernel = Kernel()
    kernel.run(ALONE)
    kernel.run(WHY)
    kernel.replay(tmp_path / "r")

    assert kernel.refusal(NIGHT).next_steps[0] == (
        "This prompt was recorded after a different answer to turn 1, “Why?”: run that turn's "
        "cell again first."
    )


def test_loose_takes_an_answer_of_another_context(tmp_path: Path) -> None:
    """`--loose` matches prompt and options only, and the turn says so; the exact one goes first."""
    recorded(tmp_path / "r", WHY, NIGHT)
    kernel = replaying(tmp_path / "r", is_loose=True)

    loose = kernel.run(NIGHT)
    assert status_notes(kernel.turn)[0] == "The answer was recorded with different earlier turns."
    assert read_turn(turn_json(kernel.turn, None)).turn.reply == loose
    exact = kernel.run(replace(WHY, conversation="other"))
    assert loose.text == "answer 2"
    assert loose.origin is not None
    assert loose.origin.is_loose
    assert exact.origin == replace(loose.origin, is_loose=False)
    assert kernel.refusal(Cell("What?")).message == "this request is not in 'r'"
    assert kernel.refusal(replace(NIGHT, temperature=0.5)).kind == "usage"
    assert "--loose" in replaying(tmp_path / "r").refusal(NIGHT).next_steps[1]


# What a replayed turn is


def test_replayed_reply_says_what_it_is(tmp_path: Path) -> None:
    """The reply, its status line and its saved turn tell when and of whom it was recorded."""
    recorded(tmp_path / "r", WHY)
    kernel = replaying(tmp_path / "r")
    reply = kernel.run(WHY)
    day = datetime.now(UTC).date().isoformat()

    assert reply.backend == "recorded"
    assert reply.origin == Origin("url", day)
    assert status_parts(kernel.turn)[0] == f"recorded {day}, M"
    saved = turn_json(kernel.turn, None)
    assert (saved["backend"], saved["recorded"]) == ("recorded", {"backend": "url", "day": day})
    assert read_turn(saved).turn.reply == reply


def test_what_the_demo_said_stays_the_demos(tmp_path: Path) -> None:
    """A replayed answer of the demo is shown as the demo's, and goes to no model."""
    recorded(tmp_path / "r", replace(WHY, server="demo"))
    kernel = replaying(tmp_path / "r", fills=True)
    kernel.run(replace(WHY, server="demo"))

    assert kernel.turn.is_demo
    assert status_parts(kernel.turn)[0].endswith(", offline demo, not a language model")
    kernel.run(NIGHT)
    assert [m["content"] for m in kernel.service.take_request()["messages"]] == ["And at night?"]


def test_thinking_goes_back_to_nobody_else(tmp_path: Path) -> None:
    """A server is sent the text of replayed turns, and not the thinking that another one signed."""
    recorded(tmp_path / "r", WHY)
    kernel = replaying(tmp_path / "r", fills=True)
    kernel.run(WHY)
    kernel.run(NIGHT)

    _, answer, _ = kernel.service.take_request()["messages"]
    assert answer["content"] == [{"type": "text", "text": "answer 1"}]


def test_turns_of_a_live_kernel_go_on_in_replay(tmp_path: Path) -> None:
    """Turns that the kernel has from the server that was recorded fit before a replayed one."""
    kernel = recorded(tmp_path / "r", WHY, NIGHT)
    kernel.replay(tmp_path / "r")

    assert kernel.run(NIGHT).text == "answer 2"


@pytest.mark.parametrize("choice", ["auto", "live"])
def test_fill_without_a_key(tmp_path: Path, choice: Choice) -> None:
    """Where nobody can be asked it is a replay like any other: the error says what is missing."""
    recorded(tmp_path / "r", WHY)
    errors = []
    for fills in (True, False):
        kernel = replaying(tmp_path / "r", fills=fills)
        kernel.run(WHY)
        kernel.session.who.choice = choice
        errors.append(kernel.refusal(Cell("And?", server="none", id="b")))
        assert not kernel.session.requests.can_fill

    filling, plain = errors
    assert (filling.kind, str(filling)) == (plain.kind, str(plain))
    assert filling.next_steps == plain.next_steps[:-1]
    assert plain.next_steps[-1].endswith("--fill`")
    assert "key" not in " ".join(filling.next_steps)


def test_fill_with_a_setting_that_cannot_be(tmp_path: Path) -> None:
    """Where something is set wrongly, the error says so beside what is missing."""
    recorded(tmp_path / "r", WHY)
    kernel = replaying(tmp_path / "r", {"MINIMAX_BACKEND": "lvie"}, fills=True)
    assert kernel.run(WHY).text == "answer 1"
    error = kernel.refusal(replace(NIGHT, prompt="And?"))
    assert error.message.startswith("this request is not in 'r', and MINIMAX_BACKEND must be")


@pytest.mark.parametrize("fails_again", [False, True])
def test_fill_asks_again_after_an_error(tmp_path: Path, fails_again: bool) -> None:
    """A recorded error is replayed where nobody can be asked; else the request is sent again, and
    its answer takes the place of the error."""
    path = tmp_path / "r"
    kernel = Kernel()
    kernel.record(path)
    kernel.refusal(replace(WHY, ending="refused"))

    assert replaying(path, fills=True).refusal(replace(WHY, server="none")).kind == "bad_request"
    filling = replaying(path, fills=True)
    if fails_again:
        filling.refusal(replace(WHY, ending="refused"))
    answers = {filling.run(WHY).text, filling.run(WHY).text, replaying(path).run(WHY).text}
    assert answers == {f"answer {1 + fails_again}"}
    assert len(filling.service.requests) == 1 + fails_again


def test_fill_says_what_became_outdated(tmp_path: Path) -> None:
    """A turn that was made with another answer above is told of, as in any replay."""
    recorded(tmp_path / "r", WHY)
    notes = []
    for fills in (False, True):
        kernel = Kernel()
        for cell in (ALONE, WHY, NIGHT):
            kernel.run(cell)
        kernel.replay(tmp_path / "r", fills=fills)
        kernel.run(WHY)
        notes.append(kernel.notes)
    told = "Turn 2 is outdated: an earlier turn has changed since. Run its cell again."
    earlier = "1 earlier answer; to compare: `%minimax diff 1`"
    assert notes == [[told, earlier], [told, earlier]]


# Pace


def test_seconds_are_those_of_the_recording(tmp_path: Path) -> None:
    """At full speed, too, a replayed reply tells how long the answer took when it was recorded."""
    recorded(tmp_path / "r", WHY)
    exchange = read((tmp_path / "r").read_bytes(), "r").exchanges[0]
    slow = replace(exchange, reads=(*exchange.reads[:-1], (7.25, exchange.reads[-1][1])))
    path = tmp_path / "slow"
    path.write_bytes(b"\n".join([header(), slow.to_line(), b""]))

    kernel = replaying(path)

    assert kernel.run(WHY).seconds == 7.25
    assert status_parts(kernel.turn)[-1] == "7.2 s"
    assert read_turn(turn_json(kernel.turn, None)).turn.reply.seconds == 7.25


def played(*reads: tuple[float, bytes], speed: float) -> list[float]:
    """The times of the batches of a playback."""
    key = RequestKey({}, (), {"role": "user", "content": "Why?"})
    exchange = RecordedExchange(
        key, 0, "", "url", "1", None, "complete", 200, "text/event-stream", reads
    )

    async def take() -> list[float]:
        stream = new_client().stream(Playback(exchange, speed), PROMPT, retries=0)
        return [arrival.seconds async for arrival in stream if isinstance(arrival, Batch)]

    return asyncio.run(take())


@pytest.mark.parametrize(("speed", "least"), [(1.0, 0.3), (3.0, 0.1), (math.inf, 0.0)])
def test_speed_changes_the_pace_only(speed: float, least: float) -> None:
    """At any speed the times told are the recording's."""
    begin = time.monotonic()

    assert played((0.1, sse(BEGIN)), (0.3, sse(STOP)), speed=speed) == [0.1, 0.3]
    assert time.monotonic() - begin >= least


def test_no_wait_at_full_speed() -> None:
    """At full speed a silence of hours passes at once: the suite's limit would end the test."""
    assert played((0.1, sse(BEGIN)), (9999.0, sse(STOP)), speed=math.inf) == [0.1, 9999.0]


@pytest.mark.parametrize("speed", [0.5, 1.0, math.inf])
def test_refusal_may_come_slowly(speed: float) -> None:
    """A refusal is replayed with all its words at any speed, also where they came late."""
    words = b'{"error": {"message": "insufficient balance (1008)"}}'
    key = RequestKey({}, (), {"role": "user", "content": "Why?"})
    exchange = RecordedExchange(
        key, 0, "", "url", "1", None, "failed", 500, "application/json", ((60.0, words),)
    )

    async def take() -> None:
        async for _ in new_client().stream(Playback(exchange, speed), PROMPT, retries=2):
            pass

    with pytest.raises(MiniMaxError, match=r"insufficient balance \(1008\)") as caught:
        run_quickly(take())
    assert (caught.value.kind, caught.value.retryable) == ("billing", False)


def test_stop_comes_through_at_full_speed(tmp_path: Path) -> None:
    """Also without a wait a replayed answer can be stopped before its end."""
    recorded(tmp_path / "r", WHY)
    (exchange,) = read((tmp_path / "r").read_bytes(), "r").exchanges
    words = [(0.1, sse(delta(0, "text_delta", "text", "word ")))] * 500
    long = replace(exchange, reads=((0.0, sse(BEGIN)), *words, (0.2, sse(STOP))))
    kernel = replaying(tmp_path / "r")
    kernel.session.replay(Replaying(Replay([long]), "r", math.inf))
    run = kernel.session.turns.start(kernel.ask(WHY))

    async def stop_at_the_first_word() -> None:
        async with aclosing(kernel.session.turns.steps(run)) as steps:
            async for step in steps:
                if isinstance(step, Step) and step.growth.text and not run.reply().text[5:]:
                    asyncio.get_running_loop().call_soon(run.cancel)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stop_at_the_first_word())
    assert len(run.reply("stopped").text) < 100


# From top to bottom


def test_notes_while_recording(tmp_path: Path) -> None:
    """A cell that ran again is told which turns below have to run again; after that all is well."""
    kernel = recorded(tmp_path / "r", WHY, NIGHT, Cell("How?", id="c"))
    assert kernel.notes == []
    notes = []
    for cell in (WHY, NIGHT, Cell("How?", id="c")):
        kernel.run(cell)
        notes.append(kernel.notes)

    assert notes == [
        [
            "1 earlier answer; to compare: `%minimax diff 1`",
            "Earlier turns have changed since turns 2 and 3 were answered. Your readers will run "
            "all cells from the top, so run those turns' cells again, in order.",
        ],
        [
            "1 earlier answer; to compare: `%minimax diff 2`",
            "Earlier turns have changed since turn 3 was answered. Your readers will run all cells "
            "from the top, so run that turn's cell again.",
        ],
        ["1 earlier answer; to compare: `%minimax diff`"],
    ]
    again = replaying(tmp_path / "r")
    texts = [again.run(cell).text for cell in (WHY, NIGHT, Cell("How?", id="c"))]
    assert texts == ["answer 4", "answer 5", "answer 6"]


def test_note_on_turns_before_the_recording(tmp_path: Path) -> None:
    """A recording that begins in the middle of a conversation says which turns it lacks."""
    kernel = Kernel()
    kernel.run(WHY)
    kernel.record(tmp_path / "r")
    kernel.run(NIGHT)

    assert kernel.notes == [
        "This request builds on turn 1, which is not in r. Your readers will run all cells "
        "from the top, so do the same."
    ]


def test_note_on_turns_that_had_no_room(tmp_path: Path) -> None:
    """A turn that the recording lacks is named by its own number, also when it is not sent."""
    long = [Cell(f"{name} {'x' * 300_000}", id=name) for name in "abc"]
    kernel = Kernel()
    kernel.run(long[0])
    kernel.record(tmp_path / "r")
    for cell in long[1:]:
        kernel.run(cell)

    left_out, note = kernel.notes
    assert left_out.startswith("The oldest turn was left out")
    assert note.startswith("This request builds on turn 1, which is not in")


def test_note_on_a_stopped_answer(tmp_path: Path) -> None:
    """An answer that is stopped while it is recorded is told not to be replayed."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    kernel.service.stop = lambda: kernel.session.running.runs[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        kernel.run(replace(WHY, ending="stopped"))
    run = kernel.last_run
    kernel.session.turns.stop(run)

    assert run.notes == [
        "A stopped answer is not replayed: run the cell again to record a complete one."
    ]
