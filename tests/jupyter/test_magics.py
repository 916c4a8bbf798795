"""`%%minimax` in a real IPython shell, against a real server: what is sent, and what comes back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, streamed
from support.shells import Shell, file_with_cell, fresh_shell
from traitlets.config import Config

import mm_magic.session.api
from mm_magic import Reply, UsageError
from mm_magic.session.options import ROWS, Row
from mm_magic.wording import columns

TEXT = "\n\nRayleigh scattering."
SHOWN = "Rayleigh scattering."


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


@pytest.fixture
def shell(server: Loopback) -> Iterator[Shell]:
    del server  # it must be there first
    with fresh_shell() as shell:
        yield shell


def prompt_of(server: Loopback) -> str:
    """The last prompt that the server received."""
    text = server.requests[-1].json["messages"][-1]["content"]
    assert isinstance(text, str)
    return text


# The ways in


def test_request_is_what_the_api_page_asks_for(shell: Shell, server: Loopback) -> None:
    """A cell with no options sends the API page's defaults, and nothing more."""
    shell.run("%%minimax\nWhy is the sky blue?")

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert "authorization" not in request.headers
    assert request.json == {
        "model": "MiniMax-M2.7",
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "stream": True,
        "max_tokens": 2048,
    }


def test_reply_is_the_value_of_the_cell(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The cell's value, `_` and `Out[n]` are the Reply, and it is drawn once."""
    capsys.readouterr()
    reply = shell.run("%%minimax\nWhy?;")

    assert isinstance(reply, Reply)
    assert (reply.text, reply.thinking) == (TEXT, "The sky scatters blue light.")
    assert (reply.status, reply.backend, reply.model) == ("complete", "url", "MiniMax-M2.7")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (39, 41)
    assert shell["_"] is reply
    assert shell["Out"][2] is reply
    shown = capsys.readouterr().out
    assert shown.count(SHOWN) == 1
    assert "Out[" not in shown


@pytest.mark.parametrize(
    "cell", ["_", "Out[2]", "[_][0]", "display(_)", "replies = [_]\nreplies[0]"]
)
def test_reply_is_drawn_when_it_is_shown_later(
    shell: Shell, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another cell that shows the reply draws it, also as the item of a list."""
    shell.run("%%minimax\nWhy?")
    capsys.readouterr()

    shell.run(cell)

    assert capsys.readouterr().out.count(SHOWN) == 1


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\n%%minimax -o reply\nWhy?",
        "%%timeit -n1 -r1\n%%minimax -o reply\nWhy?",
        "get_ipython().run_cell('%%minimax -o reply\\nWhy?')",
        "reply = get_ipython().run_cell_magic('minimax', '', 'Why?')",
        "def ask():\n    return get_ipython().run_cell_magic('minimax', '', 'Why?')\nreply = ask()",
        "for p in ['Why?']:\n    reply = get_ipython().run_cell_magic('minimax', '', p)",
        "import asyncio\nreply = await asyncio.to_thread("
        "get_ipython().run_cell_magic, 'minimax', '', 'Why?')",
    ],
)
def test_synchronous_ways(shell: Shell, server: Loopback, cell: str) -> None:
    """Under another magic, in a function, loop, thread or nested cell it runs to its end."""
    shell.run(cell)

    assert shell["reply"].text == TEXT
    assert prompt_of(server) == "Why?"


def test_autoawait_off(shell: Shell) -> None:
    """With `%autoawait off` the magic runs to its end."""
    shell.run("%autoawait off")

    assert shell.run("%%minimax\nWhy?").text == TEXT


def test_captured_and_shown_later(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%%capture` above the magic keeps the drawing, and shows it when asked."""
    capsys.readouterr()
    shell.run("%%capture captured\n%%minimax -o reply\nWhy?")
    assert capsys.readouterr().out == ""

    shell.run("captured.show()")

    assert capsys.readouterr().out.count(SHOWN) == 1
    assert shell["reply"].text == TEXT


@pytest.mark.parametrize("kind", ["ipynb", "ipy"])
def test_run_of_a_file(shell: Shell, server: Loopback, tmp_path: Path, kind: str) -> None:
    """`%run` of a notebook and of an .ipy file runs the cells with the magic in them."""
    path = file_with_cell(tmp_path, kind, "%%minimax -o reply\nWhy?")

    shell.run(f"%run -i {path}")

    assert prompt_of(server) == "Why?"
    assert shell["reply"].text == TEXT


def test_cells_without_an_id_append(shell: Shell, server: Loopback) -> None:
    """Each cell sends the turns before it; a cell `--alone` sends none and is not remembered."""
    shell.run("%%minimax\nOne")
    shell.run("%%minimax --alone\nTwo")
    shell.run("%%minimax\nThree")
    shell.run("%%minimax -c other\nFour")

    sent = [
        [m["content"] for m in r.json["messages"] if m["role"] == "user"] for r in server.requests
    ]
    assert sent == [["One"], ["Two"], ["One", "Three"], ["Four"]]


# What reaches the wire


@pytest.mark.parametrize(
    "prompt",
    [
        '{"a": {"b": [1, {}]}} {} {0} {x!r} }{ {% if %} {# #} {{ x | y }} {{}} {{1}}',
        r"\frac{a}{b} \(x^2\) \[ y_1 \] $x$ $$\sum$$ \\ \n \t \u0041",
        "$HOME $x ${x} {x} $$ `x` !ls !!ls %time %%time ?x x? x?? ; # @ ~",
        "'single' \"double\" '''triple''' \"\"\"triple\"\"\" r'' f'{x}' \\",
        "👩‍🚀 é é 日本語 ‮عربى ​ \x7f \x85 \ta\t",
        "  indented\n\n\n    more\n\ttab  \n-- -t 0.3 --help",
        "line \\\ncontinued \\",
        "x" * 100_000,
    ],
    ids=["braces", "latex", "shell", "quotes", "unicode", "space", "backslash", "100kB"],
)
def test_prompt_is_literal(shell: Shell, server: Loopback, prompt: str) -> None:
    """Every other character of a prompt reaches the wire as it stands."""
    shell["x"] = "a value"

    shell.run(f"%%minimax\n{prompt}")

    assert prompt_of(server) == prompt


def test_names_in_the_line_are_not_expanded(shell: Shell, server: Loopback) -> None:
    """`$name` and `{expression}` in the magic's line stay text, and run no code."""
    shell.run("x, calls = 'a value', []")

    shell.run('%%minimax -s "$x {x} {calls.append(1)}"\nWhy?')
    shell.run('%minimax -s "$x {calls.append(1)}"')
    shell.run("%%minimax\nWhy?")

    sent = [request.json["system"] for request in server.requests]
    assert sent == ["$x {x} {calls.append(1)}", "$x {calls.append(1)}"]
    assert shell["calls"] == []


def test_variables_are_put_in(shell: Shell, server: Loopback) -> None:
    """`{{name}}` is the variable's value, by attribute and index too, and is not scanned again."""
    shell.run("class Row: title = 'Sky'\nrow, xs, d = Row(), ['{{row}}', '$HOME'], {'k': 5}")

    shell.run("%%minimax\n{{row.title}} {{xs[0]}} {{ xs[-1] }} {{d['k']}}")

    assert prompt_of(server) == "Sky {{row}} $HOME 5"


@pytest.mark.parametrize("name", ["nobody", "row.nothing", "xs[7]"])
def test_unknown_variable(shell: Shell, server: Loopback, name: str) -> None:
    """An unknown name is an error that names it and offers --literal, with which it is text."""
    shell.run("row, xs = object(), []")

    error = shell.error(f"%%minimax\nA {{{{{name}}}}}")

    assert isinstance(error, UsageError)
    assert f"{{{{{name}}}}}" in error.card()
    assert "--literal" in error.card()
    assert not server.requests
    shell.run(f"%%minimax --literal\nA {{{{{name}}}}}")
    assert prompt_of(server) == f"A {{{{{name}}}}}"


def test_nothing_is_called(shell: Shell, server: Loopback) -> None:
    """A call or an expression in double braces is text."""
    shell.run("calls = []")

    shell.run("%%minimax\n{{calls.append(1)}} {{1+1}} {{[c for c in calls]}} {{calls[0+0]}}")

    assert shell["calls"] == []
    assert prompt_of(server).startswith("{{calls.append(1)}} {{1+1}}")


def test_single_braces_of_a_variable_are_hinted_at_once(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    """`{name}` of an existing variable is sent as it stands, with a hint that comes once."""
    shell["city"] = "Paris"
    shell.run("%%minimax\nWhere is {city}?")
    assert "write {{city}} to send its value" in capsys.readouterr().out

    shell.run("%%minimax\nWhere is {city}?")

    assert "to send its value" not in capsys.readouterr().out


# Settings


def test_config_sets_defaults_and_the_line_overrides_them(shell: Shell, server: Loopback) -> None:
    """`%config` and `%minimax -t` set defaults; a cell's line overrides them for that cell."""
    shell.run("%config MiniMax.temperature = 0.5\n%config MiniMax.model = 'Other'")
    shell.run("%minimax --max-tokens 50 --top-p 0.5")
    shell.run("%%minimax -t 0.1 -m Third\nWhy?")
    shell.run("%%minimax\nWhy?")

    names = ("temperature", "model", "max_tokens", "top_p")
    sent = [tuple(r.json[name] for name in names) for r in server.requests]
    assert sent == [(0.1, "Third", 50, 0.5), (0.5, "Other", 50, 0.5)]
    assert shell.run("%config MiniMax.max_tokens") == 50


def test_wrong_config_changes_nothing(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    """A value that is out of range is refused by `%config`, which logs the reason."""
    shell.run("%config MiniMax.temperature = 2")

    assert "temperature must be above 0 and at most 1, got 2" in caplog.text
    assert shell.run("%config MiniMax.temperature") is None


@pytest.mark.parametrize("wrong", ["2", "'hot'"])
def test_wrong_config_does_not_stop_loading(
    shell: Shell, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a refused `%config`, which IPython remembers, the extension can be loaded again."""
    shell.run(f"%config MiniMax.temperature = {wrong}")
    capsys.readouterr()

    shell.run("%reload_ext mm_magic")

    assert "configuration are ignored: " in capsys.readouterr().out
    assert shell.run("%config MiniMax.temperature") is None
    assert mm_magic.session.api.session().options.temperature is None


def test_wrong_config_in_a_kernel_is_forgotten(tmp_path: Path) -> None:
    """In a kernel a value that `%config` refused is not there when the extension loads again."""
    with Kernel(tmp_path) as kernel:
        kernel.fresh()
        kernel.run("%config MiniMax.model = 'Mine'")
        kernel.run("%config MiniMax.max_tokens = 'x'")
        loaded = kernel.run("%unload_ext mm_magic\n%load_ext mm_magic").stdout
        model = kernel.run("%config MiniMax.model")

    assert "configuration" not in loaded
    assert "Mine" in model.shown


def test_ipython_configuration_is_honoured(server: Loopback) -> None:
    """What the user's IPython configuration sets is the default."""
    config = Config()
    config.MiniMax.model = "Mine"
    config.MiniMax.temperature = 0.2
    with fresh_shell(config) as shell:
        shell.run("%%minimax\nWhy?")

    assert (server.json["model"], server.json["temperature"]) == ("Mine", 0.2)


def said() -> frozenset[str]:
    return mm_magic.session.api.session().options.said


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["%config MiniMax.model = 'MiniMax-M2.7'"], {"model"}),
        (["%config MiniMax.retries = 3", "%config IPCompleter.greedy = False"], {"retries"}),
        (["%minimax -m MiniMax-M2.7 -t 0.3"], {"model", "temperature"}),
        (["%minimax -t 0.3", "%minimax -t default"], set()),
        (["%config MiniMax.top_p = 0.5", "%config MiniMax.top_p = None"], set()),
        (["%config MiniMax.temperature = 7"], set()),
    ],
)
def test_what_the_notebook_says(shell: Shell, lines: list[str], expected: set[str]) -> None:
    """A line and `%config` say an option, also one that had the same value; unsetting unsays it."""
    for line in lines:
        shell.run(line)
    assert said() == expected


def test_configuration_file_says_nothing(server: Loopback) -> None:
    """What IPython's configuration sets is sent, and counts as the environment."""
    config = Config()
    config.MiniMax.temperature = 0.2
    with fresh_shell(config) as shell:
        assert said() == set()
        shell.run("%%minimax\nWhy?")
        shell.run("%config MiniMax.temperature = 0.2")
        assert said() == {"temperature"}
    assert server.json["temperature"] == 0.2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_option_is_a_trait(shell: Shell, row: Row) -> None:
    """`%config MiniMax` has each option, and takes None where it may be unset."""
    assert shell.run(f"%config MiniMax.{row.name}") == row.default
    shell.run(f"%config MiniMax.{row.name} = {row.default!r}")
    assert (row.name in said()) == (not row.may_be_unset)


def test_settings_are_told(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax` calls what is not set "default", and so does the line that unsets it."""
    shell.run("%minimax -t default --top-p 0.5")
    assert "From now on: temperature default, top_p 0.5" in capsys.readouterr().out
    shell.run("%minimax")
    said = " ".join(capsys.readouterr().out.split())
    assert "temperature default · top_p 0.5 · max_tokens default" in said


@pytest.mark.parametrize(
    "cell",
    [
        "%minimax",
        "%minimax -h",
        "%minimax record -h",
        "%minimax replay -h",
        "%minimax models",
        "%minimax offline",
        "%minimax record 'the lesson of this week.jsonl'",
        f"%minimax -m no-such-model -s '{'Be brief. ' * 20}'",
        "%reload_ext mm_magic",
        "%minimax replay nothing-like-this-is-in-this-folder-or-in-any-other-one.jsonl",
        "%%minimax -t 0\nWhy?",
    ],
)
def test_what_is_printed_is_broken_at_words(
    shell: Shell,
    cell: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No line is longer than 80 columns: a page would break it within words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/anthropic")
    capsys.readouterr()
    shell.execute(cell)
    said = capsys.readouterr().out

    assert said
    lines = re.sub(r"\x1b\[\d+m", "", said).split("\n")
    assert [line for line in lines if columns(line) > 80] == []


def test_variable_for_the_reply(shell: Shell) -> None:
    """-o NAME puts the reply into a variable."""
    shell.run("%%minimax -o answer\nWhy?")

    assert shell["answer"].text == TEXT


def test_dry_run_sends_nothing(
    shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry-run shows the request, and sends and returns nothing."""
    capsys.readouterr()
    assert shell.run("%%minimax --dry-run -t 0.25\nWhy?") is None

    where, _, body = capsys.readouterr().out.partition("\n")
    assert where == "To your own server: POST /v1/messages"
    assert json.loads(body)["temperature"] == 0.25
    assert not server.requests
