"""`--without`: the same request without a turn, the system prompt or a variable."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.echo import echo, in_short, thinks
from support.loopback import Connection, Loopback, captured, failure, streamed
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic.errors import MiniMaxError, UsageError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(echo) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


@pytest.fixture
def shell(server: Loopback) -> Iterator[Shell]:
    """A shell whose conversation has three turns: a, b and c."""
    with fresh_shell() as shell:
        for prompt in "abc":
            shell.run(f"%%minimax\n{prompt}")
        server.requests.clear()
        yield shell


def bodies(server: Loopback) -> list[Any]:
    """What was sent, the longest first."""
    return sorted((each.json for each in server.requests), key=lambda each: -len(str(each)))


def texts(replies: Any) -> list[str]:
    return [reply.text for reply in replies]


def card(shell: Shell, cell: str) -> str:
    """The card of a cell that is refused."""
    error = shell.error(cell)
    assert isinstance(error, UsageError)
    return error.card()


# What is sent


def test_a_turn(shell: Shell, server: Loopback) -> None:
    """The turn leaves with its prompt and its answer; the full request is the first answer."""
    replies = shell.run("%%minimax --without 2\nd")

    assert texts(replies) == ["a, b, c, d", "a, c, d"]
    full, other = bodies(server)
    assert full["messages"][:2] + full["messages"][4:5] == [
        *other["messages"][:2], other["messages"][2],
    ]  # fmt: skip
    for body in (full, other):
        roles = [message["role"] for message in body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


@pytest.mark.parametrize(
    ("number", "expected"), [(1, [False, False]), (2, [True, False]), (3, [True, True])]
)
def test_thinking_of_later_turns(
    shell: Shell, server: Loopback, number: int, expected: list[bool]
) -> None:
    """Thinking goes back only of the turns before the one that is left out."""
    shell.run(f"%%minimax --without {number}\nd")

    full, other = bodies(server)
    assert thinks(full) == [True, True, True]
    assert thinks(other) == expected


def test_the_system_prompt(shell: Shell, server: Loopback) -> None:
    """Without `system` the request has none, wherever it was set; the thinking goes with it."""
    shell.run("%minimax -s Brief")
    replies = shell.run("%%minimax --without system\nd")

    assert texts(replies) == ["Brief: a, b, c, d", "a, b, c, d"]
    assert {"system" in body: thinks(body) for body in bodies(server)} == {
        True: [False] * 3, False: [True] * 3
    }  # fmt: skip


def test_a_variable(shell: Shell) -> None:
    """Nothing stands in the place of each insert of the name, and other variables are filled in."""
    shell["notes"] = {"x": "N"}
    shell["more"] = "M"
    replies = shell.run(
        "%%minimax --alone --without notes,more\n({{notes['x']}}) ({{ more }}) {{notes}} !"
    )

    assert texts(replies) == ["(N) (M) {'x': 'N'} !", "() (M)  !", "(N) () {'x': 'N'} !"]


def test_what_is_left_out_is_not_filled_in(shell: Shell) -> None:
    """A value that looks like an insert is text, also beside a variable that is left out."""
    shell["notes"] = "{{more}}"
    shell["more"] = "M"
    replies = shell.run("%%minimax --alone --without more\n{{notes}}{{more}}")

    assert texts(replies) == ["{{more}}M", "{{more}}"]


@pytest.mark.parametrize(
    "line", ["--without 1,system --without notes", "--without 1, system,notes"]
)
def test_several(shell: Shell, line: str) -> None:
    """One request for each thing, in the order of the line, behind the full one."""
    shell["notes"] = "N"
    replies = shell.run(f"%%minimax -s Brief {line}\n{{{{notes}}}} d")

    assert texts(replies) == [
        "Brief: a, b, c, N d", "Brief: b, c, N d", "a, b, c, N d", "Brief: a, b, c,  d",
    ]  # fmt: skip
    assert [*replies.to_frame().without] == ["", "1", "system", "notes"]


def test_beside_lists(shell: Shell, server: Loopback) -> None:
    """Every combination is asked in full and without the turn, `-n` times."""
    replies = shell.run("%%minimax --without 2 -t 0.1,1 -n 2\nd")

    frame = replies.to_frame()
    assert [*zip(frame.temperature, frame.without, frame.text, strict=True)] == [
        (t, *what) for t in (0.1, 1.0)
        for what in (("", "a, b, c, d"), ("2", "a, c, d")) for _ in "12"
    ]  # fmt: skip
    assert len(server.requests) == 8


def test_a_model_that_refuses_an_option(shell: Shell, server: Loopback) -> None:
    """What is wrong with one model is told in its place, with something left out, too."""
    shell.run("%minimax offline")
    shell.run("%%minimax\nd")
    error = shell.error(
        "%%minimax -m MiniMax-M2.7 -m MiniMax-M3 --effort low --max-tokens 5 --without 4\ne"
    )

    assert isinstance(error, MiniMaxError)
    assert error.message.startswith("2 of 4 answers failed; the first error: ")
    assert [reply.status for reply in error.replies or ()] == [
        *["incomplete"] * 2, *["complete"] * 2
    ]  # fmt: skip
    assert server.requests == []


def test_prompt_of_one_line(shell: Shell) -> None:
    """A prompt may follow on the line."""
    assert texts(shell.run("%%minimax --without 2 And d?")) == ["a, b, c, And d?", "a, c, And d?"]


def test_with_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is asked for once more behind what its own request had.

    The type's schema stays where the system prompt is left out.
    """
    heard = []

    def answer(connection: Connection) -> None:
        body = connection.request.json
        heard.append(body)
        text = "1" if len(body["messages"]) > 1 else "none"
        for step in streamed(captured(text=text)):
            step(connection)

    with Loopback(answer) as server, fresh_shell() as shell:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        shell["notes"] = "N"
        replies = shell.run(
            "%%minimax --alone --type int -s Brief --without notes,system\n{{notes}} d"
        )

    assert [reply.value for reply in replies] == [1, 1, 1]
    firsts = [body["messages"][0]["content"] for body in heard]
    assert sorted(firsts) == [" d"] * 2 + ["N d"] * 4
    assert sorted(len(body["messages"]) for body in heard) == [1, 1, 1, 3, 3, 3]
    assert all("JSON" in body["system"] for body in heard)
    assert sum("Brief" in body["system"] for body in heard) == 4


# What becomes of it


def test_the_full_answer_is_the_turn(shell: Shell, server: Loopback) -> None:
    """Later prompts are sent with all turns, and with the full answer; nothing is outdated."""
    shell.run("%%minimax --without 2\nd")
    shell.run("%%minimax\ne")

    body = server.requests[-1].json
    assert in_short(body) == "a, b, c, d, e"
    assert body["messages"][7]["content"][-1]["text"] == "a, b, c, d"
    assert thinks(body) == [True] * 4


@pytest.mark.parametrize(
    ("what", "answer", "thinking"),
    [
        ("2", "Brief: a, c, N d", False),
        ("system", "a, b, c, N d", False),
        ("notes", "Brief: a, b, c,  d", False),
    ],
)
def test_pick(
    shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str], what: str, answer: str,
    thinking: bool,
) -> None:  # fmt: skip
    """The turn keeps its full prompt; the thinking behind less than that is not sent back."""
    shell["notes"] = "N"
    shell.run("%minimax -s Brief")
    shell.run(f"%%minimax --without {what}\n{{{{notes}}}} d")
    capsys.readouterr()
    shell.run("%minimax pick 2")
    told = capsys.readouterr().out
    assert "Turn 4 (“N d”) now uses answer 2. That answer was given without " in told
    shell.run("%%minimax\ne")
    shell.run("%minimax history")

    body = server.requests[-1].json
    assert in_short(body) == "Brief: a, b, c, N d, e"
    assert body["messages"][7]["content"][-1]["text"] == answer
    assert thinks(body)[3] is thinking
    assert "outdated" not in capsys.readouterr().out


@pytest.mark.parametrize("what", ["2", "system", "notes"])
def test_request_of_the_picked_answer(
    shell: Shell, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """`%minimax request N` shows what the answer was given to, and nothing else."""
    shell["notes"] = "N"
    shell.run("%minimax -s Brief")
    shell.run(f"%%minimax --without {what} -o kept\n{{{{notes}}}} d")
    shell.run("%minimax pick 2")
    capsys.readouterr()
    shell.run("%minimax request 4")

    assert in_short(json.loads(capsys.readouterr().out)) == shell["kept"][1].text


def test_outdated_as_any_turn(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is outdated by what is left out; a turn above that goes outdates all below it."""
    shell.run("%%minimax --without 2\nd")
    shell.run("%minimax pick 2")
    capsys.readouterr()
    shell.run("%minimax history")
    assert "outdated" not in capsys.readouterr().out
    shell.run("%minimax forget 1")
    capsys.readouterr()
    shell.run("%minimax history")

    assert "Turns 2 to 4 are outdated" in capsys.readouterr().out


# What is drawn


def test_terminal(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The table, the answers under their labels, and how each differs from the full one."""
    capsys.readouterr()
    shell.run("%%minimax --thinking disabled --without 2\nd")

    out = capsys.readouterr().out
    assert out.startswith("answer  --without  seconds")
    assert "\n1       nothing " in out
    assert "\n2       turn 2 " in out
    assert "\nAnswer 1 · full request\n" in out
    assert "\nAnswer 2 · without turn 2\n" in out
    assert (
        "\nFrom answer 1 (full request) to answer 2 (without turn 2): [-1 word removed-]\n\n"
        "a, [-b,-] c, d\n"
    ) in out


def test_each_beside_its_own_full_answer(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """With other lists, an answer is compared with the full one that has the same settings.

    With `-n` the full answers are compared with the first of them, too.
    """
    capsys.readouterr()
    shell.run("%%minimax -s A -s B --without 2 -n 2 -o x\nd")

    out = capsys.readouterr().out
    titles = [line.partition(":")[0] for line in out.split("\n") if line.startswith("From ")]
    assert titles == [
        f"From answer {first} (-s A · full request · 1 of 2) to answer {second} (-s A · {what})"
        .replace("-s A", f"-s {system}")
        for system, first in (("A", 1), ("B", 5))
        for second, what in (
            (first + 1, "full request · 2 of 2"), (first + 2, "without turn 2 · 1 of 2"),
            (first + 3, "without turn 2 · 2 of 2"),
        )
    ]  # fmt: skip


def test_no_advice_that_is_refused(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing sends the reader of a prompt that was asked before to `--alone`."""
    shell.run("%%minimax\nd")
    capsys.readouterr()
    shell.run("%%minimax --without 2\nd")

    assert "--alone" not in capsys.readouterr().out


def test_many_are_not_all_compared(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Of many answers twelve are compared, so that the page does not wait; a line says so."""
    capsys.readouterr()
    shell.run("%%minimax --without 2 -n 8 --yes\nd")

    out = capsys.readouterr().out
    assert out.count("\nFrom answer 1 ") == 12
    told = "3 more answers are not compared here; %minimax diff --answer K compares one."
    assert told in on_one_line(out)


def test_shown_again(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax show` draws all of it as the cell did, also what a system prompt changed."""
    capsys.readouterr()
    shell.run("%%minimax -s Brief --without system,2\nd")
    drawn = _answers_in(capsys.readouterr().out)
    shell.run("%minimax show")

    assert "From answer 1 (full request) to answer 3 (without turn 2): [-1 word removed-]" in drawn
    assert _answers_in(capsys.readouterr().out) == ["Turn 4: d", *drawn]


def _answers_in(out: str) -> list[str]:
    """The lines that are printed before the status line."""
    return [line for line in out.partition("MiniMax-M2.7 · ")[0].split("\n") if line]


def test_diff_names_it(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax diff` compares the two answers, and names what was left out."""
    shell.run("%%minimax --without 2\nd")
    capsys.readouterr()
    shell.run("%minimax diff")

    assert (
        "Turn 4, from answer 1 (full request) to answer 2 (without turn 2): [-1 word removed-]"
        in capsys.readouterr().out
    )


def test_only_complete_answers_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that failed is compared with nothing; the next full one takes its place."""
    to_fail = [failure(400, "no (2013)", "invalid_request_error")]

    def answer(connection: Connection) -> None:
        step = to_fail.pop() if "system" in connection.request.json and to_fail else echo
        step(connection)

    with Loopback(answer) as server, fresh_shell() as shell:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        error = shell.error("%%minimax --alone -s Brief --without system -n 2\nd")

    assert isinstance(error, MiniMaxError)
    assert error.message.startswith("1 of 4 answers failed: ")
    assert isinstance(error.replies, mm.Replies)
    (whole,) = (each.number for each in error.replies.outcomes[:2] if not each.error)
    titles = [line for line in capsys.readouterr().out.split("\n") if line.startswith("From ")]
    assert [title[:13] for title in titles] == [f"From answer {whole}"] * 2


# What is refused

REFUSED = {
    "no such turn": (
        "--without 7", "there is no turn 7, so it can't be left out",
        "Sent with this prompt: turns 1 to 3.",
    ),
    "not a thing": (
        "--without 2-3", "only a turn, the system prompt or a variable can be left out, got '2-3'",
        "without braces",
    ),
    "no system prompt": (
        "--without system", "no system prompt is set, so there is none to leave out", '`-s "TEXT"`',
    ),
    "several system prompts": (
        "-s A -s B --without system", "with several system prompts", '`-s ""`',
    ),
    "no such variable": (
        "--without more", "the prompt has no {{more}} to leave out",
        "Variables in the prompt: {{notes}}.",
    ),
    "a slip": (
        "--without sytem", "the prompt has no {{sytem}} to leave out",
        "Did you mean `--without system`?",
    ),
    "spaces": ("--without 2 system", "'system' is not an option", "`%%minimax --without 2,system`"),
    "a word too many": (
        "--without turn 2", "'2' is not an option", "`%%minimax --without 2`",
    ),
    "another word": ("--without 2 Hello", "'Hello' is not an option", "The prompt goes on"),
    "braces": (
        "--without {{notes}}", "for a variable, --without takes only its name, got '{{notes}}'",
        "`--without notes`",
    ),
    "an attribute": ("--without notes.x", "got 'notes.x'", "`--without notes`"),
    "literal": (
        "--literal --without notes", "with --literal no variable is filled in",
        "`%%minimax --without notes`",
    ),
    "alone": (
        "--alone --without 2,notes", "with --alone no earlier turns are sent, so turn 2 can't",
        "`%%minimax --without 2,notes`",
    ),
    "twice": ("--without 2 --without 2", "without has the value '2' twice", "-n 2"),
    "rows": (
        "--rows notes --without notes", "it can't be used with --without",
        "`%%minimax --rows notes`",
    ),
    "another conversation": (
        "-c side --without 2", "there is no turn 2", "Sent with this prompt: no earlier turn.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "problem", "step"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("more", ["", " --dry-run"])
def test_refused(
    shell: Shell, server: Loopback, line: str, problem: str, step: str, more: str
) -> None:
    """What is not there is refused before anything is sent, with what there is."""
    shell["notes"] = ["N"]
    told = card(shell, f"%%minimax {line}{more}\n{{{{notes}}}} d")

    assert problem in told
    assert step in told
    assert server.requests == []


def test_nothing_is_left(shell: Shell, server: Loopback) -> None:
    """A prompt that is nothing but the variable can't be asked without it."""
    shell["notes"] = "N"
    told = card(shell, "%%minimax --without notes\n{{notes}}")

    assert "without {{notes}}, nothing is left of the prompt" in told
    assert server.requests == []


def test_forgotten_turn(shell: Shell) -> None:
    """A turn that was forgotten is not there."""
    shell.run("%minimax forget 2")

    told = card(shell, "%%minimax --without 2\nd")
    assert "there is no turn 2" in told
    assert "Sent with this prompt: turns 1 and 3." in told


def test_money(shell: Shell, server: Loopback) -> None:
    """Every request counts: above `confirm_above` nothing is sent, and the line has it all."""
    error = shell.error("%%minimax --without 1,2,3 -n 4 --max-tokens 100\nd")

    assert isinstance(error, MiniMaxError)
    assert error.message == "this would send 16 requests; more than 12 need confirmation"
    assert "at most 1,600 out" in error.next_steps[0]
    assert (
        "To go ahead: `%%minimax --without 1,2,3 -n 4 --max-tokens 100 --yes`" in error.next_steps
    )
    assert server.requests == []


# From Python


def test_in_python(shell: Shell, server: Loopback) -> None:
    """`mm.compare` leaves out turns of the conversation that it names, and the system prompt."""
    del shell
    replies = mm.compare("d", without=[2, "system"], system="Brief", conversation="main")

    assert texts(replies) == ["Brief: a, b, c, d", "Brief: a, c, d", "a, b, c, d"]
    assert [*replies.to_frame().without] == ["", "2", "system"]
    assert texts(mm.compare("d", without="system", system="Brief")) == ["Brief: d", "d"]
    server.requests.clear()
    assert len(mm.compare("e", without=1, conversation="main", n=2)) == 4


@pytest.mark.parametrize("turns", [np.array([1, 2]), range(1, 3), (1, 2), {1: 2, 2: 1}])
def test_any_list_in_python(shell: Shell, turns: Any) -> None:
    """The turns may be in an array, as the values of an option may."""
    del shell
    replies = mm.compare("d", without=turns, conversation="main")

    assert texts(replies) == ["a, b, c, d", "b, c, d", "a, c, d"]


@pytest.mark.parametrize("name", ["without", "max_tokens"])
def test_array_of_no_dimension(shell: Shell, server: Loopback, name: str) -> None:
    """It is one value, and no number of Python's."""
    del shell
    compare: Any = mm.compare
    with pytest.raises(UsageError, match=r"got array\(1\)"):
        compare("d", **{name: np.array(1)})
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "problem", "step"),
    [
        ({"without": 2}, "sends no earlier turns, so turn 2 can't", 'conversation="main"'),
        ({"without": "notes"}, "has no variables, so {{notes}} can't be left out",
         "`%%minimax --without notes`"),
        ({"without": "system"}, "no system prompt is set", 'system="TEXT"'),
        ({"without": 7, "conversation": "main"}, "there is no turn 7", "turns 1 to 3"),
        ({"without": True}, 'without must be the number of a turn or "system", got True', "list"),
        ({"without": 1.5}, "got 1.5", "list"),
        ({"without": [2, 2], "conversation": "main"}, "turn 2 is named twice", "-n 2"),
        ({"without": [1, 2, 3], "n": 4, "conversation": "main"}, "16 requests", "yes=True"),
    ],
)  # fmt: skip
def test_refused_in_python(
    shell: Shell, server: Loopback, options: dict[str, Any], problem: str, step: str
) -> None:
    """A slip is told before anything is sent."""
    del shell
    with pytest.raises(UsageError) as caught:
        mm.compare("d", **options)

    assert problem in caught.value.card()
    assert step in caught.value.card()
    assert server.requests == []
