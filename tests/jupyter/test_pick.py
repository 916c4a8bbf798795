"""`%minimax pick`: another answer of a comparison becomes its turn."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from support.loopback import Answer, Connection, Loopback, captured, close, failure, streamed
from support.shells import Shell, fresh_shell

from mm_magic import MiniMaxError


def said_back(connection: Connection) -> None:
    """An answer that says its temperature: it does not depend on who comes first."""
    value = connection.request.json.get("temperature")
    for step in streamed(captured(text=f"at {value}")):
        step(connection)


def fails_at(temperature: float, answer: Answer) -> Callable[[Connection], None]:
    """One temperature gets another answer."""

    def respond(connection: Connection) -> None:
        if connection.request.json.get("temperature") != temperature:
            said_back(connection)
            return
        for step in [answer] if callable(answer) else answer:
            step(connection)

    return respond


Open = Callable[..., tuple[Shell, Loopback]]


@pytest.fixture
def open_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A shell whose server answers so."""
    opened: list[Any] = []

    def open_(answer: Answer = said_back) -> tuple[Shell, Loopback]:
        server = Loopback(answer)
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        manager = fresh_shell()
        opened[:0] = [manager, server]
        return manager.__enter__(), server

    yield open_
    for each in opened:
        each.__exit__(None, None, None)


LAKE = "%%minimax -t 0.1,1\nName a lake."


def texts(server: Loopback) -> list[str]:
    """What the last request carried."""
    return [
        content if isinstance(content, str) else content[-1]["text"]
        for content in (message["content"] for message in server.requests[-1].json["messages"])
    ]


def test_picked_answer_is_sent(open_shell: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """The next request carries the answer that was picked, and the cell says what it did."""
    shell, server = open_shell()
    shell.run(LAKE)
    assert "continues with answer 1; `%minimax pick 2` chooses another." in capsys.readouterr().out
    shell.run("%minimax pick 2")
    shell.run("%%minimax\nHow deep?")

    assert capsys.readouterr().out.startswith("Turn 1 (“Name a lake.”) now uses answer 2.\n")
    assert texts(server) == ["Name a lake.", "at 1.0", "How deep?"]


def test_later_turns_are_outdated(open_shell: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """Turns made with another answer are marked until that one is picked again."""
    shell, _ = open_shell()
    shell.run(LAKE)
    shell.run("%%minimax\nHow deep?")
    capsys.readouterr()
    shell.run("%minimax pick 2")
    assert "Turn 2 is outdated" in capsys.readouterr().out
    shell.run("%minimax pick 2")
    assert capsys.readouterr().out == "Turn 1 (“Name a lake.”) now uses answer 2.\n"
    shell.run("%minimax pick 1")
    shell.run("%minimax history")
    assert "outdated" not in capsys.readouterr().out


def test_commands_show_the_picked_answer(
    open_shell: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    """`history`, `show`, `request` and `code` are about the answer that was picked."""
    shell, _ = open_shell()
    shell.run(LAKE)
    shell.run("%minimax pick 2")
    capsys.readouterr()
    shown = []
    for command in ("history", "show", "show 1", "request 1", "request 1 --events"):
        shell.run(f"%minimax {command}")
        shown.append(capsys.readouterr().out)
    history, last, numbered, request, events = shown

    assert "at 1.0" in history
    assert history.count("answer 2 of 2") == 1
    assert last == numbered
    assert "continues with answer 2; `%minimax pick 1` chooses another." in last
    assert '"temperature": 1.0' in request
    assert "at 1.0" in events


def test_request_that_was_sent_last(open_shell: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a number `request` is about the picked answer, until another request is sent."""
    shell, _ = open_shell()
    shell.run(LAKE)
    for answer, temperature in ((2, "1.0"), (1, "0.1")):
        shell.run(f"%minimax pick {answer}")
        capsys.readouterr()
        shell.run("%minimax request")
        assert f'"temperature": {temperature}' in capsys.readouterr().out
        shell.run("%minimax request --events")
        assert f"at {temperature}" in capsys.readouterr().out

    shell.run("%%minimax --alone -t 0.7\nWhy?")
    shell.run("%minimax pick 2")
    capsys.readouterr()
    shell.run("%minimax request")
    assert '"temperature": 0.7' in capsys.readouterr().out


def test_run_again_begins_with_the_first(
    open_shell: Open,
) -> None:
    """A comparison that runs again continues with answer 1, even where the same answers come."""
    shell, server = open_shell()
    shell.run(LAKE)
    shell.run("%minimax pick 2")
    shell.run("%minimax forget 1")
    shell.run("%minimax restore")
    shell.run("%%minimax\nHow deep?")
    assert texts(server)[1] == "at 1.0"  # what was forgotten comes back as it was

    shell.run(LAKE)
    shell.run("%%minimax\nHow deep?")
    assert texts(server)[-2:] == ["at 0.1", "How deep?"]


def test_other_conversation_is_named(open_shell: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """The last comparison counts, in whatever conversation it ran."""
    shell, _ = open_shell()
    shell.run(LAKE)
    shell.run("%%minimax -t 0.1,1 -c side\nName a river.")
    capsys.readouterr()
    shell.run("%minimax pick 2")

    assert capsys.readouterr().out == "Turn 1 of side (“Name a river.”) now uses answer 2.\n"


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("3", "there is no answer 3: turn 1 has 2 answers"),
        ("0", "there is no answer 0: turn 1 has 2 answers"),
        ("9" * 5000, "pick needs the number of an answer, got '9"),
        ("", "pick needs the number of an answer"),
        ("two", "pick needs the number of an answer, got 'two'"),
        ("-1", "-1"),
        ("1.5", "pick needs the number of an answer, got '1.5'"),
        ("1 2", "pick takes one word, got 2"),
    ],
)
def test_wrong_words(open_shell: Open, word: str, what: str) -> None:
    """What is no number of an answer changes nothing, and the error says so."""
    shell, server = open_shell()
    shell.run(LAKE)
    assert what in str(shell.error(f"%minimax pick {word}"))

    shell.run("%%minimax\nHow deep?")
    assert texts(server)[1] == "at 0.1"


BROKEN = [*streamed(captured(text="lost"))[:6], close]
EMPTY = streamed(captured(text=" "))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (failure(429, "slow down", "rate_limit_error"), "answer 2 failed: "),
        (BROKEN, "answer 2 failed: "),
        (EMPTY, "answer 2 has no text"),
    ],
    ids=["refused", "broken", "empty"],
)
def test_answer_that_did_not_come(open_shell: Open, answer: Answer, what: str) -> None:
    """What failed, broke off or is empty can't be picked; the error names an answer that can."""
    shell, _ = open_shell(fails_at(0.5, answer))
    shell.execute("%config MiniMax.retries = 0")
    shell.execute("%%minimax -t 0.1,0.5,1\nName a lake.")
    error = shell.error("%minimax pick 2")

    assert isinstance(error, MiniMaxError)
    assert error.message.startswith(what)
    assert error.next_steps == ("To pick another one: `%minimax pick 3`",)


def test_nothing_to_pick(open_shell: Open) -> None:
    """Before a comparison, after one alone, and after one that was forgotten, the error helps."""
    shell, _ = open_shell()
    shell.run("%%minimax\nWhy?")
    found = shell.error("%minimax pick 2")
    assert isinstance(found, MiniMaxError)
    assert found.next_steps == ("Ask for two with `%%minimax -n 2`, then run this again.",)

    shell.run(LAKE)
    shell.run("%minimax forget 2")
    found = shell.error("%minimax pick 2")
    assert "the answers to pick from are in turn 2 of main, which was forgotten" in str(found)
    assert "`%minimax restore 2`" in str(getattr(found, "next_steps", ""))
    shell.run("%minimax restore 2")
    shell.run("%minimax pick 2")

    shell.run("%%minimax -n 2 --alone\nWhy?")
    assert "`--alone`" in str(shell.error("%minimax pick 2"))


def test_all_failed(open_shell: Open) -> None:
    """Where no answer arrived, none can be picked, also not one of an earlier comparison."""
    shell, _ = open_shell(fails_at(0.5, failure(400, "no", "invalid_request_error")))
    shell.run(LAKE)
    shell.error("%%minimax -t 0.5 -n 2\nName a lake.")

    assert "no answer of the last comparison has text" in str(shell.error("%minimax pick 2"))


def test_replies_and_python(open_shell: Open) -> None:
    """A comparison from Python in a conversation can be picked from, too."""
    shell, server = open_shell()
    shell.run("import mm_magic as mm")
    code = "mm.compare('Name a lake.', temperature=[0.1, 0.9], conversation='main')"
    shell.run(f"kept = {code}\n%minimax pick 2")
    shell.run("%%minimax\nHow deep?")

    assert texts(server)[1] == "at 0.9"
    assert [str(reply) for reply in shell["kept"]] == ["at 0.1", "at 0.9"]


def completed(shell: Shell, text: str) -> list[str]:
    """What Tab offers at the end of `text`."""
    with provisionalcompleter():
        return [found.text for found in shell.ip.Completer.completions(text, len(text))]


def test_tab_offers_the_answers(open_shell: Open) -> None:
    """Tab offers the answers that can be picked."""
    shell, _ = open_shell(fails_at(0.5, failure(400, "no", "invalid_request_error")))
    assert completed(shell, "%minimax pick ") == ["--help"]
    shell.execute("%%minimax -t 0.1,0.5,1\nName a lake.")

    assert completed(shell, "%minimax pick ") == ["1", "3"]
