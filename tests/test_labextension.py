"""The front-end extension as a package: JupyterLab finds it, and the wheel brings it along."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jupyterlab_server.config import get_page_config

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "mm_magic" / "labextension"
SCRIPTS = sorted(FOLDER.rglob("*.js"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_its_version_is_the_package_s() -> None:
    """`jupyter labextension list` shows what is installed, and no browser keeps an older script."""
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    version = as_npm_writes(PROJECT["project"]["version"])
    assert package["name"] == PROJECT["project"]["name"]
    assert package["version"] == version
    assert package["jupyterlab"]["_build"]["load"].endswith(f"?version={version}")


def as_npm_writes(version: str) -> str:
    """A version of Python's as one of npm's: 0.2.0.dev0 is 0.2.0-dev.0 there."""
    return re.sub(r"\.dev(?=\d)", "-dev.", version)


def test_the_wheel_brings_it_once() -> None:
    """It is installed where JupyterLab looks for extensions, and not in the package as well."""
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    source = FOLDER.relative_to(ROOT).as_posix()
    assert wheel["shared-data"] == {source: "share/jupyter/labextensions/mm_magic"}
    assert source in wheel["exclude"]


ACTS = re.compile(
    r"innerHTML|outerHTML|insertAdjacent|createContextualFragment|document\.write|srcdoc|DOMParser"
    r"|\beval\b|\bFunction\(|setTimeout\(\s*['\"`]|commands\.execute|\bfetch\(|XMLHttpRequest"
    r"|WebSocket|EventSource|sendBeacon|postMessage|\.(?:src|href|action)\s*=[^=]|localStorage"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_makes_nothing_but_text_of_text(script: Path) -> None:
    """None of its scripts makes elements or code of a text, runs a command of the page, or asks
    any address: what a cell or an answer says can make it do nothing."""
    text = script.read_text("utf-8")
    assert ACTS.findall(text) == []
    assert len(re.findall(r"\bimport\(", text)) == (script.name == "entry.js")


def test_jupyterlab_finds_it(tmp_path: Path) -> None:
    """JupyterLab's own reader takes its package.json, and every file that this names exists."""
    (tmp_path / "mm_magic").symlink_to(FOLDER, target_is_directory=True)
    (found,) = get_page_config([str(tmp_path)])["federated_extensions"]
    assert found["name"] == "mm_magic"
    assert found["extension"] == "./extension"
    entry = FOLDER / found["load"].partition("?")[0]
    named = set(re.findall(r'"([\w.]+\.js)"', entry.read_text("utf-8")))
    there = {path.name for path in entry.parent.iterdir()}
    assert there == named | {entry.name}
