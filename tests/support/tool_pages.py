"""A notebook page with a function, and a server that calls it, as fixtures."""

from collections.abc import Iterator

import pytest

from support.loopback import Loopback
from support.pages import Page
from support.tool_service import CallsOnce

FUNCTION = """\
looks = []
def look(at: str) -> str:
    "Look at something."
    looks.append(at)
    return f"blue {len(looks)}"
"""
CARD = 'Call: look(at="sea") → blue 1'
"""What is shown of its first call."""


@pytest.fixture
def service() -> CallsOnce:
    return CallsOnce()


@pytest.fixture
def calling(service: CallsOnce) -> Iterator[Loopback]:
    """The server of the service, which refused nothing."""
    with Loopback(service) as server:
        yield server
    assert service.refusals == []


@pytest.fixture
def tooled(page: Page) -> Page:
    """A page with the function; its module has `calling` as its server."""
    page.run("def", FUNCTION)
    return page


def looks(page: Page) -> str:
    """How often the function ran in this kernel."""
    return page.kernel.run("print(len(looks))").stdout.strip()


def restart(page: Page, url: str = "") -> None:
    """Another kernel, with the function."""
    page.load(url)
    page.run("def", FUNCTION)
