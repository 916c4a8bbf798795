"""A key is typed into a real kernel, all that could show it is done, and it is found nowhere.

To watch one more channel, add a line to CHANNELS: code for a cell, and a word that the cell has to
show, so that a channel which shows nothing at all fails.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from support.canary import KEY, PRELUDE, answer, found_in
from support.kernels import Cell, Kernel, clean_environment
from support.loopback import Loopback, whole


class Channel(NamedTuple):
    code: str
    shows: str


CHANNELS = {
    "repr of the session": Channel("vars(session)", "TypedKey"),
    "repr of the endpoint": Channel("endpoint", "base_url"),
    "repr of the key": Channel("endpoint.key, session.who.typed_key", "Secret(…)"),
    "text of the key": Channel("print(f'{endpoint.key!s:>40} {endpoint.key}')", "Secret(…)"),
    "dataclasses.fields": Channel(
        "[getattr(endpoint, f.name) for f in dataclasses.fields(endpoint)]", "Secret(…)"
    ),
    "dataclasses.asdict": Channel("tried(dataclasses.asdict, endpoint)", "pickled or"),
    "dir and getattr": Channel("[getattr(endpoint.key, n) for n in dir(endpoint.key)]", "Secret"),
    "inspect.getmembers": Channel("inspect.getmembers(session)", "typed_key"),
    "inspect of the key": Channel("inspect.getmembers(endpoint.key)", "reveal"),
    "pprint": Channel("pprint.pprint(vars(session))", "typed_key"),
    "a debugger's variables": Channel("print(expanded(session))", "typed_key = "),
    "object?": Channel("%pinfo endpoint", "Endpoint"),
    "object??": Channel("%pinfo2 endpoint.key", "Secret"),
    "help": Channel("help(type(endpoint.key))", "reveal"),
    "Tab": Channel("get_ipython().Completer.attr_matches('endpoint.key.')", "reveal"),
    "variables": Channel("%whos", "endpoint"),
    "globals": Channel("repr(globals())", "endpoint"),
    "pickle": Channel("tried(pickle.dumps, endpoint)", "pickled or"),
    "pickle of the session": Channel("tried(pickle.dumps, session)", "rror"),
    "copy": Channel("tried(copy.copy, endpoint.key), tried(copy.deepcopy, endpoint)", "pickled or"),
    "%store": Channel("tried(get_ipython().run_line_magic, 'store', 'endpoint')", "pickled or"),
    "reply": Channel("vars(reply.message) if 0 else (reply, reply.message)", "Rayleigh"),
    "reply, pickled": Channel("pickle.dumps(reply)", "Rayleigh"),
    "reply, expanded": Channel("print(expanded(reply))", "Rayleigh"),
    "%minimax": Channel("%minimax", "with a key"),
    "%minimax request": Channel("%minimax request", "POST /v1"),
    "%minimax request N": Channel("%minimax request 1", "messages"),
    "%minimax models": Channel("%minimax models", "MiniMax-M2.7"),
    "%minimax usage": Channel("%minimax usage", "in / "),
    "%minimax history": Channel("%minimax history", "Why?"),
    "%minimax show": Channel("%minimax show 1", "Rayleigh"),
    "%minimax panel": Channel("%minimax panel", "temperature"),
    "widgets": Channel(
        "%minimax panel\nimport ipywidgets\nipywidgets.Widget.get_manager_state()", "with a key"
    ),
    "%config": Channel("%config MiniMax", "MiniMax.model"),
    "dry run": Channel("%%minimax --dry-run\nWhy?", "POST /v1"),
    "answer": Channel("%%minimax\nWhy?", "Rayleigh"),
    "failed answer": Channel("%%minimax\nfail", "…"),
    "broken answer": Channel("%%minimax\nbreak", "…"),
    "error": Channel("error = caught('fail')\nerror, str(error), vars(error), error.card()", "…"),
    "error, pickled": Channel("pickle.dumps(caught('fail'))", "mm_magic.errors"),
    "error, copied": Channel("vars(copy.deepcopy(caught('fail')))", "…"),
    "traceback module": Channel("print(*traceback.format_exception(caught('break')))", "…"),
    "crash report": Channel("print(crash_report(caught('fail')))", "…"),
    "crash report of a break": Channel("print(crash_report(caught('break')))", "Rayleigh"),
    "crash report without a connection": Channel(
        "url = os.environ['MINIMAX_BASE_URL']\nos.environ['MINIMAX_BASE_URL'] = 'http://127.0.0.1:1'\n"
        "print(crash_report(caught('Why?')))\nos.environ['MINIMAX_BASE_URL'] = url",
        "refused",
    ),
    "crash report, awaited": Channel(
        "try:\n    await mm.ask_async('fail')\nexcept mm.MiniMaxError as error:\n"
        "    print(crash_report(error))",
        "…",
    ),
    "crash report of a cancel": Channel(
        "task = asyncio.ensure_future(mm.ask_async('stall'))\n"
        "while not session.running.runs or not session.running.runs[0].reply().text:\n"
        "    await asyncio.sleep(0.005)\n"
        "task.cancel()\n"
        "try:\n    await task\nexcept asyncio.CancelledError as error:\n"
        "    print(crash_report(error))",
        "CancelledError",
    ),
    "logs": Channel("print(logged(mm.ask, 'Why?'))", "send_request_headers"),
    "logs of a failure": Channel("print(logged(mm.ask, 'break'))", "receive_response_body"),
    "logs of the list": Channel(
        "print(logged(get_ipython().run_line_magic, 'minimax', 'models'))", "GET"
    ),
    "logs in asyncio's debug mode": Channel(
        "loop = asyncio.get_running_loop()\nloop.set_debug(True)\nloop.slow_callback_duration = 0\n"
        "print(logged(mm.ask, 'Why?'))\nloop.set_debug(False)",
        "resumes reading",
    ),
    "warnings": Channel("mm.ask('Why?', max_tokens=4000)", "UserWarning"),
    "the kernel's environment": Channel("dict(os.environ)", "PATH"),
    "%env": Channel("%env", "PATH"),
    "a child's environment": Channel(
        "print(subprocess.check_output([sys.executable, '-c', 'import os; print(os.environ)'],"
        " text=True))",
        "PATH",
    ),
    "a shell's environment": Channel("!env", "PATH"),
    "/proc": Channel(
        "open('/proc/self/environ').read(), open('/proc/self/cmdline').read()", "PATH"
    ),
    "history": Channel("%history -g", "session"),
    "history's file": Channel(
        "get_ipython().history_manager.writeout_cache()\n"
        "get_ipython().history_manager.hist_file, len(open("
        "get_ipython().history_manager.hist_file, 'rb').read())",
        "history.sqlite",
    ),
    "input and output": Channel("(In, list(Out), _ih, _oh)", "session"),
    "%notebook": Channel("%notebook exported.ipynb\nprint(open('exported.ipynb').read())", "cells"),
    "%minimax record": Channel(
        "%minimax record tape.jsonl\nmm.ask('Why?')\nopen('tape.jsonl').read()",
        "Rayleigh",
    ),
    "%minimax request --events": Channel(
        "mm.ask('Why?')\n%minimax request --events", "message_stop"
    ),
    "several answers": Channel("%%minimax --alone -t 0.1,0.5\nWhy?", "Rayleigh"),
    "several answers, one of which fails": Channel("%%minimax --alone -n 2\nfail", "…"),
    "several answers, in Python": Channel(
        "replies = mm.compare('Why?', n=2)\nreplies, replies.to_frame(), vars(replies[0])",
        "Rayleigh",
    ),
    "several answers, pickled": Channel("pickle.dumps([*replies])", "Rayleigh"),
    "an answer that is no value": Channel("%%minimax --alone --type list[str]\nWhy?", "JSON"),
    "a table": Channel("table = mm.map('{{row}}', ['Why?', 'How?'])\ntable", "answer_seconds"),
    "a table, pickled": Channel("pickle.dumps(table)", "answer_seconds"),
    "a worker's function": Channel(
        "from functools import partial\npickle.dumps(partial(mm.map, 'Say {{row}}'))", "Say {{row"
    ),
    "a table that fails": Channel("print(error := tried(mm.map, '{{row}}', ['fail']))", "…"),
    "crash report of a table": Channel("print(crash_report(error), error.rows)", "answer_error"),
    "a cell with rows": Channel(
        "names = ['Why?', 'When?']\nget_ipython().run_cell_magic("
        "'minimax', '--rows names', '{{row}}')",
        "2 rows",
    ),
    "an answers file": Channel(
        "mm.map('{{row}}', ['Why?'], file='rows.jsonl')\nopen('rows.jsonl').read()", "Rayleigh"
    ),
    "the list of a recording": Channel("%minimax replay rows.jsonl --list", "Why?"),
    "an answer that is reused": Channel("%%minimax --reuse\nWhy?", "Rayleigh"),
    "%minimax diff": Channel("%minimax diff", "nswer"),
    "%minimax fork": Channel("%minimax fork idea", "idea"),
    "%minimax code": Channel("tried(get_ipython().run_line_magic, 'minimax', 'code')", "rror"),
    "an error of one's own": Channel(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    sys.last_value = error\n"
        "get_ipython().run_cell_magic('minimax', '--dry-run', '{{last_error}}')",
        "ZeroDivisionError",
    ),
    "connections": Channel(
        "pools = session.client._network._pools.values()\n"
        "clients = [each for pool in pools for some in pool._clients.values() for each in some]\n"
        "print(expanded([client.http for client in clients], 10))",
        "_h11_state",
    ),
}

REPORT = "print(crash_report(sys.last_value))"
MODES = ("Plain", "Context", "Verbose", "Minimal", "Docs")
RAISING = {
    "a cell": "%%minimax\nfail",
    "a synchronous cell": "%%time\nget_ipython().run_cell_magic('minimax', '', 'break')",
    "ask": "mm.ask('fail')",
    "ask_async": "await mm.ask_async('break')",
    "a group": (
        "async with asyncio.TaskGroup() as group:\n    group.create_task(mm.ask_async('fail'))"
    ),
    "a function of the user's": (
        "Holder().method(session, endpoint, endpoint.key, reply, tried(mm.ask, 'fail'))"
    ),
    "a chain": (
        "try:\n    mm.ask('fail')\nexcept mm.MiniMaxError as error:\n"
        "    raise ValueError(endpoint) from error"
    ),
    "a wrong option": "mm.ask('Why?', temperature=endpoint)",
    "pickling": "pickle.dumps(session.who.typed_key)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary")


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback(answer) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(folder: Path, server: Loopback) -> Iterator[Kernel]:
    """A kernel that a key was typed into, with IPython's history and log switched on."""
    with Kernel(folder) as kernel:
        kernel.fresh(server.url)
        kernel.run("%logstart -o -r canary-log.py")
        typed, _ = kernel.run_and_type("%minimax key", KEY)
        assert "The key works" in typed.shown
        prelude = kernel.run(PRELUDE)
        assert prelude.status == "ok", prelude.traceback
        assert not found_in(all_of(typed) + all_of(prelude))
        yield kernel


def all_of(cell: Cell) -> str:
    """Everything that the kernel sent for a cell: outputs in all forms, widgets, errors, pages."""
    return repr(cell.messages) + repr(cell.reply)


@pytest.mark.parametrize("channel", CHANNELS)
def test_key_does_not_leave_by(kernel: Kernel, channel: str) -> None:
    """A channel shows what it is there to show, and nothing of the key."""
    cell = kernel.run(CHANNELS[channel].code)
    assert CHANNELS[channel].shows in all_of(cell)
    assert found_in(all_of(cell)) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("raising", RAISING)
def test_no_traceback_shows_the_key(kernel: Kernel, mode: str, raising: str) -> None:
    """In no mode of `%xmode` does a traceback hold the key, whatever raised and whoever called."""
    codes = (f"%xmode {mode}", RAISING[raising], "%tb", REPORT, "%xmode Context")
    cells = list(map(kernel.run, codes))
    assert cells[1].ename
    assert [found for cell in cells if (found := found_in(all_of(cell)))] == []


@pytest.mark.parametrize(
    "code", ["%%minimax\nstall", "mm.ask('stall')", "await mm.ask_async('stall')"]
)
def test_no_traceback_of_an_interrupt_shows_the_key(
    kernel: Kernel, server: Loopback, code: str
) -> None:
    """An interrupt strikes in the middle of the HTTP library, whose frames hold the headers."""
    kernel.run("%xmode Verbose")
    server.arrived.clear()
    cells = [kernel.run(code, when=lambda _: server.arrived.wait(10)), kernel.run("%tb")]
    cells += [kernel.run(REPORT), kernel.run("%xmode Context")]
    assert cells[0].status == "error"
    assert [found for cell in cells if (found := found_in(all_of(cell)))] == []


def test_no_progress_line_shows_the_key(kernel: Kernel) -> None:
    """The line that grows while a table is asked, and what stays of it after a stop."""
    kernel.run("names = ['Why?', 'stall']")
    rows = "%%minimax --rows names\n{{row}}"
    cell = kernel.run(rows, cell_id="rows", when=lambda cell: "1 of 2" in str(cell.displays))
    assert cell.ename == "Stopped"
    assert len(cell.of("update_display_data")) > 0
    assert found_in(all_of(cell)) == []


def test_key_is_in_one_header_of_each_request(kernel: Kernel, server: Loopback) -> None:
    """What goes over the wire holds the key once: in `Authorization`."""
    kernel.run("mm.ask('Why?')\n%minimax models")
    for request in server.requests:
        others = {n: v for n, v in request.headers.items() if n != "authorization"}
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert found_in(f"{request.path} {others} {request.body!r}") == []


def test_another_host_gets_no_key(kernel: Kernel, server: Loopback) -> None:
    """A typed key stays with its host: another one, also by a redirect, gets none."""
    with Loopback(answer) as other, Loopback(whole(307, b"", location=other.url)) as redirecting:
        there = other.url.replace("127.0.0.1", "localhost")
        kernel.run(f"os.environ['MINIMAX_BASE_URL'] = {there!r}")
        kernel.run("%minimax live")
        kernel.run("mm.ask('Why?')")
        kernel.run(f"os.environ['MINIMAX_BASE_URL'] = {redirecting.url!r}")
        cell = kernel.run("mm.ask('Why?')")
        kernel.run(f"os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
        assert "redirect" in cell.traceback
        sent = {request.headers.get("authorization") for request in redirecting.requests}
        assert sent == {f"Bearer {KEY}"}
        assert not [r for r in other.requests if found_in(repr(r.headers) + repr(r.body))]


def test_no_file_holds_the_key(kernel: Kernel, folder: Path) -> None:
    """No file that the kernel wrote holds it: history, log, exports, profile."""
    kernel.run("get_ipython().history_manager.writeout_cache()")
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"history.sqlite", "canary-log.py", "tape.jsonl", "rows.jsonl"} <= files.keys()
    assert [name for name, data in files.items() if found_in(data.decode("latin-1"))] == []


CELLS = (
    "%load_ext mm_magic", "%minimax", "%%minimax\nWhy?", "%minimax request", "%minimax history",
    "%minimax panel", "%%minimax\nfail", "import mm_magic as mm; mm.ask('break')", "%tb",
    "mm.api.session().endpoint()", "%config MiniMax", "%%minimax -t 0.1,0.5\nWhy?",
    "mm.map('{{row}}', ['Why?'], file='rows.jsonl')", "names = ['Why?', 'fail']",
    "%%minimax --rows names\n{{row}}",
)  # fmt: skip
COMMANDS = (
    ("extract", "night.ipynb", "-o", "turns.jsonl"),
    ("extract", "night.ipynb", "--format", "md"),
    ("strip", "night.ipynb"),
    ("autoload",),
)


@pytest.mark.parametrize("by_file", [False, True])
def test_saved_notebook_holds_no_key(tmp_path: Path, server: Loopback, by_file: bool) -> None:
    """A nightly run with a key from the environment or a file writes a notebook without it, and
    neither do the files that are made of it hold it."""
    secret = tmp_path / "secret" / "key.txt"
    secret.parent.mkdir()
    secret.write_text(KEY)
    source = {"MINIMAX_API_KEY_FILE": str(secret)} if by_file else {"MINIMAX_API_KEY": KEY}
    environment = clean_environment(tmp_path) | source | {"MINIMAX_BASE_URL": server.url}
    v4: Any = nbformat.v4
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code) for code in CELLS])
    path = tmp_path / "night.ipynb"
    here = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True, resources=here)
    client.execute(env=environment)
    path.write_text(v4.writes(notebook))
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "mm_magic", *command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert found_in(done.stdout + done.stderr) == []
    saved = json.loads(path.read_text())
    assert "Rayleigh" in json.dumps(saved)
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p != secret]
    made = {"night.ipynb", "turns.jsonl", "rows.jsonl", "50-mm_magic.py"}
    assert made <= {p.name for p in files}
    assert [p.name for p in files if found_in(p.read_bytes().decode("latin-1"))] == []


def test_there_is_no_option_for_a_key() -> None:
    """No option of the magic, of `ask`, of a setting or of the command line takes a key."""
    from mm_magic.jupyter.arguments import Arguments
    from mm_magic.session.api import AskOptions
    from mm_magic.session.options import Options

    names = {*AskOptions.__annotations__, *Arguments.__slots__, *Options.__slots__}
    assert len(names) > 10
    assert not [name for name in names if "key" in name or "url" in name]
    done = subprocess.run(
        [sys.executable, "-m", "mm_magic", "extract", "--key", KEY, os.devnull],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
