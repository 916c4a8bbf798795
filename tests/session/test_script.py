"""What a plain script, or a cell that calls `mm.ask`, gets to read when something is wrong."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from support.kernels import Kernel, clean_environment
from support.loopback import Loopback, failure, streamed
from support.printed import on_one_line
from support.rows import echo

import mm_magic as mm
from mm_magic.session.api import forget_session


@pytest.fixture(autouse=True)
def _new_session() -> None:
    forget_session()


def traceback_of(code: str, folder: Path, **environment: str) -> str:
    """What a script that fails prints on stderr."""
    script = folder / "script.py"
    script.write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, script],
        env=clean_environment(folder) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_traceback_ends_at_the_users_line(tmp_path: Path) -> None:
    """A script's traceback is the user's line, the error, and what to do; nothing of the loop."""
    shown = traceback_of("import mm_magic as mm\nmm.ask('Why?')\n", tmp_path)

    assert "mm.ask('Why?')" in shown
    assert "no API key is set" in shown
    assert "→ In a script: set the environment variable MINIMAX_API_KEY" in shown
    assert "During handling" not in shown
    assert shown.count("  File ") == 2


def test_error_of_the_service_names_the_way_out(tmp_path: Path) -> None:
    """An error that the server sent has its next steps below the message."""
    with Loopback(failure(404, "model: M9", "not_found_error"), streamed()) as server:
        shown = traceback_of(
            "import mm_magic as mm\nmm.ask('Why?', model='M9')\n",
            tmp_path,
            MINIMAX_BASE_URL=server.url,
        )

    assert "the service does not know this model" in shown
    assert "→ " in shown
    assert "During handling" not in shown


def test_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that does not exist, and a prompt that is no text, are errors that say so."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")

    with pytest.raises(mm.UsageError, match="ask has no option 'temprature'") as unknown:
        mm.ask("Why?", temprature=1)  # type: ignore[call-overload]
    assert "temperature" in unknown.value.next_steps[0]
    with pytest.raises(mm.UsageError, match="the prompt must be text, got set"):
        mm.ask({"Why?"})  # type: ignore[call-overload]


def test_large_max_tokens_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """max_tokens above the page's 2048 is sent, with one warning a session."""
    with Loopback(streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with pytest.warns(UserWarning, match="max_tokens 5000 is above 2048,"):
            mm.ask("Why?", max_tokens=5000)
        mm.ask("Why?", max_tokens=5000)
        assert [request.json["max_tokens"] for request in server.requests] == [5000, 5000]


LINES = {
    "mm.ask": "mm.ask('Why?', max_tokens=5000)",
    "mm.compare": "mm.compare('Why?', n=2, max_tokens=5000)",
    "mm.map": "mm.map('boom {{row}}', ['a'])",
    "await": "asyncio.run(main())",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_warning_names_the_users_line(line: str, tmp_path: Path) -> None:
    """A warning points to the line that asked, however the answer was waited for."""
    code = (
        "import asyncio, mm_magic as mm\n"
        "async def main():\n"
        "    await mm.ask_async('Why?', max_tokens=5000)\n"
        f"{line}\n"
    )
    (tmp_path / "script.py").write_text(code, "utf-8")
    with Loopback(echo) as server:
        environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip

    number = 3 if "main" in line else 4
    assert f"script.py:{number}: UserWarning" in done.stderr


def test_error_keeps_its_notes_when_pickled() -> None:
    """A pool of processes gives the whole error back."""
    error = mm.UsageError("no", next_steps=("Do this.",))

    again = pickle.loads(pickle.dumps(error))

    assert (str(again), again.next_steps, again.__notes__) == ("no", ("Do this.",), ["→ Do this."])


def test_repr_of_a_reply_begins_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a plain prompt a reply shows what it says."""
    with Loopback(streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        reply = mm.ask("Why?")
    assert repr(reply) == f"Reply({reply.text!r}, status='complete', backend='url')"


def test_card_names_the_lines_of_the_cell(tmp_path: Path) -> None:
    """In a cell with several calls the card says which one failed; a magic alone needs no line."""
    with Loopback(failure(401, "no", "authentication_error")) as server, Kernel(tmp_path) as kernel:
        kernel.fresh(server.url)
        called = kernel.run("import mm_magic as mm\ndef f(q):\n    return mm.ask(q)\n\nf('Why?')")
        magic = kernel.run("%%minimax\nWhy?")

    assert "line 5 in <module>: f('Why?')" in called.traceback
    assert "line 3 in f: return mm.ask(q)" in called.traceback
    assert "  line " not in magic.traceback


def test_unload_forgets_key_and_conversation(tmp_path: Path) -> None:
    """%unload_ext takes out the session, too: the key, the settings, the turns."""
    with Loopback(streamed()) as server, Kernel(tmp_path) as kernel:
        kernel.fresh(server.url)
        kernel.run_and_type("%minimax key", "sk-secret-1")
        kernel.run("%%minimax\nOne")
        kernel.run("%unload_ext mm_magic")
        loaded = kernel.run("%load_ext mm_magic")
        kernel.run("%%minimax\nTwo")

    assert "without a key" in on_one_line(loaded.stdout)
    assert "authorization" not in server.requests[-1].headers
    assert len(server.requests[-1].json["messages"]) == 1
