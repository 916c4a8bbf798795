"""Who answers: where the key and the address come from.

Keys and addresses come from the environment, or a key from the masked prompt of `%minimax key`;
never from a notebook, a file beside it or a recording. They are looked up at each request.
"""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.transport.endpoint import DEMO_NAME, REGIONS, Endpoint, Secret
from mm_magic.web_page import ELSEWHERE, NO_SERVER, in_page

DEFAULT_BASE_URL = "https://api.minimax.io/anthropic"

Choice: TypeAlias = Literal["auto", "live", "offline"]


class Environment(Mapping[str, str]):
    """The environment's variables, looked up when asked for. Its repr shows none of them.

    Tracebacks with local variables print reprs, and that of `os.environ` holds the key.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return "Environment(…)"


class TypedKey(NamedTuple):
    """A key from the prompt of `%minimax key`: for the host it was given for, and no other."""

    key: Secret
    host: str


@dataclass(slots=True)
class WhoAnswers:
    """Which server answers in a session, or that the offline demo does.

    `choice` is what `%minimax offline` or `live` said. `demo_allowed`: without a key and an address
    the demo answers, as in a notebook.
    """

    environ: Environment
    choice: Choice = "auto"
    typed_key: TypedKey | None = None
    demo_allowed: bool = False

    def endpoint(self, *, demo_allowed: bool | None = None) -> Endpoint | None:
        """The server that answers now, None for the demo. Raises as `choose_endpoint` does."""
        allowed = self.demo_allowed if demo_allowed is None else demo_allowed
        return choose_endpoint(self.environ, self.choice, self.typed_key, demo_allowed=allowed)

    @property
    def is_keyless(self) -> bool:
        """Whether the demo answers only because there is no key: nobody chose it."""
        if self.choice != "auto" or not self.demo_allowed:
            return False
        try:
            return _choice_of(self.environ) == "auto" and self.endpoint() is None
        except MiniMaxError:
            return False

    def has_server(self) -> bool:
        """Whether a key or an address is set, so that there is a server to go back to."""
        try:
            choose_endpoint(self.environ, "live", self.typed_key, demo_allowed=True)
        except MiniMaxError as error:
            return error.kind != "auth"  # a setting that can't be is an error when it is used
        return True

    def in_words(self) -> str:
        """Who answers, in a few words. Raises as `choose_endpoint` does.

        They are printed into notebooks that are shared: the address of an own server, which may be
        a private network's and hold a token, is not in them.
        """
        endpoint = self.endpoint()
        if endpoint is None:
            return f"the {DEMO_NAME[0].lower()}{DEMO_NAME[1:]}"
        key = "with a key" if endpoint.key else "without a key"
        if endpoint.backend == "minimax":
            return f"MiniMax ({endpoint.host}, {REGIONS[endpoint.host]}), {key}"
        return f"your own server (MINIMAX_BASE_URL), {key}"

    def way_to_model(self) -> str:
        """How a model answers again, or for the first time, where the demo does."""
        if in_page():
            return ELSEWHERE
        if self.has_server():
            return "`%minimax live` switches back."
        return "`%minimax key` adds a key; then a model answers."

    def server_name(self) -> str:
        """The address that would be asked, "" where the environment names none that is one."""
        try:
            return keyless_endpoint(self.environ).base_url
        except UsageError:
            return ""


def choose_endpoint(
    environ: Mapping[str, str], choice: Choice, typed: TypedKey | None, *, demo_allowed: bool
) -> Endpoint | None:
    """The server that answers now, or None for the offline demo.

    `choice` is what `%minimax offline` or `live` said; "auto" leaves it to MINIMAX_BACKEND, then
    to whether a key or an address is there. Raises MiniMaxError of kind "auth" where only a live
    answer may come and there is no key, and UsageError for settings that can't be.
    """
    wanted = _choice_of(environ) if choice == "auto" else choice
    if wanted == "offline":
        return None
    if in_page():
        _check_only_demo(environ, wanted, demo_allowed=demo_allowed)
        return None
    keyless = keyless_endpoint(environ)
    key = _key_for(keyless.host, environ, typed)
    if key is None:
        if _given_url(environ):
            return keyless
        if wanted == "auto" and demo_allowed:
            return None
        raise no_key_error(has_magics=demo_allowed)
    endpoint = Endpoint(keyless.base_url, key)
    _check_key_may_go(endpoint, environ)
    return endpoint


def _check_only_demo(environ: Mapping[str, str], wanted: Choice, *, demo_allowed: bool) -> None:
    """In a web page the demo answers. Raises MiniMaxError if a server was asked for."""
    is_set = _given_url(environ) or environ.get("MINIMAX_API_KEY", "").strip()
    if wanted == "live" or is_set or not demo_allowed:
        raise no_server_error()


def no_server_error() -> MiniMaxError:
    """Nobody but the demo and recordings can answer here."""
    return MiniMaxError(
        NO_SERVER,
        kind="auth",
        next_steps=("To use the demo instead: `%minimax offline`", ELSEWHERE),
    )


def keyless_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """The server that the environment names, or MiniMax's; without a key."""
    return Endpoint(normalise_base_url(_given_url(environ) or DEFAULT_BASE_URL))


def no_key_error(*, has_magics: bool) -> MiniMaxError:
    """There is no key: the ways out, for a notebook and for a script."""
    in_notebook = (
        "run `%minimax key` and paste the key, or run `%minimax offline` to continue without one."
        if has_magics
        else "run `%load_ext mm_magic`, then `%minimax key`. The offline demo needs no key."
    )
    return MiniMaxError(
        "no API key is set, so no model can be asked",
        kind="auth",
        next_steps=(
            f"In a notebook: {in_notebook}",
            "In a script: set the environment variable MINIMAX_API_KEY, or MINIMAX_API_KEY_FILE, "
            "or MINIMAX_BACKEND=offline for the demo.",
            "For your own server: set MINIMAX_BASE_URL; a key is optional.",
        ),
    )


def normalise_base_url(url: str) -> str:
    """The address without a final slash, `/v1` or `/v1/messages`: people paste all four forms.

    Raises UsageError unless it is an http or https address without user name or password.
    """
    url = url.strip().strip("'\"")
    if (problem := _problem_of_address(url)) is not None:
        del url  # a key or a password may have been pasted there, and a traceback show it
        raise problem
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/messages").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _problem_of_address(url: str) -> UsageError | None:
    """Why it is no address of a server, without showing it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return UsageError("MINIMAX_BASE_URL is not a valid address")
    if parts.username is not None or parts.password is not None:
        return UsageError("MINIMAX_BASE_URL must not hold a user name or a password")
    if parts.scheme not in ("http", "https") or not host:
        return UsageError(
            "MINIMAX_BASE_URL must begin with https:// or http://",
            next_steps=(f"MiniMax's own address is {DEFAULT_BASE_URL}",),
        )
    return None


def clean_key(text: str) -> Secret | None:
    """A pasted key without quotes, "Bearer" and white space; None if nothing is left.

    Raises UsageError, which does not show it, if it can't be a key.
    """
    text = text.strip().strip("'\"").strip()
    if text[:7].rstrip().lower() == "bearer":
        text = text[7:].strip().strip("'\"").strip()
    if not text:
        return None
    is_possible = all("!" <= char <= "~" for char in text)
    secret = Secret(text)
    del text  # a traceback may show the local variables
    if not is_possible:
        raise UsageError("the key contains a space or an invalid character; copy it again")
    return secret


def odd_key_note(endpoint: Endpoint) -> str | None:
    """A sentence if a key for MiniMax begins as none of the known kinds does.

    It is no error: there may be other kinds, and a server of one's own may take any key.
    """
    if endpoint.backend != "minimax" or endpoint.key is None or endpoint.key_kind:
        return None
    return (
        "MiniMax's keys usually begin with `sk-api-` or `sk-cp-`; this one does not. "
        "If it is refused, copy it again."
    )


def anthropic_hint(environ: Mapping[str, str]) -> str | None:
    """A sentence if the variables of Anthropic's tools point at MiniMax: told, never used."""
    try:
        host = urlsplit(environ.get("ANTHROPIC_BASE_URL", "")).hostname
    except ValueError:  # no address: another tool's affair
        return None
    if host not in REGIONS:
        return None
    return (
        f"ANTHROPIC_BASE_URL points to {host}. mm_magic does not use it: "
        "set MINIMAX_API_KEY, and MINIMAX_BASE_URL unless you use the global address."
    )


def _choice_of(environ: Mapping[str, str]) -> Choice:
    value = environ.get("MINIMAX_BACKEND", "").strip().lower()
    if value == "live":
        return "live"
    if value == "offline":
        return "offline"
    if value:
        raise UsageError(f"MINIMAX_BACKEND must be live or offline, got {value!r}")
    return "auto"


def _given_url(environ: Mapping[str, str]) -> str:
    return environ.get("MINIMAX_BASE_URL", "").strip()


def _key_for(host: str, environ: Mapping[str, str], typed: TypedKey | None) -> Secret | None:
    """The key that was typed for this host, else the environment's."""
    if typed is not None and typed.host == host:
        return typed.key
    if key := clean_key(environ.get("MINIMAX_API_KEY", "")):
        return key
    path = environ.get("MINIMAX_API_KEY_FILE", "").strip()
    return clean_key(_read_key_file(path)) if path else None


def _read_key_file(path: str) -> str:
    """What stands in the key's file. Raises UsageError that leads to nothing of it."""
    try:
        return _decoded(Path(path).expanduser().read_bytes())
    except (OSError, UnicodeDecodeError, RuntimeError) as error:  # RuntimeError: ~nobody
        problem = type(error).__name__
    raise UsageError(  # outside of `except`: a UnicodeDecodeError holds all that it was to decode
        f"MINIMAX_API_KEY_FILE can't be read: {problem}",
        next_steps=("It must name a text file that holds the key and nothing else.",),
    )


def _decoded(data: bytes) -> str:
    # What editors on Windows put in front, and `>` in its PowerShell.
    is_utf_16 = data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig")


def _check_key_may_go(endpoint: Endpoint, environ: Mapping[str, str]) -> None:
    """A key goes over https or to this machine, or to a host that the environment trusts."""
    trusted = environ.get("MINIMAX_TRUSTED_HTTP", "").replace(",", " ").split()
    if endpoint.is_https or endpoint.is_loopback or endpoint.host in trusted:
        return
    raise UsageError(
        f"the key is not sent to {endpoint.host} over plain http, where others could read it",
        next_steps=(
            "Use https:// in MINIMAX_BASE_URL.",
            f"If you trust the connection to that host, set MINIMAX_TRUSTED_HTTP={endpoint.host}",
        ),
    )


def redact(error: MiniMaxError, endpoint: Endpoint | None) -> None:
    """A server may repeat the key that it got: no error shows it, nor leads to what held it."""
    error.__context__ = None  # its frames can hold the request's headers, or the server's words
    if endpoint is not None and endpoint.key is not None:
        error.redact(endpoint.revealed_key())
