"""Where key, address and backend come from, and where a key never goes."""

import copy
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from traceback import walk_tb

import pytest
from IPython.core.ultratb import VerboseTB

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.options import Options, first_options
from mm_magic.session.session import Session
from mm_magic.session.who_answers import (
    DEFAULT_BASE_URL,
    Choice,
    Environment,
    TypedKey,
    WhoAnswers,
    anthropic_hint,
    choose_endpoint,
    clean_key,
    normalise_base_url,
    odd_key_note,
)
from mm_magic.transport.endpoint import Endpoint, Secret, is_loopback

KEY = "sk-very-secret-value"
WITH_KEY = {"MINIMAX_API_KEY": KEY}
OWN = "http://127.0.0.1:8080"
WITH_URL = {"MINIMAX_BASE_URL": OWN}
LIVE, OFFLINE = {"MINIMAX_BACKEND": "live"}, {"MINIMAX_BACKEND": "offline"}

DEMO, NO_KEY = "the demo", "an error"


def answering(environ: dict[str, str], choice: Choice, demo_allowed: bool) -> str:
    """Who answers: an address, DEMO, or NO_KEY."""
    try:
        endpoint = choose_endpoint(environ, choice, None, demo_allowed=demo_allowed)
    except MiniMaxError as error:
        if error.kind != "auth":
            raise
        return NO_KEY
    return endpoint.base_url if endpoint else DEMO


@pytest.mark.parametrize(
    ("environ", "choice", "in_notebook", "in_script"),
    [
        ({}, "auto", DEMO, NO_KEY),
        ({}, "live", NO_KEY, NO_KEY),
        ({}, "offline", DEMO, DEMO),
        (LIVE, "auto", NO_KEY, NO_KEY),
        (LIVE, "offline", DEMO, DEMO),
        (OFFLINE, "auto", DEMO, DEMO),
        (OFFLINE | WITH_KEY, "auto", DEMO, DEMO),
        (OFFLINE | WITH_KEY, "live", DEFAULT_BASE_URL, DEFAULT_BASE_URL),
        (WITH_KEY, "auto", DEFAULT_BASE_URL, DEFAULT_BASE_URL),
        (WITH_KEY, "offline", DEMO, DEMO),
        (WITH_URL, "auto", OWN, OWN),
        (WITH_URL, "live", OWN, OWN),
        (WITH_URL | LIVE, "auto", OWN, OWN),
        (WITH_URL | OFFLINE, "auto", DEMO, DEMO),
        (WITH_URL | WITH_KEY, "auto", OWN, OWN),
        ({"MINIMAX_API_KEY": "  ", "MINIMAX_BASE_URL": ""}, "auto", DEMO, NO_KEY),
    ],
)
def test_who_answers(
    environ: dict[str, str], choice: Choice, in_notebook: str, in_script: str
) -> None:
    """The backend follows from the choice, MINIMAX_BACKEND, a key and an address, in this order."""
    assert answering(environ, choice, True) == in_notebook
    assert answering(environ, choice, False) == in_script


def test_unknown_backend() -> None:
    """MINIMAX_BACKEND is one of two words, and the error shows what it was."""
    with pytest.raises(UsageError, match="live or offline, got 'maybe'"):
        answering({"MINIMAX_BACKEND": "maybe"}, "auto", True)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/messages", "/v1/messages/"])
@pytest.mark.parametrize("base", [DEFAULT_BASE_URL, "http://localhost:8080", "http://[::1]:1/x"])
def test_base_url_in_all_forms(base: str, end: str) -> None:
    """The forms in which people paste an address all mean the same."""
    assert normalise_base_url(f" '{base}{end}' ") == base


@pytest.mark.parametrize(
    "url",
    [
        KEY,
        "api.minimax.io",
        "ftp://api.minimax.io",
        "https://",
        "http://[",
        "http://x:port",
        f"https://me:{KEY}@api.minimax.io",
        f"https://{KEY}@api.minimax.io",
        "https://api.minimax.io\\@evil.invalid",
        f"me:{KEY}@api.minimax.io",
    ],
)
def test_base_url_refused(url: str) -> None:
    """What is no plain http or https address is refused, and not shown: it may hold a secret."""
    with pytest.raises(UsageError) as caught:
        normalise_base_url(url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f" {KEY}\n",
        f'"{KEY}"',
        f"'{KEY}'",
        f"Bearer {KEY}",
        f'"bearer {KEY}"',
        f"BEARER '{KEY}'",
    ],
)
def test_key_is_cleaned(pasted: str) -> None:
    """White space, quotes and "Bearer" around a pasted key are taken off."""
    key = clean_key(pasted)
    assert key is not None
    assert key.reveal() == KEY


@pytest.mark.parametrize("empty", ["", "  ", '""', "Bearer  ''"])
def test_no_key_left(empty: str) -> None:
    """A key of nothing but wrapping is no key."""
    assert clean_key(empty) is None


@pytest.mark.parametrize("pasted", [f"{KEY} x", f"{KEY}\nX-Evil: 1", f"{KEY}\u200b", "clé"])
def test_impossible_key(pasted: str) -> None:
    """A key with a character that no header takes is refused without being shown."""
    with pytest.raises(UsageError) as caught:
        clean_key(pasted)
    assert KEY not in str(caught.value)


def key_of(environ: dict[str, str], typed: TypedKey | None = None) -> str | None:
    endpoint = choose_endpoint(environ, "live", typed, demo_allowed=False)
    assert endpoint is not None
    return endpoint.key.reveal() if endpoint.key else None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("content", [KEY, f"{KEY}\n", f"{KEY}\r\n"])
def test_key_file(tmp_path: Path, content: str, encoding: str) -> None:
    """The key may stand in a file, as editors and shells on all systems write it."""
    path = tmp_path / "key.txt"
    path.write_text(content, encoding, newline="")
    assert key_of({"MINIMAX_API_KEY_FILE": str(path)}) == KEY
    assert key_of({"MINIMAX_API_KEY_FILE": str(path), "MINIMAX_API_KEY": "sk-2"}) == "sk-2"


def test_unreadable_key_file(tmp_path: Path) -> None:
    """A key file that can't be read is the user's error."""
    binary = tmp_path / "key"
    binary.write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path / "none", tmp_path, binary, "~no-such-user/key"):
        with pytest.raises(UsageError, match="MINIMAX_API_KEY_FILE can't be read"):
            key_of({"MINIMAX_API_KEY_FILE": str(path)})


@pytest.mark.parametrize(
    ("url", "trusted", "goes"),
    [
        ("https://api.minimax.io/anthropic", "", True),
        ("https://somewhere.invalid", "", True),
        ("http://127.0.0.1:1", "", True),
        ("http://[::1]:1", "", True),
        ("http://localhost:1", "", True),
        ("http://api.minimax.io", "", False),
        ("http://127.0.0.1.evil.invalid", "", False),
        ("http://localhost.evil.invalid", "", False),
        ("http://hub.invalid", "", False),
        ("http://hub.invalid", "hub.invalid", True),
        ("http://hub.invalid", "proxy, hub.invalid", True),
        ("http://x.hub.invalid", "hub.invalid", False),
    ],
)
def test_where_a_key_goes(url: str, trusted: str, goes: bool) -> None:
    """A key goes over https, to this machine, or to a host that the environment trusts."""
    environ = WITH_KEY | {"MINIMAX_BASE_URL": url, "MINIMAX_TRUSTED_HTTP": trusted}
    if goes:
        assert key_of(environ) == KEY
    else:
        with pytest.raises(UsageError, match="over plain http"):
            key_of(environ)


def test_typed_key_is_for_its_host_only() -> None:
    """A typed key comes before the environment's at its own host, and is unknown elsewhere."""
    typed = TypedKey(Secret("sk-typed"), "api.minimax.io")
    assert key_of(WITH_KEY, typed) == "sk-typed"
    assert key_of(WITH_URL, typed) is None
    assert key_of(WITH_KEY | {"MINIMAX_BASE_URL": "https://api.minimaxi.com"}, typed) == KEY


def test_secret_hides() -> None:
    """A Secret shows its value to `reveal` only."""
    secret = Secret(KEY)
    endpoint = Endpoint(DEFAULT_BASE_URL, secret)
    assert KEY not in f"{secret} {secret!r} {secret!s} {endpoint} {endpoint!r} {[secret]}"
    assert not hasattr(secret, "__dict__")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, lambda value: value.__getstate__()):
        with pytest.raises(TypeError, match="pickled or copied"):
            leak(secret)
    assert secret.reveal() == KEY


@pytest.mark.parametrize(
    "environ",
    [
        WITH_KEY | {"MINIMAX_BASE_URL": "http://hub.invalid"},
        WITH_KEY | {"MINIMAX_BASE_URL": "nonsense"},
        WITH_KEY | {"MINIMAX_BACKEND": "maybe"},
        {"MINIMAX_API_KEY": f"{KEY} and more"},
    ],
)
def test_no_key_in_a_verbose_traceback(environ: dict[str, str]) -> None:
    """A traceback with all local variables, as `%xmode Verbose` prints, holds no key."""
    session = Session(environ)
    session.who.choice = "auto"
    shown = []
    try:
        session.who.endpoint()
    except UsageError as error:
        frames = error.__traceback__.tb_next if error.__traceback__ else None  # not this test's
        shown = VerboseTB(theme_name="nocolor").structured_traceback(UsageError, error, frames)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(map(str, shown)))
    assert "choose_endpoint" in text
    assert KEY not in text


@pytest.mark.parametrize(
    "environ",
    [
        {"MINIMAX_API_KEY": f"{KEY} and more"},
        {"MINIMAX_API_KEY": f"{KEY}\u200b"},
        WITH_KEY | {"MINIMAX_BASE_URL": "http://hub.invalid"},
        {"MINIMAX_BASE_URL": f"https://{KEY}@hub.invalid"},
        {"MINIMAX_BASE_URL": f"https://hub.invalid:{KEY}"},
        {"MINIMAX_BASE_URL": KEY},
    ],
)
def test_no_variable_of_an_error_holds_the_key(environ: dict[str, str]) -> None:
    """Wherever the key is that can't be used, no frame of the error's traceback holds it."""
    with pytest.raises(UsageError) as caught:
        WhoAnswers(Environment(environ)).endpoint()
    assert KEY not in variables_of(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        f"{KEY} and more".encode(),
        f"{KEY} and more".encode("utf-16"),
        KEY.encode() + b"\xff",
        KEY.encode("utf-16") + b"\0",
    ],
    ids=["a space", "a space in UTF-16", "no UTF-8", "half a character of UTF-16"],
)
@pytest.mark.parametrize("base_url", ["", "http://hub.invalid"])
def test_no_variable_of_an_error_holds_the_key_of_a_file(
    tmp_path: Path, data: bytes, base_url: str
) -> None:
    """The same for a file with a key that can't be used, as text and as bytes."""
    path = tmp_path / "key"
    path.write_bytes(data)
    environ = {"MINIMAX_API_KEY_FILE": str(path), "MINIMAX_BASE_URL": base_url}
    with pytest.raises(UsageError) as caught:
        WhoAnswers(Environment(environ)).endpoint()
    shown = variables_of(caught.value)
    assert "path = " in shown
    assert KEY not in shown
    assert repr(data)[2:-1] not in shown


def variables_of(error: BaseException) -> str:
    """What a crash reporter sends: the variables of each frame, of an error and all behind it."""
    lines: list[str] = []
    todo: list[BaseException | None] = [error]
    while todo:
        if (each := todo.pop()) is None:
            continue
        lines += [repr(each), repr(vars(each))]
        for frame, _ in list(walk_tb(each.__traceback__))[each is error :]:  # not this test's
            lines += [f"{name} = {value!r}" for name, value in frame.f_locals.items()]
        todo += [each.__cause__, each.__context__]
    return "\n".join(lines)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host: str) -> None:
    """The names and numbers of this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.x", "127.1", "10.0.0.1", "0.0.0.0", "example.org"])
def test_not_loopback(host: str) -> None:
    """What only looks like this machine is another one."""
    assert not is_loopback(host)


def test_options() -> None:
    """Options start with MINIMAX_MODEL, keep what is not given, and check their ranges."""
    options = first_options({"MINIMAX_MODEL": " MiniMax-M3 "})
    assert options == Options(model="MiniMax-M3")
    assert options.overridden({"temperature": 0.3, "top_p": None}) == replace(
        options, temperature=0.3, said=frozenset({"temperature"})
    )
    wrong: list[dict[str, object]] = [
        {"temperature": 0},
        {"temperature": "hot"},
        {"top_p": 1.1},
        {"max_tokens": 0},
        {"model": " "},
        {"thinking": "maybe"},
        {"system": 7},
        {"conversation": ""},
        {"conversation": 7},
        {"retries": -1},
        {"retries": "2"},
        {"retries": True},
        {"stream": "no"},
        {"hide_thinking": 1},
    ]
    for given in wrong:
        with pytest.raises(UsageError):
            options.overridden(given)


def test_anthropic_variables_are_told_and_never_used() -> None:
    """ANTHROPIC_* that point at MiniMax are mentioned, and are no key and no address."""
    environ = {"ANTHROPIC_BASE_URL": "https://api.minimax.io/anthropic", "ANTHROPIC_API_KEY": KEY}
    hint = anthropic_hint(environ)
    assert hint is not None
    assert KEY not in hint
    assert answering(environ, "auto", False) == NO_KEY
    for other in ("https://api.anthropic.com", "http://[no-address", ""):
        assert anthropic_hint({"ANTHROPIC_BASE_URL": other}) is None


def test_backend_of_an_endpoint() -> None:
    """MiniMax's three hosts are "minimax", any other is "url"."""
    assert Endpoint("https://api.minimaxi.com/anthropic").backend == "minimax"
    assert Endpoint("https://API.minimax.io/anthropic").backend == "minimax"
    assert Endpoint("https://api.minimax.io.evil.invalid").backend == "url"


USERS = """
import os, subprocess, sys
import pytest

def test_inside():
    code = "import os; print([n for n in os.environ if 'MINIMAX' in n or 'PROXY' in n.upper()])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert out.strip() == "[]"
    os.environ["MINIMAX_MODEL"] = "left behind"

def test_next():
    assert "MINIMAX_MODEL" not in os.environ
"""


def test_tests_never_see_a_users_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and the processes that they start see no MINIMAX_* variable and no proxy."""
    tests = Path(__file__).parents[1]
    conftest = tests.joinpath("conftest.py").read_text("utf-8")
    (tmp_path / "conftest.py").write_text(conftest, "utf-8")
    (tmp_path / "test_users.py").write_text(USERS, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tests))  # its plugin is imported from there
    monkeypatch.setenv("MINIMAX_API_KEY", KEY)
    monkeypatch.setenv("https_proxy", "http://x.invalid")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_tests_reach_this_machine_only() -> None:
    """The guard stops a test that looks up or connects to another machine."""
    import socket

    with pytest.raises(RuntimeError, match="this machine only"):
        socket.getaddrinfo("example.org", 80)
    with socket.socket() as other, pytest.raises(RuntimeError, match="this machine only"):
        other.connect(("192.0.2.1", 80))


@pytest.mark.parametrize(
    ("url", "key", "is_odd"),
    [
        ("https://api.minimax.io/anthropic", "abc", True),
        ("https://api.minimaxi.com/anthropic", "sk-abc", True),
        ("https://api.minimax.io/anthropic", "sk-api-abc", False),
        ("https://api.minimax.io/anthropic", "sk-cp-abc", False),
        ("https://proxy.example", "abc", False),
    ],
)
def test_odd_key(url: str, key: str, is_odd: bool) -> None:
    """A key for MiniMax of no known kind is told of, without its text; a proxy takes any."""
    note = odd_key_note(Endpoint(url, Secret(key)))
    assert (note is not None) == is_odd
    assert note is None or "abc" not in note
