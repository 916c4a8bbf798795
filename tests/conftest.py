"""Guards around every test: no user's key or proxy is used, and nothing leaves this machine."""

import asyncio
import gc
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

collect_ignore = ["data"]  # the notebooks there are samples: nbval would run them
pytest_plugins = ["support.page_fixtures", "support.schedule", "support.tool_pages"]

_OURS = re.compile(r"(MINIMAX|ANTHROPIC)_.*|.*_PROXY", re.IGNORECASE)
_found: dict[str, str] = {}


class OutsideError(RuntimeError):
    """A test tried to reach another machine. Not an OSError, so that no code takes it for one."""


def pytest_configure() -> None:
    """Hide the user's settings before anything can start: kernels and servers inherit them."""
    _found.update((name, value) for name, value in os.environ.items() if _OURS.fullmatch(name))
    for name in _found:
        del os.environ[name]
    sys.addaudithook(_only_this_machine)
    # A busy machine fails no test: no example has a time limit, nor the making of examples.
    too_slow = [HealthCheck.too_slow]
    settings.register_profile("unhurried", deadline=None, suppress_health_check=too_slow)
    settings.load_profile("unhurried")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts its background jobs so, and what they start can't be interrupted either.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of each garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    os.environ.update(_found)


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Leave the environment of each test as it was found."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


class _Complaints(logging.Handler):
    """Keeps what asyncio logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(autouse=True)
def _no_lost_task() -> Iterator[None]:
    """Of a task that is destroyed, or an error that nobody fetched, asyncio only tells its log."""
    complaints, logger = _Complaints(), logging.getLogger("asyncio")
    logger.addHandler(complaints)
    yield
    logger.removeHandler(complaints)
    assert complaints.said == []


@pytest.fixture(autouse=True)
def _no_nested_loops() -> Iterator[None]:
    """Nested event loops change asyncio for good: a test that needs them runs in a kernel."""
    yield
    assert not hasattr(asyncio, "_nest_patched")


def _only_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        where = arguments[1]
        host = where[0] if isinstance(where, tuple) else None  # no tuple: a unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        raise OutsideError(f"{event} to {host!r}: tests reach this machine only")


def _is_here(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or host in ("", "localhost", socket.gethostname()):
        return True
    if host.endswith(".invalid"):  # reserved: it has no address anywhere
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
