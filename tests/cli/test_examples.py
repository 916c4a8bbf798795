"""The example notebooks and the docs, wherever they are read: in a checkout, or as copies."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_magic.cli.demo import copy_files, packaged_files
from mm_magic.cli.site.contents import write_contents
from mm_magic.conversation.notebook_file import joined

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)|src(?:set)?=\"([^\"]+)\"")


@pytest.fixture(scope="module", params=["checkout", "demo", "site"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples in it."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "demo":
        copy_files(packaged_files(), folder)
    elif request.param == "site":
        write_contents([], folder)
    else:
        for name in ("notebooks", "docs"):
            shutil.copytree(ROOT / name, folder / name)
    return folder


def markdown_of(page: Path) -> str:
    """The text of a page; of a notebook that of its Markdown cells."""
    text = page.read_text("utf-8")
    if page.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join(joined(c["source"]) for c in cells if c["cell_type"] == "markdown")


def anchors(page: Path) -> list[str]:
    """The headings of a page as GitHub links to them; of a notebook, as Jupyter does."""
    titles = re.findall(r"^#+ (.+)$", markdown_of(page), re.MULTILINE)
    if page.suffix == ".ipynb":
        return [title.replace(" ", "-") for title in titles]
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def links(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each link of a page in the folder that leads to this machine."""
    for page in sorted({*folder.rglob("*.ipynb"), *folder.rglob("*.md")}):
        for found in LINK.findall(markdown_of(page)):
            if not re.match(r"[a-z]+:", link := "".join(found)):
                yield page, link


def test_links_lead_somewhere(place: Path) -> None:
    """Each link names a file that is there, and a heading that it has."""
    found = [*links(place)]
    assert {page.suffix for page, _ in found} == {".ipynb", ".md"}
    for page, link in found:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert place in target.parents, (page, link)
        assert target.is_file(), (page, link)
        assert not anchor or anchor in anchors(target), (page, link)


def test_the_wheel_holds_them_all() -> None:
    """The wheel has each file that `mm_magic demo` and `site` copy, and no other of its kind."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    packed = {
        f"{target}{file.removeprefix(source)}"
        for source, target in build["targets"]["wheel"]["force-include"].items()
        for file in files_of(source)
    }
    assert packed == {f"mm_magic/{place.as_posix()}" for place in packaged_files()}


def files_of(name: str) -> list[str]:
    """The file of this name, or all files in this folder, by their paths in the checkout."""
    path = ROOT / name
    found = path.rglob("*") if path.is_dir() else [path]
    return [file.relative_to(ROOT).as_posix() for file in found if file.is_file()]
