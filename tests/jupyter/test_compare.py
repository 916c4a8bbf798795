"""`%%minimax` with lists and `-n`: several answers at once, over real sockets."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kernels import Cell, Kernel
from support.loopback import (
    END,
    Answer,
    Connection,
    Loopback,
    captured,
    chunk,
    failure,
    head,
    numbered,
    sse,
    stall,
    streamed,
    until,
    whole,
)
from support.shells import Shell, fresh_shell
from support.timing import within_half_a_second

from mm_magic import MiniMaxError, Replies, Reply

PARTS = [chunk(sse(event)) for event in captured()]


def request_on(connection: Connection) -> Any:
    """The body of the request that this connection brought last, None if it has none."""
    request = connection.request
    return request.json if request.body else None


def said_back(connection: Connection) -> None:
    """An answer that says what varies in its request: it does not depend on who comes first."""
    body = request_on(connection)
    names = ("temperature", "max_tokens", "model", "system")
    text = ", ".join(f"{name} {body[name]}" for name in names if name in body)
    for step in streamed(captured(text=text)):
        step(connection)


def by_temperature(answers: dict[float, Answer]) -> Callable[[Connection], None]:
    """An answer for each temperature."""

    def answer(connection: Connection) -> None:
        found = answers[request_on(connection)["temperature"]]
        for step in [found] if callable(found) else found:
            step(connection)

    return answer


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Shell, Loopback]]]:
    """A shell whose server answers so."""
    opened: list[Any] = []

    def open_(*answers: Answer) -> tuple[Shell, Loopback]:
        server = Loopback(*answers or (said_back,))
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        manager = fresh_shell()
        opened[:0] = [manager, server]
        return manager.__enter__(), server

    yield open_
    for each in opened:
        each.__exit__(None, None, None)


Ask = Callable[..., tuple[Shell, Loopback]]


def without_seconds(text: str) -> str:
    """What was printed, with 0.0 for all seconds, and those of thinking left out."""
    return re.sub(
        r"\d+\.\d(?= s$|      \d+ in /)", "0.0", re.sub(r" \(\d+\.\d s\)", "", text), flags=re.M
    )


def sent(server: Loopback, name: str) -> list[Any]:
    return sorted(request.json.get(name) for request in server.requests)


# What is asked


def test_product_of_lists(ask: Ask) -> None:
    """Each value of each list is asked with each of the others, `-n` times."""
    shell, server = ask()
    replies = shell.run("%%minimax -t 0.1,1 --max-tokens 100, 200 -n 2\nWhy?")

    assert isinstance(replies, Replies)
    assert len(server.requests) == 8
    assert [reply.text.partition(", model")[0] for reply in replies] == [
        f"temperature {t}, max_tokens {m}" for t in (0.1, 1.0) for m in (100, 200) for _ in "12"
    ]
    assert sent(server, "temperature") == [0.1] * 4 + [1] * 4


def test_system_and_models(ask: Ask) -> None:
    """`-s` and `-m` vary by being repeated."""
    shell, _ = ask()
    replies = shell.run('%%minimax -s "Be brief" -s "Be kind" -m A -m B --max-tokens 9\nWhy?')

    assert [reply.text for reply in replies] == [
        f"max_tokens 9, model {model}, system {system}"
        for system in ("Be brief", "Be kind")
        for model in "AB"
    ]


def test_default_in_a_list(ask: Ask) -> None:
    """`default` as one of the values sends nothing for that answer."""
    shell, server = ask()
    shell.run("%%minimax -t default,0.5\nWhy?")

    assert [request.json.get("temperature") for request in server.requests].count(None) == 1


@pytest.mark.parametrize(
    "options",
    [
        "-t 0.1, 0.5",
        "-t0.1, 0.5",
        "--temperature=0.1 , 0.5",
        "-m MiniMax-M3, MiniMax-M2.7",
        "-m A -m B",
        '-s "Be brief" -s "Be kind"',
        "-n 2",
    ],
)
def test_prompt_of_one_line(ask: Ask, options: str) -> None:
    """A prompt may follow options with lists, also where a list has spaces."""
    shell, server = ask()
    shell.run(f"%%minimax {options} 1, 2 or 3?")

    assert [r.json["messages"][-1]["content"] for r in server.requests] == ["1, 2 or 3?"] * 2


def test_one_answer_is_as_before(ask: Ask) -> None:
    """`-n 1` and lists of one value give a Reply, drawn as ever."""
    shell, server = ask(streamed())
    assert isinstance(shell.run("%%minimax -n 1 -t 0.5\nWhy?"), Reply)
    assert len(server.requests) == 1


# What becomes of it


def test_first_answer_is_the_turn(ask: Ask) -> None:
    """The first answer, in the order of the line, goes into the conversation."""
    shell, server = ask()
    shell.run("%%minimax -t 0.1,0.5\nWhy?")
    shell.run("%%minimax\nAnd?")

    messages = server.requests[-1].json["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"][-1]["text"].startswith("temperature 0.1")


def test_earlier_turns_are_sent_with_each(ask: Ask) -> None:
    """Each variant is asked behind the same earlier turns."""
    shell, server = ask()
    shell.run("%%minimax\nWhy?")
    shell.run("%%minimax -t 0.1,0.5\nAnd?")

    first, second = (request.json["messages"] for request in server.requests[1:])
    assert len(first) == 3
    assert first == second


def test_alone(ask: Ask) -> None:
    """`--alone` compares without memory."""
    shell, server = ask()
    shell.run("%%minimax -t 0.1,0.5 --alone\nWhy?")
    shell.run("%%minimax\nAnd?")

    assert len(server.requests[-1].json["messages"]) == 1


def test_last_error_in_each(ask: Ask) -> None:
    """`{{last_error}}` is filled in once, and sent with each request."""
    shell, server = ask()
    shell.error("1 / 0")
    shell.run("%%minimax -n 2 --alone\n{{last_error}}")

    first, second = (request.json["messages"][0]["content"] for request in server.requests)
    assert "ZeroDivisionError: division by zero" in first
    assert first == second


def test_replies_are_kept(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """`_`, `Out[n]` and `-o` hold the replies, and the line below the answers says so."""
    shell, _ = ask()
    shell.run("%%minimax -t 0.1,0.5 -o both\nWhy?")

    assert "stored in both" in capsys.readouterr().out
    assert shell["both"] is shell["_"] is shell["Out"][max(shell["Out"])]
    assert [reply.text[:15] for reply in shell["both"]] == ["temperature 0.1", "temperature 0.5"]


def test_to_frame(ask: Ask) -> None:
    """A row for each answer, numbered from 1, with what varies first."""
    shell, _ = ask(by_temperature({0.1: streamed(), 1.0: failure(400, "no (2013)")}))
    error = shell.error("%%minimax -t 0.1,1\nWhy?")
    assert isinstance(error, MiniMaxError)
    assert isinstance(error.replies, Replies)
    frame = error.replies.to_frame()

    assert frame.index.name == "answer"
    assert [*frame.index] == [1, 2]
    assert [*frame.columns] == [
        "temperature", "text", "thinking", "seconds", "input_tokens", "output_tokens", "price",
        "stop_reason", "error",
    ]  # fmt: skip
    assert [*frame.temperature] == [0.1, 1]
    assert frame.text[1] == "\n\nRayleigh scattering."
    assert frame.output_tokens[1] == 41
    assert [*frame.error.isna()] == [True, False]
    assert frame.text[2] == ""
    assert "no (2013)" in frame.error[2]


def test_slices_keep_their_numbers(ask: Ask) -> None:
    """A part of the replies is Replies, too, whose answers have the numbers of the page."""
    shell, _ = ask()
    part = shell.run("%%minimax -t 0.1,0.5,1 --max-tokens 9\nWhy?")[1:]

    assert [*part.to_frame().index] == [2, 3]
    assert repr(part[:1]) == "Replies(['temperature 0.5, max_tokens 9, model Mi…'])"


# What is drawn


def test_terminal(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, each answer under its label, and the line with the turn."""
    shell, _ = ask()
    capsys.readouterr()
    shell.run("%%minimax -t 0.1,0.5 -n 2 --max-tokens 9\nWhy?")

    assert (
        without_seconds(capsys.readouterr().out)
        == """\
answer  -t   seconds  tokens          ended
1       0.1  0.0      39 in / 41 out  end_turn
2       0.1  0.0      39 in / 41 out  end_turn
3       0.5  0.0      39 in / 41 out  end_turn
4       0.5  0.0      39 in / 41 out  end_turn

2 of 4 answers are the same: 1 and 2 · -t 0.1

Thinking for answer 1:
> The sky scatters blue light.

Thinking for answer 2:
> The sky scatters blue light.

temperature 0.1, max_tokens 9, model MiniMax-M2.7

2 of 4 answers are the same: 3 and 4 · -t 0.5

Thinking for answer 3:
> The sky scatters blue light.

Thinking for answer 4:
> The sky scatters blue light.

temperature 0.5, max_tokens 9, model MiniMax-M2.7

MiniMax-M2.7 · turn 1 · 4 answers · 156 in / 164 out
The conversation continues with answer 1; `%minimax pick 2` chooses another.
"""
    )


def test_shown_by_another_cell(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """Replies that a variable holds are shown with their table and labels."""
    shell, _ = ask()
    shell.run("%%minimax -t 0.1,0.5 -n 2 -o x\nWhy?")
    capsys.readouterr()
    shell.run("x[1:3]")

    out = without_seconds(capsys.readouterr().out)
    assert "Answer 2 · -t 0.1 · 2 of 2" in out
    assert "Answer 3 · -t 0.5 · 1 of 2" in out
    assert "\n2       0.1  0.0      39 in / 41 out  end_turn\n" in out


def test_plain_number(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing varies, an answer is called by its number alone, wherever it is shown."""
    shell, _ = ask(*numbered(3))
    shell.run("%%minimax -n 3 --dry-run\nWhy?")
    assert "\n  Answer 1\n  Answer 2\n  Answer 3\n" in capsys.readouterr().out
    shell.run("%%minimax -n 3 -o x\nWhy?")
    shell.run("%minimax show")
    shell.run("x[1:]")

    lines = capsys.readouterr().out.split("\n")
    assert [line for line in lines if line.startswith("Answer ")] == [
        *("Answer 1", "Answer 2", "Answer 3") * 2, "Answer 2", "Answer 3",
    ]  # fmt: skip


def test_show_draws_all_of_them(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax show` draws a turn with all its answers, labelled as their cell did."""
    shell, _ = ask(by_temperature({0.1: streamed(captured(text="a")), 1.0: failure(400, "no")}))
    shell.run("%config MiniMax.retries = 0")
    shell.error("%%minimax -t 0.1,1 -n 2 --thinking disabled -s Brief\nWhy?")
    capsys.readouterr()
    shell.run("%minimax show")

    out = without_seconds(capsys.readouterr().out)
    assert out.startswith(
        "Turn 1: Why?\nanswer  -t   seconds  tokens          ended\n1       0.1  0"
    )
    assert "2 of 4 answers are the same: 1 and 2 · -t 0.1" in out
    assert "Answer 3 · -t 1 · 1 of 2\nthe service did not accept the request: no" in out


def test_model_that_is_no_longer_served(ask: Ask) -> None:
    """Each finds the model that takes the default one's place, and the note stands once."""

    def answer(connection: Connection) -> None:
        body = request_on(connection)
        if body is None:
            whole(200, {"data": [{"id": "MiniMax-M3"}]})(connection)
        elif body["model"] != "MiniMax-M3":
            failure(400, "unknown model 'MiniMax-M2.7' (2013)", "invalid_request_error")(connection)
        else:
            said_back(connection)

    shell, _ = ask(answer)
    replies = shell.run("%%minimax -n 3 -o x\nWhy?")

    assert ["model MiniMax-M3" in reply.text for reply in replies] == [True] * 3


# What fails


FAILURES: dict[str, tuple[Answer, str]] = {
    "refused": (failure(400, "no (2013)", "invalid_request_error"), "bad_request"),
    "rate-limited": (failure(429, "busy (1002)", retry_after="900"), "rate_limit"),
    "cut": ([head(), *PARTS[:8], lambda connection: connection.close()], "connection"),
}


@pytest.mark.parametrize(("answer", "kind"), FAILURES.values(), ids=FAILURES)
def test_one_fails(ask: Ask, answer: Answer, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that fails keeps its card in its place, the others finish, and the cell raises."""
    shell, _ = ask(by_temperature({0.1: answer, 0.5: streamed(), 1.0: streamed()}))
    shell.run("%config MiniMax.retries = 0")
    error = shell.error("%%minimax -t 0.1,0.5,1 -o x\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert error.message.startswith("1 of 3 answers failed: ")
    assert error.kind == kind
    assert [*(error.replies or ())] == [*shell["x"]]
    assert error.reply == shell["x"][1]
    assert [reply.status for reply in shell["x"]] == ["incomplete", "complete", "complete"]
    out = capsys.readouterr().out
    assert f"failed: {kind}\n" in out
    assert "The conversation continues with answer 2; `%minimax pick 3` chooses another." in out


def test_all_fail(ask: Ask) -> None:
    """Where all fail nothing enters the conversation."""
    shell, server = ask(*[failure(400, "no (2013)")] * 2, streamed())
    error = shell.error("%%minimax -t 0.1,0.5\nWhy?")
    assert isinstance(error, MiniMaxError)
    assert error.message.startswith("both answers failed; the first error: ")
    shell.run("%%minimax\nAnd?")

    assert len(server.requests[-1].json["messages"]) == 1


def test_none_can_be_sent(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What refuses all of them before one is sent is told as for one answer."""
    shell, server = ask()
    monkeypatch.setenv("MINIMAX_BASE_URL", "ftp://127.0.0.1")
    error = shell.error("%%minimax -t 0.1,0.5\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert "answers failed" not in error.message
    assert server.requests == []


def test_one_is_refused_before_it_is_sent(ask: Ask) -> None:
    """A model that is known to refuse an option fails in its place; the other answers."""
    shell, _ = ask()
    shell.run("%minimax offline")
    error = shell.error("%%minimax -m MiniMax-M2.7 -m MiniMax-M3 --effort low --max-tokens 5\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert error.kind == "usage"
    assert [reply.status for reply in error.replies or ()] == ["incomplete", "complete"]


# Money


def test_many_requests_are_confirmed(ask: Ask) -> None:
    """Above `confirm_above` nothing is sent: the card gives number, forecast and the line."""
    shell, server = ask(streamed())
    error = shell.error("%%minimax -n 13 --max-tokens 100\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert error.message == "this would send 13 requests; more than 12 need confirmation"
    assert "at most 1,300 out" in error.next_steps[0]
    assert "To go ahead: `%%minimax -n 13 --max-tokens 100 --yes`" in error.next_steps
    of_one_line = shell.error("%%minimax -n 13 Why now?")
    assert isinstance(of_one_line, MiniMaxError)
    assert "To go ahead: `%%minimax -n 13 --yes Why now?`" in of_one_line.next_steps
    assert server.requests == []
    shell.run("%%minimax -n 13 --max-tokens 100 --yes\nWhy?")
    assert len(server.requests) == 13


def test_confirm_above_can_be_set(ask: Ask) -> None:
    """`%config MiniMax.confirm_above` moves the limit, and must be a number of 1 or more."""
    shell, server = ask(streamed())
    shell.run("%config MiniMax.confirm_above = 2")
    assert "--yes" in str(getattr(shell.error("%%minimax -n 3\nWhy?"), "next_steps", ""))
    shell.run("%%minimax -n 2\nWhy?")
    shell.run("%config MiniMax.confirm_above = 0")

    assert len(server.requests) == 2
    assert shell.run("get_ipython().run_line_magic('config', 'MiniMax.confirm_above')") == 2


def test_a_huge_number_is_only_counted(ask: Ask) -> None:
    """A number that nobody could send is refused at once, and its key is not shown again."""
    shell, server = ask()
    error = shell.error("%%minimax -n 1000000000 -t 0.1,1 -s sk-12345678901\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert "2,000,000,000 requests" in error.message
    assert "sk-1" not in str(error.next_steps)
    assert "`%%minimax … --yes`" in str(error.next_steps)
    assert server.requests == []


# Stop


class Stalling:
    """Of `count` requests the first is answered, the others begin and say nothing more; all later
    ones are answered. `there` is set when all have come."""

    def __init__(self, count: int) -> None:
        self.there = threading.Event()
        self.stalled: list[Connection] = []
        self._left = count
        self._lock = threading.Lock()

    def answer(self, connection: Connection) -> None:
        with self._lock:
            self._left -= 1
            is_stalled = self._left >= 0 and connection is not connection.server.connections[0]
            if is_stalled:
                self.stalled.append(connection)
            if self._left == 0:
                self.there.set()
        for step in [head(), *PARTS[:8], stall] if is_stalled else streamed():
            step(connection)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.mark.parametrize(
    ("code", "ename"),
    [
        ("%%minimax -n 32 --yes -o kept\nWhy?", "Stopped"),
        ("%%time\n%%minimax -n 32 --yes -o kept\nWhy?", "KeyboardInterrupt"),
    ],
    ids=["awaited", "synchronous"],
)
@within_half_a_second
def test_stop_of_32(kernel: Kernel, code: str, ename: str, limit: float) -> None:
    """One Stop closes all sockets at once, what came stays, and the kernel goes on."""
    service = Stalling(32)
    with Loopback(service.answer) as server:
        kernel.fresh(server.url)
        cell = kernel.run(code, cell_id="a", when=lambda _: service.there.wait(30))

        assert len(server.requests) == 32
        assert len(service.stalled) == 31
        assert all(each.closed.wait(limit) for each in service.stalled)
        assert (cell.status, cell.ename) == ("error", ename)
        assert cell.traceback == "→ For complete answers, run the cell again."
        assert kernel.run("print(len(kept))").stdout == "32\n"
        assert kernel.run("%%minimax\nAnd?", cell_id="b").status == "ok"


def test_stop_by_the_panel(kernel: Kernel) -> None:
    """The panel's Stop cancels each run: the cell is stopped once, and what came stays."""
    service = Stalling(4)
    with Loopback(service.answer) as server:
        kernel.fresh(server.url)
        kernel.run(
            "import asyncio, mm_magic.session.api as api\n"
            "async def press():\n"
            "    runs = api.session().running.runs\n"
            "    while len(runs) < 4 or not any(run.is_over for run in runs):\n"
            "        await asyncio.sleep(0.01)\n"
            "    for run in tuple(runs): run.cancel()\n"
            "pressed = asyncio.create_task(press())"
        )
        cell = kernel.run("%%minimax -n 4 -o kept\nWhy?", cell_id="a")

        assert (cell.status, cell.ename) == ("error", "Stopped")
        assert all(each.closed.wait(30) for each in service.stalled)
        statuses = kernel.run("print(sorted(reply.status for reply in kept))").stdout
        assert statuses == "['complete', 'stopped', 'stopped', 'stopped']\n"
        turn = cell.saved
        assert turn["status"] == "complete"
        assert [each["status"] for each in turn["answers"]] == ["stopped"] * 3


def test_refused_after_a_wait(kernel: Kernel) -> None:
    """Where nothing can be sent once its turn has come, no line stays that says how many came."""
    release = threading.Event()
    with Loopback([head(), *PARTS[:8], until(release), *PARTS[8:], END]) as server:
        kernel.fresh(server.url)
        kernel.run(
            "import asyncio, os, mm_magic as mm, mm_magic.session.api as api\n"
            "first = asyncio.create_task(mm.ask_async('Why?', conversation='main'))\n"
            "async def later():\n"
            "    while len(api.session().running.runs) < 3: await asyncio.sleep(0.01)\n"
            "    os.environ['MINIMAX_BASE_URL'] = 'ftp://127.0.0.1'\n"
            "asyncio.create_task(later())"
        )

        def is_due(cell: Cell) -> bool:
            if cell.displays:
                release.set()
            return False

        cell = kernel.run("%%minimax -n 2\nAnd?", cell_id="a", when=is_due)

    assert cell.status == "error"
    assert [each["text/plain"] for each in cell.displays] == ["no answer"]


def test_one_status_line_while_they_run(kernel: Kernel) -> None:
    """While they run one display is updated at most once a second; then the table takes it over."""
    with Loopback(said_back) as server:
        kernel.fresh(server.url)
        cell = kernel.run("%%minimax -t 0.1,0.5\nWhy?", cell_id="a")

    first = cell.of("display_data")[0]["content"]["data"]["text/plain"]
    assert "of 2 answered, 0 s" in first or first.startswith("answer")
    assert cell.displays[0]["text/plain"].startswith("answer  -t")
    assert "<table>" in cell.displays[0]["text/html"]
    assert cell.saved["answer"] == 1


def test_later_turns_are_outdated(kernel: Kernel) -> None:
    """Several answers in the place of an earlier turn: the later one says that it is outdated."""
    note = "Turn 2 is outdated: an earlier turn has changed since. Run its cell again."
    with Loopback(said_back) as server:
        kernel.fresh(server.url)
        kernel.run("%%minimax\nWhy?", cell_id="a")
        kernel.run("%%minimax\nAnd?", cell_id="b")
        cell = kernel.run("%%minimax -t 0.1,0.5\nWhy?", cell_id="a")

        assert note in cell.shown
        assert note not in kernel.run("%%minimax -n 2\nAnd?", cell_id="b").shown
        assert note not in kernel.run("%minimax history").shown


def test_history_counts_the_answers(kernel: Kernel) -> None:
    """`history` says of a turn which of how many answers it is, and nothing of an only one."""
    with Loopback(said_back) as server:
        kernel.fresh(server.url)
        kernel.run("%%minimax -t 0.1,0.5,1\nWhy?", cell_id="a")
        kernel.run("%%minimax\nAnd?", cell_id="b")
        shown = kernel.run("%minimax history").shown

    assert "sent, answer 1 of 3" in shown
    assert shown.count(" of 3") == 1


def test_recorded_out_of_order(kernel: Kernel, tmp_path: Path) -> None:
    """While recording, the line says which later turns to run again."""
    with Loopback(said_back) as server:
        kernel.fresh(server.url)
        kernel.run(f"%minimax record {tmp_path / 'a.jsonl'}")
        kernel.run("%%minimax\nWhy?", cell_id="a")
        kernel.run("%%minimax\nAnd?", cell_id="b")
        cell = kernel.run("%%minimax -t 0.1,0.5\nWhy?", cell_id="a")

    note = "Earlier turns have changed since turn 2 was answered."
    assert cell.shown.count(note) == 1
    assert "outdated" not in cell.shown
