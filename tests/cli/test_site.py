"""`python -m mm_magic site`: what it writes for a page. tests/browser/test_site.py opens one."""

import json
import socket
import zipfile
from email import message_from_string
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from support.canary import KEY, found_in

from mm_magic.cli.main import main
from mm_magic.cli.site import command, wheels
from mm_magic.cli.site.contents import write_contents
from mm_magic.cli.site.wheels import PACKAGES, write_wheels
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import UsageError


def written(path: Path, outputs: list[dict[str, Any]]) -> Path:
    """A notebook with one cell that has these outputs."""
    cell = {"cell_type": "code", "execution_count": 1, "id": "a", "metadata": {},
            "outputs": outputs, "source": "%minimax replay lesson.jsonl"}  # fmt: skip
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), "utf-8")
    return path


def test_a_lesson_for_the_page(tmp_path: Path) -> None:
    """Its recording has a name that JupyterLite gives text of; its cells stay as they are.

    Each output is one string, but for JSON. The hidden turns are gone.
    """
    data = {
        "text/html": ["<p>", "a</p>"], "text/plain": ["a\n", "b"], "image/png": ["Ab", "c="],
        "application/vnd.x+json": ["a", "b"], TURN_MIME: {"turns": []},
    }  # fmt: skip
    shown = {"output_type": "display_data", "data": data, "metadata": {}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]}
    lesson = written(tmp_path / "lesson.ipynb", [shown, printed])
    recording = tmp_path / "lesson.jsonl"
    recording.write_text("{}\n", "utf-8")
    folder = tmp_path / "site"
    folder.mkdir()

    assert write_contents([lesson, recording], folder) == ["lesson.ipynb"]

    assert sorted(path.name for path in folder.iterdir()) == ["lesson.ipynb", "lesson.recording"]
    made = json.loads((folder / "lesson.ipynb").read_text("utf-8"))
    (cell,) = made["cells"]
    assert cell["source"] == "%minimax replay lesson.jsonl"
    assert cell["outputs"][0]["data"] == {
        "text/html": "<p>a</p>", "text/plain": "a\nb", "image/png": "Abc=",
        "application/vnd.x+json": ["a", "b"],
    }  # fmt: skip
    assert cell["outputs"][1]["text"] == "a\nb\n"
    assert made["metadata"]["kernelspec"]["name"] == "python"


def test_own_notebooks(tmp_path: Path) -> None:
    """Without names these are the package's, and the docs, in the places that they link to."""
    notebooks = write_contents([], tmp_path)

    assert notebooks[0] == "notebooks/01-quickstart.ipynb"
    assert "notebooks/07-your-own-server.ipynb" in notebooks
    assert not any("class" in name for name in notebooks)
    assert (tmp_path / "notebooks" / "class" / "ada.ipynb").exists()
    assert (tmp_path / "notebooks" / "dragons.recording").exists()
    assert (tmp_path / "docs" / "rows.md").exists()
    lesson = (tmp_path / "notebooks" / "10-a-lesson.ipynb").read_text("utf-8")
    assert "%run -m mm_magic extract class" in lesson  # a page has no processes


@pytest.mark.parametrize("name", ["lesson.jsonl", "folder", "missing.ipynb", "broken.ipynb"])
def test_what_makes_no_site(tmp_path: Path, name: str) -> None:
    """No notebook, a folder, a file that is not there, and one that is none."""
    (tmp_path / "lesson.jsonl").write_text("{}\n", "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.ipynb").write_text("{", "utf-8")
    folder = tmp_path / "site"
    folder.mkdir()

    with pytest.raises(UsageError):
        write_contents([tmp_path / name], folder)


def test_wheels_of_what_is_installed(tmp_path: Path) -> None:
    """Each is whole, bears the installed version, and is the same each time."""
    names = write_wheels(tmp_path / "a")
    write_wheels(tmp_path / "b")

    assert len(names) == len(PACKAGES)
    for name, (distribution, package) in zip(names, PACKAGES.items(), strict=True):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        with zipfile.ZipFile(tmp_path / "a" / name) as wheel:
            files = wheel.namelist()
            assert f"{package}/__init__.py" in files
            assert not [file for file in files if "__pycache__" in file]
            (info,) = {file.split("/")[0] for file in files if ".dist-info/" in file}
            metadata = message_from_string(wheel.read(f"{info}/METADATA").decode())
            record = wheel.read(f"{info}/RECORD").decode().splitlines()
        assert metadata["Version"] == version(distribution)
        assert {line.split(",")[0] for line in record} == {*files}


def test_only_modules_are_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the modules of a checkout may be anything: none of it goes into the wheel."""
    for name in (
        "mine/__init__.py", "mine/part/__init__.py", "mine/.env", "mine/key.txt", "mine/a.ipynb",
        "mine/part/.ipynb_checkpoints/__init__-checkpoint.py", "mine/__pycache__/a.pyc",
        "mine/draft-2.py", "mine-1.0.dist-info/METADATA", "mine-1.0.dist-info/key.txt",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("Version: 1.0\nName: mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(wheels, "PACKAGES", {"mine": "mine"})

    (name,) = write_wheels(tmp_path / "made")

    with zipfile.ZipFile(tmp_path / "made" / name) as wheel:
        assert {each for each in wheel.namelist() if ".dist-info/" not in each} == {
            "mine/__init__.py",
            "mine/part/__init__.py",
        }
        assert len(wheel.namelist()) == 2 + 3


@pytest.mark.slow
def test_a_site_holds_what_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the environment, no saved turn and no file beside the notebook is in any file."""
    work = tmp_path / "work"
    work.mkdir()
    hidden = {"turns": [], "prompt": "a hidden thought"}
    data = {"text/plain": "what is shown", TURN_MIME: hidden}
    shown = {"output_type": "display_data", "data": data, "metadata": {}}
    written(work / "lesson.ipynb", [shown])
    (work / "lesson.jsonl").write_text("{}\n", "utf-8")
    (work / ".env").write_text(KEY)
    (work / "other.ipynb").write_text(KEY)
    (work / "jupyter_lite_config.json").write_text(json.dumps({"LiteBuildConfig": {"a": KEY}}))
    (tmp_path / "key.txt").write_text(KEY)
    monkeypatch.setenv("MINIMAX_API_KEY", KEY)
    monkeypatch.setenv("MINIMAX_API_KEY_FILE", str(tmp_path / "key.txt"))
    monkeypatch.chdir(work)

    assert main(["site", "lesson.ipynb", "lesson.jsonl", "-o", str(tmp_path / "site")]) == 0

    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    published = {path.name for path in files if path.parent.name == "files"}
    assert published == {"lesson.ipynb", "lesson.recording"}
    texts = {path: path.read_bytes().decode("latin-1") for path in files}
    assert [path for path, text in texts.items() if found_in(text)] == []
    assert [path for path, text in texts.items() if "a hidden thought" in text] == []
    assert [path for path, text in texts.items() if str(tmp_path) in text] == []
    assert any("what is shown" in text for text in texts.values())


def test_without_jupyterlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that installs it, in one line."""
    monkeypatch.setattr(command, "find_spec", lambda _: None)

    assert main(["site", "-o", str(tmp_path / "site")]) == 1

    told = capsys.readouterr().err
    assert told.startswith("mm_magic site: JupyterLite is not installed; to install it: ")
    assert "-m pip install" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", ["notes", "notes.txt"])
def test_folder_of_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A folder or file that is no site is left alone."""
    monkeypatch.setattr(command, "find_spec", bool)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine", "utf-8")
    (tmp_path / "notes.txt").write_text("mine", "utf-8")

    assert main(["site", "-o", str(tmp_path / name)]) == 1

    assert "is not a site; name another folder with -o" in capsys.readouterr().err
    assert (tmp_path / "notes" / "a.txt").read_text("utf-8") == "mine"


def test_folder_without_pyodide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told which file is missing there."""
    monkeypatch.setattr(command, "find_spec", bool)

    arguments = ["site", "-o", str(tmp_path / "site"), "--pyodide", str(tmp_path)]
    assert main(arguments) == 1

    assert "has no pyodide.mjs" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says as it ends without a site."""
    assert main(["site", *words]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "files",
    [
        ["jupyter-lite.json", "content/thesis.ipynb"],
        ["jupyter-lite.json", "wheels/mine-1.0-py3-none-any.whl"],
        ["lesson.ipynb"],
    ],
)
def test_a_folder_with_other_files_is_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    files: list[str],
) -> None:
    """Also a JupyterLite project, which has the same file of settings as a site."""
    monkeypatch.setattr(command, "find_spec", bool)
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert "already exists and is not a site" in refused(capsys, "-o", str(tmp_path))
    assert all((tmp_path / name).is_file() for name in files)


def test_a_notebook_in_the_site_that_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be gone."""
    monkeypatch.setattr(command, "find_spec", bool)
    for name in ("jupyter-lite.json", "wheels/mm_magic-1.0-py3-none-any.whl", "files/a.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    told = refused(capsys, str(tmp_path / "files" / "a.ipynb"), "-o", str(tmp_path))
    assert "a.ipynb is in" in told
    assert (tmp_path / "files" / "a.ipynb").is_file()


def test_port_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told before anything is built."""
    monkeypatch.setattr(command, "find_spec", bool)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert main(["site", "-o", str(tmp_path / "site"), "--serve", "--port", port]) == 1

    assert f"port {port} can't be used" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
