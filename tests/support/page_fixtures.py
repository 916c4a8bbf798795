"""A kernel, a server that answers, and a new notebook page, as fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kernels import Kernel
from support.loopback import Loopback, numbered
from support.pages import Page


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jupyter's data folder."""
    return tmp_path_factory.mktemp("jupyter") / "data"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    with Kernel(folder, {"JUPYTER_DATA_DIR": str(data)}) as kernel:
        yield kernel


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Its answers are "answer 1", "answer 2" and so on."""
    with Loopback(*numbered(30)) as server:
        yield server


@pytest.fixture
def page(process: Kernel, data: Path, server: Loopback, tmp_path: Path) -> Page:
    """A new notebook with the extension loaded, whose kernel is in its folder."""
    page = Page(tmp_path / "lesson.ipynb", data, process)
    page.load(server.url)
    page.run("folder", f"%cd -q {tmp_path}")
    return page
