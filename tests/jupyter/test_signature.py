"""Trust that is found without nbformat is nbformat's."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from support.odd import VALUES, Place, changed, places
from support.samples import one_in

from mm_magic.jupyter.own_notebook import is_trusted

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/**/*.ipynb"))
V4: Any = nbformat.v4  # its functions have no annotations
SMALL: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 4,
    "metadata": {"signature": "x", "orig_nbformat": 4, "kernelspec": {"name": "p", "n": 1.0}},
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"trusted": True, "tags": ["a", "b"]},
            "source": ["1 +\n", "1 # é 😀"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"text/plain": ["x\n", "y"], "application/x+json": {"a": [1, [True]]}},
                },
            ],
        },
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": "![a](attachment:a.png)",
            "attachments": {"a.png": {"image/png": "aGk="}},
        },
    ],
}

WITH_IDS: dict[str, Any] = {
    **SMALL,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "p", "n": 1.0}},
    "cells": [
        {"id": "a", **SMALL["cells"][0], "metadata": {"tags": ["a", "b"]}},
        {"id": "b", **SMALL["cells"][1]},
    ],
}
"""The same of format 4.5, without what is not signed."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's data folder, in which it signed nothing yet."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    sign(tmp_path, json.dumps(V4.new_notebook()).encode())
    return tmp_path


def sign(folder: Path, content: bytes) -> None:
    """Sign a notebook's file as Jupyter does."""
    notary: Any = NotebookNotary(data_dir=str(folder))  # type: ignore[no-untyped-call]
    notary.sign(nbformat.reads(content.decode(), as_version=4))  # type: ignore[no-untyped-call]
    notary.store.close()


def sign_as_sent(folder: Path, content: bytes) -> None:
    """Sign a notebook as Jupyter does when a page saves it: before anything is read or mended."""
    notary: Any = NotebookNotary(data_dir=str(folder))  # type: ignore[no-untyped-call]
    with suppress(Exception):  # it is no notebook
        notary.sign(nbformat.from_dict(json.loads(content)))  # type: ignore[no-untyped-call]
    notary.store.close()


def verified(folder: Path, content: bytes) -> bool:
    """Whether Jupyter has signed a notebook's file, by its own check."""
    notary: Any = NotebookNotary(data_dir=str(folder))  # type: ignore[no-untyped-call]
    try:
        notebook = nbformat.reads(content.decode(), as_version=4)  # type: ignore[no-untyped-call]
        return bool(notary.check_signature(notebook))
    except Exception:  # it is no notebook
        return False
    finally:
        notary.store.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks(data: Path, path: Path) -> None:
    """An example notebook is trusted once it is signed, and not with another word in it."""
    content = path.read_bytes()
    assert not is_trusted(content)
    sign(data, content)
    assert is_trusted(content)
    assert not is_trusted(content.replace(b"minimax", b"minimal", 1))


@pytest.mark.filterwarnings("ignore")
@one_in(7)
def test_each_place_counts(data: Path, step: int) -> None:
    """Whatever is changed in a signed notebook, Jupyter says the same of it."""
    sign(data, json.dumps(SMALL).encode())
    ways = [(place, value) for place in places(SMALL) for value in VALUES.values()]
    outcomes = set()
    for place, value in ways[::step]:
        content = json.dumps(changed(SMALL, place, value)).encode()
        assert is_trusted(content) == verified(data, content), (place, value)
        outcomes.add(is_trusted(content))
    assert outcomes == {True, False}


@pytest.mark.filterwarnings("ignore")
@one_in(7)
def test_signed_as_sent(data: Path, step: int) -> None:
    """What a page had signed counts as Jupyter reads it from the file, whatever stands in it."""
    ways = [(place, value) for place in places(WITH_IDS) for value in VALUES.values()]
    outcomes = set()
    for place, value in ways[::step]:
        content = json.dumps(changed(WITH_IDS, place, value)).encode()
        sign_as_sent(data, content)
        assert is_trusted(content) == verified(data, content), (place, value)
        outcomes.add(is_trusted(content))
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("nbformat",), "4"),
        (("nbformat",), [4]),
        (("nbformat_minor",), "5"),
        (("nbformat_minor",), [5]),
        (("cells", 0, "source"), [["1 +\n"], "1 # é 😀"]),
        (("cells", 0, "outputs", 0, "text"), ["a\n", ["b"]]),
        (("cells", 0, "outputs"), [WITH_IDS["cells"][0]["outputs"]]),
        (("cells", 1, "attachments"), [WITH_IDS["cells"][1]["attachments"]]),
        (("cells", 1, "attachments", "a.png"), ["image/png", "aGk="]),
    ],
    ids=str,
)
def test_the_same_signature_for_what_jupyter_refuses(data: Path, place: Place, value: Any) -> None:
    """Other JSON with the same signature is not trusted where Jupyter can't even open it."""
    sign(data, json.dumps(WITH_IDS).encode())
    content = json.dumps(changed(WITH_IDS, place, value)).encode()
    assert is_trusted(json.dumps(WITH_IDS).encode())
    assert not verified(data, content)
    assert not is_trusted(content)


@pytest.mark.filterwarnings("ignore")  # of the ids
def test_ids_that_jupyter_makes_up(data: Path) -> None:
    """Cells that have one id, or none, are given another as the file is read: never trusted."""
    twice = changed(WITH_IDS, ("cells", 1, "id"), "a")
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in WITH_IDS["cells"]]
    without = {**WITH_IDS, "cells": cells}
    for content in (json.dumps(each).encode() for each in (twice, without)):
        sign_as_sent(data, content)
        assert not verified(data, content)
        assert not is_trusted(content)


def test_lines_and_marks_that_count_for_nothing(data: Path) -> None:
    """A text is the same as a list of its lines, and a cell's own word on trust does not count."""
    sign(data, json.dumps(SMALL).encode())
    joined = changed(SMALL, ("cells", 0, "source"), "".join(SMALL["cells"][0]["source"]))
    unmarked = changed(joined, ("cells", 0, "metadata", "trusted"), False)
    assert is_trusted(json.dumps(unmarked).encode())


CONFIGURED = {
    "jupyter_server_config.py": "c.NotebookNotary.db_file = ':memory:'",
    "jupyter_config.py": "if True:\n    c.NotebookNotary.algorithm = 'sha512'",
    "jupyter_lab_config.json": '{"NotebookNotary": {"secret_file": "elsewhere"}}',
    "jupyter_server_config.d/own.json": '{"NotebookNotary": {"db_file": "elsewhere"}}',
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_decisions_kept_elsewhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where Jupyter is configured to keep its decisions in another way, no old one counts."""
    content = json.dumps(SMALL).encode()
    sign(data, content)
    folder = tmp_path / "config"
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder))
    (folder / name).parent.mkdir(parents=True)
    (folder / "jupyter_server_config.json").write_text('{"ServerApp": {"port": 8889}}')
    assert is_trusted(content)
    (folder / name).write_text(CONFIGURED[name])
    assert not is_trusted(content)


@pytest.mark.parametrize(
    ("words", "trusted"),
    [
        (["--ServerApp.port=8889"], True),
        (["--NotebookNotary.db_file=elsewhere.db"], False),
        (["--config=other.py"], False),
        (["--config", "other.py"], False),
        (["--ServerApp.config_file=other.py"], False),
        (["other.py"], True),
    ],
)
def test_decisions_kept_elsewhere_by_the_line(data: Path, words: list[str], trusted: bool) -> None:
    """The same where the server's command line says so, or names a file that does."""
    content = json.dumps(SMALL).encode()
    sign(data, content)
    (data / "a.ipynb").write_bytes(content)
    (data / "other.py").write_text("c.NotebookNotary.db_file = 'elsewhere.db'")
    kernel = (
        "from pathlib import Path\nfrom mm_magic.jupyter.own_notebook import is_trusted\n"
        "print(is_trusted(Path('a.ipynb').read_bytes()))"
    )
    server = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {kernel!r}])"
    command = [sys.executable, "-c", server, *words]
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, check=True)
    assert done.stdout == f"{trusted}\n"


def test_nbformat_is_not_imported(data: Path) -> None:
    """What Jupyter trusts is found without it."""
    content = json.dumps(SMALL).encode()
    sign(data, content)
    (data / "a.ipynb").write_bytes(content)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from mm_magic.jupyter.own_notebook import is_trusted\n"
        "print(is_trusted(Path(sys.argv[1]).read_bytes()), 'nbformat' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(data / "a.ipynb")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
