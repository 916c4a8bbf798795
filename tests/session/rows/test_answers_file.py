"""`file=`: an answer is on disk when it ends, and another kernel goes on from there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.loopback import Connection, failure
from support.replays import Kernel
from support.rows import asked, echo, kernel, prompt_of

import mm_magic as mm
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.api import forget_session, session
from mm_magic.session.replaying import Replaying
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.values import ValueType
from mm_magic.transport.recording.player import Replay

TEN = pd.DataFrame({"n": range(10)})
ALL = [f"<Say {n}>" for n in range(10)]


def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new kernel without a server and without a key."""
    monkeypatch.delenv("MINIMAX_BASE_URL")
    monkeypatch.delenv("MINIMAX_API_KEY", raising=False)
    forget_session()


def test_an_answer_is_on_disk_when_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the next row is sent, the answer before it is a line of the file."""
    path, lines = tmp_path / "a.jsonl", []

    def answer(connection: Connection) -> None:
        lines.append(path.read_bytes().count(b"\n"))
        echo(connection)

    with kernel(monkeypatch, answer):
        mm.map("Say {{n}}", TEN, parallel=1, file=path)
    assert lines == [*range(1, 11)]


def test_a_new_kernel_asks_what_is_missing_or_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Then no more; one edited row asks one row, and a changed prompt all."""
    path = tmp_path / "a.jsonl"
    odd = True

    def answer(connection: Connection) -> None:
        fails = odd and int(prompt_of(connection).split()[1]) % 2
        (failure(400, "odd (2013)") if fails else echo)(connection)

    with kernel(monkeypatch, answer) as server:
        with pytest.warns(UserWarning, match="5 rows failed"):
            mm.map("Say {{n}}", TEN, file=path)
        odd = False
        forget_session()
        server.requests.clear()
        assert list(mm.map("Say {{n}}", TEN, file=path)["answer"]) == ALL
        assert asked(server) == [f"Say {n}" for n in range(1, 10, 2)]
        forget_session()
        mm.map("Say {{n}}", pd.DataFrame({"n": [*range(9), 77]}), file=str(path))
        assert len(server.requests) == 6
        with pytest.warns(UserWarning, match="no answers to these prompts: .* 10 requests: about"):
            mm.map("Now {{n}}", TEN, file=path)
        assert len(server.requests) == 16
        mm.map("Now {{n}}", TEN, file=path, fresh=True)
        assert len(server.requests) == 26


@pytest.mark.parametrize("prompt", ["Say {{n}}", "{{n}}, please", "Is {{n}} in {{row.m}}?"])
def test_other_rows_in_the_same_file(
    prompt: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A table that is asked in parts is one prompt: nothing is said of a changed one."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch) as server:
        for part in range(3):
            mm.map(prompt, pd.DataFrame({"n": [part, f"in {part}"], "m": [9, "in"]}), file=path)
        assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("prompt", "options"), [("Say {{n}}!", {}), ("{{n}}", {}), ("Say {{n}}", {"system": "Shout."})]
)
def test_a_changed_prompt_is_told(
    prompt: str, options: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where one of the texts begins like another, and where only an option is another."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch):
        mm.map("Say {{n}}", TEN, file=path)
        with pytest.warns(UserWarning, match="no answers to these prompts"):
            mm.map(prompt, pd.DataFrame({"n": range(10, 20)}), file=path, **options)


def test_without_a_key_the_file_gives_the_same_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Texts, errors, tokens and seconds are those of the run that asked."""
    path = tmp_path / "a.jsonl"
    rows = [{"n": "a"}, {"n": "boom"}, {"n": "c"}]
    with kernel(monkeypatch):
        with pytest.warns(UserWarning, match="1 row failed"):
            once = mm.map("Say {{n}}", rows, file=path)
        no_key(monkeypatch)
        before = path.read_bytes()
        with pytest.warns(UserWarning, match="1 row failed"):
            again = mm.map("Say {{n}}", rows, file=path)
        pd.testing.assert_frame_equal(once, again)
        assert path.read_bytes() == before


def test_without_a_key_what_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error has the rows that the file answers."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch):
        mm.map("Say {{n}}", TEN.head(7), file=path)
        no_key(monkeypatch)
        with pytest.raises(
            MiniMaxError, match=r"3 of the prompts for 10 rows are not in a.jsonl"
        ) as e:
            mm.map("Say {{n}}", TEN, file=path)
        assert e.value.kind == "auth"
        assert list(e.value.rows["answer"]) == [*ALL[:7], None, None, None]


def test_what_saved_turns_lack_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's own turns have no file name: the error calls them what they are."""
    with kernel(monkeypatch) as server:
        session().replay(Replaying(Replay([]), ""))
        told = "10 of the prompts for 10 rows are not in the notebook's saved turns"
        with pytest.raises(UsageError, match=told):
            mm.map("Say {{n}}", TEN)
        assert server.requests == []


def test_without_a_key_no_file_is_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name that is mistyped leaves nothing behind."""
    with kernel(monkeypatch):
        no_key(monkeypatch)
        with pytest.raises(UsageError, match=r"there is no file .*a.jsonl"):
            mm.map("Say {{n}}", TEN, file=tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


class Watching:
    """Sees the end of a table."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def tick(self) -> None:
        pass

    def finish(self, notes: Sequence[str]) -> None:
        self.notes = [*notes]


def test_a_file_is_begun_when_something_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What asks for confirmation, or is refused, leaves nothing behind; it is told once."""
    path, began = tmp_path / "a.jsonl", "Started a new recording, a.jsonl."
    many = [{"n": n} for n in range(20)]
    with kernel(monkeypatch) as server:
        first, second = views = [Watching(), Watching()]
        session().front_end.watch_rows = lambda _: views.pop(0)
        with pytest.raises(UsageError, match="need confirmation"):
            mm.map("Say {{n}}", many, file=path)
        with pytest.raises(UsageError, match="a budget can't be used here"):
            mm.map("Say {{n}}", TEN, file=path, budget=1.0)
        with pytest.raises(UsageError, match="the table has no column 'm'"):
            mm.map("Say {{m}}", TEN, file=path)
        with pytest.raises(UsageError, match="ZeroDivisionError"):
            mm.map(lambda _: str(1 / 0), TEN, file=path, on_error="raise")
        assert [*tmp_path.iterdir()] == []
        assert server.requests == []

        mm.map("Say {{n}}", many, file=path, yes=True)
        assert path.read_bytes().count(b"\n") == 21
        mm.map("Say {{n}}", many[:5], file=path)
        assert began in first.notes
        assert began not in second.notes


def test_a_file_that_another_kernel_begins_meanwhile(tmp_path: Path) -> None:
    """Both keep their answers in it, and each knows those of the other then."""
    path = tmp_path / "a.jsonl"
    one, other = paid(), paid()
    how = RowsOptions(one.session.options, file=path)
    jobs = [RowsJob(each.session, "Say {{n}}", TEN, how) for each in (one, other)]
    for each in jobs:
        run(each)
    assert path.read_bytes().count(b'"format"') == 1
    kernel = paid()
    assert list(run(RowsJob(kernel.session, "Say {{n}}", TEN, how))["answer"]) == ["yes"] * 10
    assert kernel.service.requests == []


def test_a_file_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is an error before anything is sent."""
    with kernel(monkeypatch) as server:
        for name in ("missing/a.jsonl", "a\0.jsonl", "x" * 300):
            with pytest.raises(UsageError, match="can't be written"):
                mm.map("Say {{n}}", TEN, file=tmp_path / name)
        assert server.requests == []


def test_a_folder_for_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is refused before anything is sent."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch) as server:
        path.mkdir()
        with pytest.raises(UsageError, match="a folder"):
            mm.map("Say {{n}}", TEN, file=path)
        assert server.requests == []


def test_a_file_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is sent, and nothing of it is changed."""
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n", "utf-8")
    with kernel(monkeypatch) as server:
        with pytest.raises(UsageError, match="is not a recording"):
            mm.map("Say {{n}}", TEN, file=path)
        assert server.requests == []
    assert path.read_text("utf-8") == "n\n1\n"


def test_half_a_line_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a killed kernel leaves costs one row."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch) as server:
        mm.map("Say {{n}}", TEN, parallel=1, file=path)
        path.write_bytes(path.read_bytes()[:-40])
        forget_session()
        assert list(mm.map("Say {{n}}", TEN, file=path)["answer"]) == ALL
        assert len(server.requests) == 11
        forget_session()
        assert list(mm.map("Say {{n}}", TEN, file=path)["answer"]) == ALL
        assert len(server.requests) == 11


def test_no_key_in_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that repeats the key does not bring it there, nor into the table."""
    path, key = tmp_path / "a.jsonl", "sk-api-CANARY-1234567890"

    def answer(connection: Connection) -> None:
        failure(400, f"bad {connection.request.headers['authorization']} (2013)")(connection)

    with kernel(monkeypatch, answer, MINIMAX_API_KEY=key), pytest.warns(UserWarning) as told:  # noqa: PT030
        found = mm.map("Say {{n}}", TEN, file=path)
    assert "CANARY" not in path.read_text("utf-8")
    assert "CANARY" not in found.to_string() + "".join(str(each.message) for each in told)


# Money


def job_of(
    kernel: Kernel, budget: float | None, rows: Any = TEN, kind: ValueType | None = None
) -> RowsJob:
    options = kernel.session.options.overridden({"max_tokens": 1000})
    how = RowsOptions(options, parallel=4, budget=budget, type=kind)
    return RowsJob(kernel.session, "Say {{n}}", rows, how)


def paid(**variables: str) -> Kernel:
    """A kernel that asks MiniMax, whose prices are known."""
    from support.scripted import Answer

    kernel = Kernel(MINIMAX_API_KEY="sk-api-x", **variables)
    kernel.service.next_answer = Answer("whole", ({"type": "text", "text": "yes"},))
    return kernel


def run(job: RowsJob) -> Any:
    import asyncio

    return asyncio.run(job.run(None))


def test_budget_is_never_exceeded() -> None:
    """It stops before the request that could cost too much; a larger one asks the rest."""
    kernel = paid()
    worst = 1000 * 1.2 / 1e6  # the longest answer, beside which a prompt costs nothing
    with pytest.raises(UsageError, match="before the next request could exceed") as raised:
        run(job_of(kernel, worst * 0.9))
    assert kernel.service.requests == []
    assert "10 requests not sent" in raised.value.message

    with pytest.raises(UsageError) as raised:
        run(job_of(kernel, worst * 1.05))
    sent = len(kernel.service.requests)
    assert 0 < sent < 10
    assert list(raised.value.rows["answer"].notna()).count(True) == sent
    assert list(run(job_of(kernel, worst * 20))["answer"]) == ["yes"] * 10
    assert len(kernel.service.requests) == 10


def test_budget_counts_what_is_asked_once_more() -> None:
    """The second request for a value is not sent either; a larger budget asks for it alone."""
    kernel, kind = paid(), ValueType.of(int)
    first = 1.5 * 1000 * 1.2 / 1e6  # enough for one request, and not for a longer one after it
    with pytest.raises(UsageError, match="1 request not sent") as raised:
        run(job_of(kernel, first, TEN.head(1), kind))
    assert "the answer has no JSON in it" in raised.value.rows["answer_error"][0]
    assert len(kernel.service.requests) == 1
    run(job_of(kernel, 1.0, TEN.head(1), kind))
    assert len(kernel.service.requests) == 2


@pytest.mark.parametrize("where", ["own server", "unknown model"])
def test_budget_where_no_price_is_known(where: str) -> None:
    """It says that it can't be kept, before anything is sent."""
    kernel = paid(MINIMAX_BASE_URL="http://127.0.0.1:1") if where == "own server" else paid()
    if where == "unknown model":
        kernel.session.options = kernel.session.options.overridden({"model": "mine"})
    with pytest.raises(UsageError, match="a budget can't be used here"):
        job_of(kernel, 1.0)
    assert kernel.service.requests == []


def test_a_recording_that_answers(tmp_path: Path) -> None:
    """`record` takes rows down; `replay` gives them; with `--fill` what is missing is asked."""
    path = tmp_path / "a.jsonl"
    kernel = paid()
    kernel.record(path)
    run(job_of(kernel, None, TEN.head(5)))

    kernel = paid()
    kernel.replay(path)
    assert list(run(job_of(kernel, None, TEN.head(5)))["answer"]) == ["yes"] * 5
    with pytest.raises(UsageError, match="5 of the prompts for 10 rows are not in"):
        run(job_of(kernel, None))
    assert kernel.service.requests == []

    kernel.replay(path, fills=True)
    assert list(run(job_of(kernel, None))["answer"]) == ["yes"] * 10
    assert len(kernel.service.requests) == 5
    run(job_of(kernel, None))
    assert len(kernel.service.requests) == 5
