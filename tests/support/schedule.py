"""Which of the workers takes which tests, and when: pytest-xdist asks this module.

The tests of a file stay together, as what they share (a kernel, a server) is started once. What
takes long comes first, so that the workers end at about the same time.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"
FEW_PAGES = 10
"""So many tests in the browser are not worth another one, with a JupyterLab server of its own."""
APART = tuple(f"tests/session/test_{name}.py::" for name in ("oracle", "fuzz", "endurance"))
"""In these files the tests share nothing and may take minutes: each can go to another worker."""
KERNELS = {"page", "process", "kernel"}
"""Names of fixtures that are a kernel, or run in one."""


def has_few_pages(names: Iterable[str]) -> bool:
    return sum(name.startswith(BROWSER) for name in names) <= FEW_PAGES


def unit_of(name: str, *, few_pages: bool) -> str:
    """What the test with this name stays together with."""
    if name.startswith(APART):
        return name
    return BROWSER if few_pages and name.startswith(BROWSER) else name.partition("::")[0]


def seconds_of(test: pytest.Item) -> float:
    """What a test takes, roughly."""
    if test.get_closest_marker("browser"):
        return 5
    if test.get_closest_marker("slow"):
        return 20
    if test.nodeid.startswith(APART):
        return 3
    if test.path.suffix == ".ipynb":
        return 0.5
    return 0.3 if KERNELS & {*getattr(test, "fixturenames", ())} else 0.03


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling":
    from xdist.scheduler import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):  # type: ignore[misc]
        @cached_property
        def _few_pages(self) -> bool:
            return has_few_pages(self.collection or ())

        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid, few_pages=self._few_pages)

    config.option.loadscopereorder = False  # by the number of tests
    return ByUnit(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the units that take longest first; in each, the tests keep their order."""
    if not hasattr(config, "workerinput"):
        return
    few_pages = has_few_pages(test.nodeid for test in items)
    units = {test: unit_of(test.nodeid, few_pages=few_pages) for test in items}
    seconds: dict[str, float] = {}
    for test, unit in units.items():
        seconds[unit] = seconds.get(unit, 0) + seconds_of(test)
    items.sort(key=lambda test: -seconds[units[test]])
