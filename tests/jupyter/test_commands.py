"""The commands of `%minimax` in a real IPython shell, and the cards of errors."""

import json
import re
import socket
from collections.abc import Iterator

import pytest
from support import hostile
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    delta,
    failure,
    head,
    reset,
    sse,
    streamed,
    whole,
)
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

from mm_magic import MiniMaxError, ServiceError
from mm_magic.conversation.catalog import MODELS as CATALOG

MODELS = whole(200, {"data": [{"id": "MiniMax-M9"}, {"id": "M\x1b[31m10"}], "has_more": False})
CONTROLS = [chr(c) for c in (*range(32), *range(0x7F, 0xA0)) if chr(c) not in "\t\n"]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with fresh_shell() as shell:
        yield shell


@pytest.fixture
def asks(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator["Asks"]:
    asks = Asks(shell, monkeypatch)
    yield asks
    for server in asks.servers:
        server.close()


class Asks:
    """A shell whose next requests get these answers."""

    def __init__(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        self._shell = shell
        self._monkeypatch = monkeypatch
        self.servers: list[Loopback] = []

    def of(self, *answers: Answer) -> Loopback:
        server = Loopback(*answers)
        self.servers.append(server)
        self._monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        return server

    def error(self, *answers: Answer, options: str = "") -> MiniMaxError:
        """The error of one cell that gets these answers, without retries."""
        self.of(*answers)
        self._shell.run("%config MiniMax.retries = 0")
        error = self._shell.error(f"%%minimax {options}\nWhy?")
        assert isinstance(error, MiniMaxError)
        return error


# Commands


def test_models_lists_what_the_server_offers(
    shell: Shell, asks: Asks, capsys: pytest.CaptureFixture[str]
) -> None:
    """`%minimax models` lists what the server offers, and marks the one in use."""
    asks.of(MODELS)

    shell.run("%minimax -m MiniMax-M9")
    capsys.readouterr()

    shell.run("%minimax models")

    assert capsys.readouterr().out == "model\nMiniMax-M9\nM␛[31m10\nIn use: MiniMax-M9.\n"


def test_models_without_a_server(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """With the demo, `%minimax models` lists the names that it knows, each on one short line."""
    shell.run("%minimax models")

    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0].split() == ["model", "window", "thinking", "images", "price", "in", "/", "out"]
    assert lines[1].split() == ["MiniMax-M2.7", "204,800", "always", "$0.30", "/", "$1.20"]
    assert [line.split()[0] for line in lines[1:11]] == [*CATALOG]
    assert max(map(len, lines[:-1])) < 80
    assert "The offline demo accepts any model name.\nIn use: MiniMax-M2.7.\n" in shown


@pytest.mark.parametrize("prompt", ["Why?", 'é "q" \\ \x7f \x9b31m \u202e \u2028 👩‍🚀 \U000e0041'])
def test_request_is_what_was_sent(
    shell: Shell, asks: Asks, prompt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`%minimax request` shows the exact JSON that went out, with nothing raw for a terminal."""
    server = asks.of(streamed())
    shell.run("%%minimax\nFirst")
    shell.run(f"%%minimax -t 0.3\n{prompt}")
    capsys.readouterr()

    shell.run("%minimax request")
    _, _, last = capsys.readouterr().out.partition("\n")
    shell.run("%minimax request 1")
    first = capsys.readouterr().out

    assert [json.loads(first), json.loads(last)] == [r.json for r in server.requests]
    assert not [char for char in CONTROLS if char in first + last]


def test_request_of_an_unknown_turn(shell: Shell) -> None:
    """The error of a turn that does not exist names its conversation."""
    assert "conversation main has no turns" in str(shell.error("%minimax request 7"))


def test_code_becomes_the_next_input(shell: Shell, asks: Asks) -> None:
    """`%minimax code` puts the answer's Python into the cell, and runs nothing."""
    text = (
        "Say:\n```python\nboom = 1\nprint('a')\n```\nor\n```text\nno code\n```\n"
        "~~~py\nboom = 2\n~~~\n```\nboom = 3\n```\n"
    )
    asks.of(streamed(captured(text=text)), streamed())
    shell.run("%%minimax\nHow?")
    shell.run("%minimax code")

    assert shell.ip.rl_next_input == "boom = 1\nprint('a')\n\nboom = 2\n\nboom = 3"
    assert "boom" not in shell.ip.user_ns
    shell.run("%%minimax\nWhy?")
    assert "contains no Python code" in str(shell.error("%minimax code"))
    shell.run("%minimax code 1")


LONG = "x = 1\n" * 30_000


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Here:\n```python\nx = 1\ny =", "x = 1\ny ="),
        (f"```python\n{LONG}", LONG.rstrip()),
        ("````python\nx = 1\n`````\nEnough.", "x = 1"),
        ("```text\n```python is how code begins\n```\n~~~PY title='a'\ny = 1\n~~~", "y = 1"),
        ("- First:\n\n  ```python\n  if x:\n      y = '$a$'\n  ```\n", "if x:\n    y = '$a$'"),
        ("> ```python\n> q = 1\n\nEnough.", "q = 1"),
        ("```python\na\u202eb\n```", "a\ufffdb"),
    ],
    ids=["cut", "long and cut", "longer fence", "other code", "in a list", "quoted", "hidden"],
)
def test_code_is_what_is_drawn_as_code(shell: Shell, asks: Asks, answer: str, code: str) -> None:
    """`%minimax code` takes what the drawing shows as code, also where the answer was cut in it."""
    asks.of(streamed(captured(text=answer)))
    shell.run("%%minimax\nHow?")
    shell.run("%minimax code")
    assert shell.ip.rl_next_input == code


@pytest.mark.parametrize(
    "name",
    [
        "python", "py", "Python", "PYTHON3", "python3", "python3.11", "py3", "Python 3", "python-3",
        "ipython", "ipython3", "jupyter", "jupyter-python", "pyodide", "{python}", "{.python}",
        "{#part-1 .python .numberLines}", '{python, echo=FALSE}', "{code-cell} ipython3",
        'python title="x"', "python title='a b' {1,3-4}", 'title="ruby"', "python,linenos",
        "python:main.py", "src/main.py", "stub.pyi", "{code-cell}", "",
    ],
)  # fmt: skip
def test_names_of_python(shell: Shell, asks: Asks, name: str) -> None:
    """What people and models write behind a fence of Python, or nothing at all, is Python."""
    asks.of(streamed(captured(text=f"Say:\n\n~~~{name}\nx = 1\n~~~\n")))
    shell.run("%%minimax\nHow?")
    shell.run("%minimax code")
    assert shell.ip.rl_next_input == "x = 1"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Only words.", "no Python code"),
        ("```python\n```", "no Python code"),
        ("```python\n\n  \n```", "no Python code"),
        ("```\n```", "no Python code"),
        ("```python", "no Python code"),
        ("```bash\nls\n```\n```{r, x=1}\ny\n```\n```bash\ncd\n```", "no Python code, only bash, r"),
        ("```pycon\n>>> 1\n1\n```", "no Python code, only pycon"),
        ("```python-repl\n>>> 1\n1\n```", "only python-repl"),
        ("```micropython\nx\n```", "only micropython"),
        ("```pytb\nx\n```", "only pytb"),
        ("```c++\nx\n```\n```c#\nx\n```", "only c++, c#"),
    ],
)
def test_cell_is_never_emptied(shell: Shell, asks: Asks, answer: str, said: str) -> None:
    """Where an answer holds no Python the error says so, and the cell stays as it is."""
    asks.of(streamed(captured(text=answer)))
    shell.run("%%minimax\nHow?")
    shell.ip.rl_next_input = "untouched"

    assert said in str(shell.error("%minimax code"))
    assert shell.ip.rl_next_input == "untouched"


def test_real_fences(shell: Shell, asks: Asks) -> None:
    """Names of fences as models write them."""
    for case in hostile.load("real-world/commands.json"):
        if "fence" in case:
            asks.of(streamed(captured(text=f"```{case['fence']}\nx = 2\n```")))
            shell.run("%%minimax\nHow?")
            shell.run("%minimax code")
            assert shell.ip.rl_next_input == "x = 2"


def test_offline_and_live(shell: Shell, asks: Asks, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax offline` and `live` switch; `live` with nobody to ask changes nothing."""
    error = shell.error("%minimax live")
    assert isinstance(error, MiniMaxError)
    assert (error.kind, "%minimax key" in error.card()) == ("auth", True)
    assert shell.run("%%minimax --max-tokens 5\nWhy?").backend == "offline"

    server = asks.of(streamed())
    assert shell.run("%%minimax\nWhy?").backend == "url"
    capsys.readouterr()
    shell.run("%minimax offline")
    told = on_one_line(capsys.readouterr().out)
    assert told.endswith("model. `%minimax live` switches back.")
    assert shell.run("%%minimax --max-tokens 5\nWhy?").backend == "offline"
    shell.run("%minimax live")
    capsys.readouterr()
    assert shell.run("%%minimax\nWhy?").backend == "url"
    assert len(server.requests) == 2


def test_offline_without_a_key(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no server to go back to, `%minimax offline` tells how a key is added."""
    capsys.readouterr()
    shell.run("%minimax offline")
    assert capsys.readouterr().out == (
        "From now on, `%%minimax` asks the offline demo, not a language model.\n"
        "`%minimax key` adds a key; then a model answers.\n"
    )


def test_turns_of_the_demo_are_not_sent_on(
    shell: Shell, asks: Asks, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server never gets what the demo said, and the status line tells that."""
    shell.run("%%minimax --max-tokens 150\nWhy?")
    server = asks.of(streamed())
    capsys.readouterr()

    shell.run("%%minimax\nAnd?")

    assert [m["content"] for m in server.json["messages"]] == ["And?"]
    assert "never sent to a model: 1 was left out" in capsys.readouterr().out


def test_max_tokens_above_the_documented_warns_once(
    shell: Shell, asks: Asks, capsys: pytest.CaptureFixture[str]
) -> None:
    """max_tokens above 2048 is sent; a warning comes the first time."""
    server = asks.of(streamed())
    shell.run("%%minimax --max-tokens 4096\nWhy?")
    shell.run("%%minimax --max-tokens 4096\nWhy?")

    assert [r.json["max_tokens"] for r in server.requests] == [4096, 4096]
    assert capsys.readouterr().out.count("above 2048,") == 1


THINKS = "MiniMax-M2.7 always thinks; `--thinking disabled` changes nothing."


@pytest.mark.parametrize("line", ["--thinking disabled", "-m MiniMax-M2.7"])
def test_model_that_always_thinks_is_told_of_at_once(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """Switching off its thinking says that this changes nothing, if MiniMax would be asked."""
    monkeypatch.setenv("MINIMAX_API_KEY", "sk-not-a-key-at-all")
    shell.run("%minimax -m MiniMax-M3 --thinking disabled")
    assert "always thinks" not in capsys.readouterr().out
    shell.run("%minimax -m MiniMax-M2.7 --thinking auto")
    assert "always thinks" not in capsys.readouterr().out
    shell.run("%minimax -m MiniMax-M2.7 --thinking disabled")
    capsys.readouterr()
    shell.run(f"%minimax {line}")
    assert THINKS in on_one_line(capsys.readouterr().out)


@pytest.mark.parametrize("variable", ["MINIMAX_BASE_URL", "nothing"])
def test_thinking_of_the_demo_and_of_own_servers(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    """The demo's can be switched off, and of a server of one's own nothing is known."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    shell.run("%minimax --thinking disabled")
    assert "always thinks" not in capsys.readouterr().out


# Errors


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failure(401, "invalid api key (2049)"), "auth", "`%minimax key`"),
        (failure(402, "insufficient balance (1008)"), "billing", "Top up"),
        (failure(500, "insufficient balance (1008)"), "billing", "Top up"),
        (failure(500, "plan not support model (2061)"), "permission", "-m NAME"),
        (failure(429, "resets at 2026-12-01 00:00 (2056)"), "rate_limit", "2026-12-01 00:00"),
        (failure(429, "rate limit (1002)"), "rate_limit", "Wait a minute"),
        (
            failure(429, "rate limit exceeded(TPM) (1039)"),
            "rate_limit",
            "To use fewer tokens: `%%minimax --alone`",
        ),
        (failure(429, "quota (1028)"), "rate_limit", "a larger plan"),
        (failure(429, "plan limit (2067)"), "rate_limit", "a larger plan"),
        (failure(402, "pay", "billing_error"), "billing", "Top up the account at 127.0.0.1"),
        (failure(529, "high load (2064)"), "overloaded", "Wait a little"),
        (failure(400, "context window exceeds limit (2013)"), "too_large", "--alone"),
        (failure(400, "input sensitive (1026)"), "bad_request", "Rephrase the prompt"),
        (failure(400, "invalid params, x (2013)"), "bad_request", "`%minimax request`"),
        (failure(500, "unknown error (1000)"), "server", "Try again"),
        (failure(504, "timed out (1001)"), "timeout", "Try again"),
        (whole(200, b"<html><h1>Log in</h1></html>", "text/html"), "protocol", "Log in"),
        (whole(502, b"<html>Bad Gateway</html>", "text/html"), "server", "Bad Gateway"),
        (whole(302, b"", location="https://login.test/"), "redirect", "MINIMAX_BASE_URL"),
        ([close], "connection", "Try again"),
        ([reset], "connection", "Try again"),
    ],
)
def test_card_says_what_to_do(
    asks: Asks, answer: Answer, kind: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure is raised, and shown as one card that says who speaks and what to do next."""
    error = asks.error(answer)
    speaker = "MiniMax" if isinstance(error, ServiceError) else "mm_magic"

    shown = capsys.readouterr().out
    assert error.kind == kind
    assert words in error.card()
    assert shown.count(f"{speaker} ({kind}):") == 1
    assert on_one_line(error.card()) in on_one_line(re.sub(r"\x1b\[\d*m", "", shown))
    assert "Traceback" not in shown
    assert error.reply is None


@pytest.mark.parametrize(
    ("message", "options", "line"),
    [
        (
            "invalid params, model requires adaptive thinking (2013)",
            "--thinking disabled",
            "--thinking auto",
        ),
        (
            "thinking.type: enabled is not supported (2013)",
            "--thinking adaptive",
            "--thinking auto",
        ),
        ("this model requires adaptive thinking (2013)", "-m x", "--thinking adaptive"),
        ("adaptive thinking is not supported", "-m MiniMax-M3", "--thinking disabled"),
        (
            "invalid params, output_config is not supported (2013)",
            "--effort low",
            "--effort default",
        ),
        ("This model does not support the effort parameter.", "--effort low", "--effort default"),
        ("`temperature` is deprecated for this model.", "-t 0.3", "-t default"),
        ("temperature is not supported with this model", "-t 0.3", "-t default"),
        ("top_p: not supported", "--top-p 0.5", "--top-p default"),
        (
            "`temperature` and `top_p` cannot both be specified for this model.",
            "-t 0.3 --top-p 0.5",
            "-t default --top-p default",
        ),
        (
            "max_tokens: 600000 > 524288, which is the maximum allowed number of output tokens for "
            "claude-20250929",
            "--max-tokens 600000",
            "--max-tokens 524288",
        ),
        (
            "invalid params, max_tokens must be in [1, 196,608] (2013)",
            "--max-tokens 300000",
            "--max-tokens 196608",
        ),
        ("max_tokens exceeds the limit (2013)", "--max-tokens 4096", "--max-tokens N"),
        ("max_completion_tokens is too large", "--max-tokens 4096", "--max-tokens N"),
        (
            "'max_tokens' is too large: 9000. The maximum context length is 8192 tokens and your "
            "request has 100 input tokens (9000 > 8192 - 100)",
            "--max-tokens 9000",
            "--max-tokens N",
        ),
    ],
)
@pytest.mark.parametrize("in_stream", [False, True])
def test_card_has_the_line_that_works(
    asks: Asks, message: str, options: str, line: str, in_stream: bool
) -> None:
    """Where the server says which option it refuses, the card has the line without it."""
    kind = "invalid_request_error"
    answer: Answer = failure(400, message, kind)
    if in_stream:
        error = {"type": "error", "error": {"type": kind, "message": message}}
        answer = [head(), chunk(sse(*captured()[:2], error)), END]

    card = asks.error(answer, options=options).card()

    assert f"For this cell: `%%minimax {line}`; for all cells: `%minimax {line}`" in card
    assert card.count("For this cell") == 1


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("invalid params (2013)", "-t 0.3 --thinking adaptive --max-tokens 4096"),
        ("temperature is not supported", ""),
        ("messages.1.content.0: Invalid `signature` in `thinking` block", "--thinking adaptive"),
        ("max_tokens: Field required", ""),
        ("max_tokens must be at least 16, got 5", "--max-tokens 5"),
        ("empty messages (2013)", "-t 0.3"),
    ],
)
def test_card_without_a_line(asks: Asks, message: str, options: str) -> None:
    """A message that names no option, or one that nobody set, gets no line about options."""
    card = asks.error(failure(400, message, "invalid_request_error"), options=options).card()

    assert "For this cell" not in card
    assert "To see what was sent: `%minimax request`" in card


@pytest.mark.parametrize("line", ["-t default", "--effort default", "--thinking auto"])
def test_line_of_the_card_works(shell: Shell, asks: Asks, line: str) -> None:
    """With that line nothing of the option is sent."""
    shell.run("%minimax -t 0.3 --effort low --thinking disabled")
    server = asks.of(streamed())
    name = {"-t": "temperature", "--effort": "output_config"}.get(line.split()[0], "thinking")

    shell.run(f"%%minimax {line}\nWhy?")

    assert name not in server.json


@pytest.mark.parametrize("status", [402, 500])
@pytest.mark.parametrize(
    ("kind", "there", "other"),
    [
        ("sk-api-", "draws on the account's balance", "`sk-cp-`"),
        ("sk-cp-", "draws on a subscription plan", "`sk-api-`"),
        ("eyJhbGciOi", "two kinds of key", "`sk-cp-…`"),
        ("", "two kinds of key", "`sk-cp-…`"),
    ],
)
def test_card_names_the_kind_of_the_key(
    asks: Asks, monkeypatch: pytest.MonkeyPatch, status: int, kind: str, there: str, other: str
) -> None:
    """Without money of the key's kind the card tells of the other kind, and shows no key."""
    key = f"{kind}A1b2C3d4E5f6G7h8" if kind else ""
    monkeypatch.setenv("MINIMAX_API_KEY", key)

    card = asks.error(failure(status, f"insufficient balance of {key} (1008)")).card()

    assert there in card
    assert other in card
    assert f"begins with `{kind}`" in card or "two kinds" in there
    for beginning in range(len(kind) + 1, len(key) + 1):
        assert key[:beginning] not in card


def test_limit_in_mid_answer(asks: Asks) -> None:
    """A rate limit that cuts an answer is no used-up quota, though it is not tried again."""
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "busy (1002)"}}
    cut = asks.error([head(), chunk(sse(*captured()[:-2], error)), END])

    assert (cut.kind, cut.retryable) == ("rate_limit", False)
    assert "Wait a minute" in cut.card()


def test_request_id_is_on_the_card(asks: Asks) -> None:
    """What support asks for is on the card: code, HTTP status and request id."""
    card = asks.error(failure(500, "unknown error (1000)")).card()

    assert "MiniMax's code 1000 · HTTP 500 · request ID req-7" in card


def test_refused_connection(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is told, with what to check."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("MINIMAX_BASE_URL", f"http://127.0.0.1:{port}")
    shell.run("%config MiniMax.retries = 0")

    error = shell.error("%%minimax\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert error.kind == "connection"
    assert "127.0.0.1 refused the connection" in error.card()
    assert "that the server is running" in error.card()


@pytest.mark.parametrize("status", [400, 404])
def test_unknown_model_lists_those_that_exist(asks: Asks, status: int) -> None:
    """An unknown model's card lists what the server offers, and the line that switches."""
    unknown = failure(status, "invalid params, unknown model 'x' (2013)")

    card = asks.error(unknown, MODELS, options="-m x").card()

    assert "The server offers: MiniMax-M9" in card
    assert "`%minimax -m MiniMax-M9`" in card


@pytest.mark.parametrize(
    ("name", "line"), [("My Model", '`%minimax -m "My Model"`'), ("M\n%time", "offers: M\n%time\n")]
)
def test_line_that_switches_can_be_run(asks: Asks, name: str, line: str) -> None:
    """A model's name stands in quotes where it needs them; one that can't be typed has no line."""
    unknown = failure(400, "invalid params, unknown model 'x' (2013)")

    card = asks.error(unknown, whole(200, {"data": [{"id": name}]}), options="-m x").card()

    assert line in card
    assert ("-m" in card) == (" " in name)


def test_nobody_to_ask(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only a live answer may come and there is no key, the card names the ways out."""
    monkeypatch.setenv("MINIMAX_BACKEND", "live")

    for cell in ("%%minimax\nWhy?", "%minimax models"):
        error = shell.error(cell)
        assert isinstance(error, MiniMaxError)
        assert error.kind == "auth"
        for way in ("`%minimax key`", "`%minimax offline`", "MINIMAX_API_KEY", "MINIMAX_BASE_URL"):
            assert way in error.card()


@pytest.mark.parametrize("address", ["localhost", "ftp://x", "https://ann:pw@host"])
def test_wrong_address(shell: Shell, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """An address that can't be one is told, without showing what stands there."""
    monkeypatch.setenv("MINIMAX_BASE_URL", address)

    error = shell.error("%%minimax\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert "MINIMAX_BASE_URL" in error.card()
    assert "pw" not in error.card()


@pytest.mark.parametrize("in_stream", [True, False])
def test_what_came_is_kept(
    shell: Shell, asks: Asks, in_stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that breaks off stays drawn and in `.reply`; the conversation does not get it."""
    begun = [chunk(sse(event)) for event in captured()[:8]]
    broken = {"type": "error", "error": {"type": "api_error", "message": "filtered (1027)"}}
    server = asks.of([head(), *begun, *([chunk(sse(broken))] if in_stream else []), END])

    error = shell.error("%%minimax -o kept\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert error.kind == ("bad_request" if in_stream else "protocol")
    assert error.reply is not None
    assert (error.reply.text, error.reply.status) == ("\n\nRayleigh scattering.", "incomplete")
    assert shell["kept"].text == error.reply.text
    assert "Rayleigh scattering." in capsys.readouterr().out
    shell.execute("%%minimax\nAnd?")
    assert len(server.requests[1].json["messages"]) == 1


def test_escapes_never_reach_the_terminal(
    shell: Shell, asks: Asks, capsys: pytest.CaptureFixture[str]
) -> None:
    """Terminal escapes in texts, model names and errors of a server are never printed raw."""
    bad = "\x1b]0;x\x07\x9b31m\x1b[2J\r\x08"
    events = captured(thinking=f"think {bad}", text=f"say {bad}")
    events[0]["message"]["model"] = f"model {bad}"
    events.insert(-2, delta(1, "text_delta", text=bad))
    asks.of(streamed(events), MODELS, failure(400, f"wrong {bad} (2013)"))

    shell.run("%%minimax\nWhy?")
    shell.run("_")
    shell.run("[_]")
    shell.run("%minimax models")
    shell.run("%minimax")
    error = shell.error("%%minimax\nWhy?")

    shown = capsys.readouterr().out
    for word in ("think", "say", "model", "M", "wrong"):
        assert word in shown
    shown = shown.replace("\x1b[1mMiniMax (bad_request):\x1b[0m", "")
    assert not [char for char in CONTROLS if char in shown + str(error)]
