"""What the README and docs/ claim and a program can check.

`python tests/test_readme.py` mends their tables.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.security_page import SECURITY_PAGE

from mm_magic.conversation.catalog import MODELS as CATALOG
from mm_magic.conversation.catalog import Model
from mm_magic.errors import Kind
from mm_magic.jupyter.arguments import CELL_ROWS, flags_of, help_rows
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.session.api import AskOptions
from mm_magic.session.options import ROWS
from mm_magic.transport.body import (
    ENDING_SECONDS,
    MAX_EVENT_BYTES,
    PROGRESS_SECONDS,
    SILENCE_SECONDS,
)
from mm_magic.transport.coalesce import AHEAD
from mm_magic.transport.demo.offline import DEMOS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
REFERENCE, DEPENDENCIES = DOCS / "reference.md", DOCS / "dependencies.md"
LONGEST_README = 200
"""Lines: a newcomer reads it to its end."""


def options_table() -> str:
    """The table of options as docs/reference.md must have it."""
    rows = "\n".join(f"| `{names}` | {meaning} |" for names, meaning in help_rows(CELL_ROWS))
    return f"| option | meaning |\n| --- | --- |\n{rows}\n"


def commands_table() -> str:
    """The table of commands as docs/reference.md must have it."""
    rows = [
        "| | `%minimax` | show which model answers, the settings, and what to try |",
        '| | `%minimax -t 0.3 -s "Be brief"` | set options for all cells from now on |',
    ]
    group = ""
    for command in COMMANDS.values():
        title = "" if command.group == group else f"*{command.group}* "
        group = command.group
        meaning = "; ".join(filter(None, (command.help, command.more)))
        own = f". `-h` lists its options: {', '.join(f'`{flag}`' for flag in own_flags(command))}"
        rows.append(
            f"| {title}| `%minimax {command.usage}` | {meaning}{own if command.options else ''} |"
        )
    return "\n".join(["| | command | use it to |", "| --- | --- | --- |", *rows, ""])


def own_flags(command: Command) -> list[str]:
    """The options of one command alone, without `--help`."""
    return flags_of(command.own_options)[:-1]


def models_table() -> str:
    """The table of models as docs/models.md must have it."""
    head = ("model", "window", "longest answer", "`max_tokens`", "thinking", "`--effort`", "input")
    names = (*head, "in / out / cache read / cache write")
    rows = [names, ["---"] * len(names), *map(model_row, CATALOG.values())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def model_row(model: Model) -> list[str]:
    thinking = "always" if model.always_thinks else "always; `disabled` changes nothing"
    price = model.price
    amounts = [price.input, price.output, price.cache_read, price.cache_write] if price else [None]
    return [
        f"`{model.name}`",
        f"{model.window:,}",
        f"{model.most_out:,}",
        f"{model.max_tokens:,}",
        "if asked" if model.thinks_if_asked else thinking,
        ("no effect" if model.thinks_if_asked else "yes") if model.takes_effort else "no",
        "text, images" if model.sees else "text",
        " / ".join("—" if each is None else f"{each:g}" for each in amounts),
    ]


TABLES = {"options": options_table, "commands": commands_table, "models": models_table}
PAGES = {"options": REFERENCE, "commands": REFERENCE, "models": DOCS / "models.md"}


def around(name: str, text: str) -> tuple[str, str, str]:
    """A page before a table, the table as it is there, and what comes after it."""
    before, _, rest = text.partition(f"<!-- {name}: made by tests/test_readme.py -->\n")
    table, _, after = rest.partition(f"<!-- end of {name} -->")
    return before, table, after


def section(title: str, page: Path = REFERENCE) -> str:
    """A page's text under a heading."""
    return page.read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def things_to_do() -> list[str]:
    """The cells of the README's ten things to do."""
    things = section("Ten things to do with it", README)
    return re.findall(r"^```\n(.*?)^```$", things, re.MULTILINE | re.DOTALL)


def project() -> dict[str, object]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    return table


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    """The tables hold exactly what there is; running this file mends them."""
    assert around(name, PAGES[name].read_text("utf-8"))[1] == TABLES[name]()


def test_options_of_python() -> None:
    """`mm.ask` takes each option that can be set for all cells, and nothing else."""
    of_cells = {"hide_thinking", "confirm_above"}
    assert AskOptions.__annotations__.keys() == {row.name for row in ROWS} - of_cells


def test_dependencies() -> None:
    """docs/dependencies.md gives a reason for each run-time dependency, and for nothing else."""
    declared = project()["dependencies"]
    assert isinstance(declared, list)
    names = {re.split(r"[<>=]", text)[0] for text in declared}
    shown = set(
        re.findall(r"^\| ([a-z][a-z0-9-]+) \|", DEPENDENCIES.read_text("utf-8"), re.MULTILINE)
    )
    assert shown - {"package"} == names


def test_kinds() -> None:
    """docs/reference.md lists every kind of error."""
    from typing import get_args

    shown = set(
        re.findall(r"`([a-z_]+)`", section("Errors").split(".kind` is one of")[1].split("\n")[0])
    )
    assert shown == set(get_args(Kind))


def test_demos() -> None:
    """docs/reference.md lists every practice prompt of the demo."""
    assert set(re.findall(r"`(demo [^`]+)`", section("Errors"))) == set(DEMOS)


def test_links() -> None:
    """Every file that the README points to exists, and so does the heading in it."""
    text = README.read_text("utf-8")
    targets = re.findall(r"\]\(([^):]+)\)", text) + re.findall(r'src(?:set)?="([^":]+)"', text)
    for target in targets:
        path, _, heading = target.partition("#")
        found = README.parent / path if path else README
        assert found.exists(), target
        assert not heading or heading in headings(found), target


def headings(page: Path) -> list[str]:
    """The anchors that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def promises() -> list[tuple[str, list[tuple[str, str]]]]:
    """The promises of docs/security.md, each with the tests that it names and their files."""
    rows = [line for line in SECURITY_PAGE.splitlines() if line.startswith("| **")]
    return [(row, [*_tests_in(row)]) for row in rows]


def _tests_in(row: str) -> Iterator[tuple[str, str]]:
    for path, names in re.findall(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)", row):
        yield from ((name, path) for name in re.findall(r"\w+", names))


@pytest.mark.parametrize(("promise", "tests"), promises(), ids=lambda each: str(each)[:40])
def test_promises_name_their_tests(promise: str, tests: list[tuple[str, str]]) -> None:
    """Each promise names a test at least, and each test that it names is in that file."""
    assert tests
    assert len(tests) == len(re.findall(r"`test_\w+`", promise))
    for name, path in tests:
        tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
        defined = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
        assert name in defined, path


def test_the_bounds_are_those_of_the_page() -> None:
    """The seconds and sizes that docs/security.md promises are those that are used."""
    (bounds,) = [row for row, _ in promises() if row.startswith("| **Bounds**")]
    seconds = [SILENCE_SECONDS, PROGRESS_SECONDS, ENDING_SECONDS]
    assert [float(each) for each in re.findall(r"(?:after|complete) (\d+) s\b", bounds)] == seconds
    assert f"more than {MAX_EVENT_BYTES // 2**20} MiB without" in bounds
    assert f"more than {AHEAD // 2**20} MiB has not been used" in bounds


def test_every_page_is_named() -> None:
    """The README leads to each page of docs/."""
    text = README.read_text("utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in text] == []


def test_the_readme_is_short() -> None:
    """It has at most 200 lines, and its last code is the tests' command."""
    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_README
    assert text.split("```")[-2].strip().endswith("-m pytest")


def test_notebooks_are_listed() -> None:
    """The README says of each notebook whom it is for."""
    listed = re.findall(r"\(notebooks/([^)]+\.ipynb)\)", section("Which notebook to open", README))
    assert listed == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_ten_things_work(tmp_path: Path) -> None:
    """Each of the cells runs, one after the other, with nothing but what it names."""
    *cells, record, replay = things_to_do()
    assert len(cells) == 10
    with Kernel(tmp_path) as kernel:
        run = partial(kernel.run, allow_stdin=False)
        run("%load_ext mm_magic")
        run(record)
        ran = [run(cell) for cell in cells]
        assert [cell.status for cell in ran] == ["ok"] * 10, [cell.traceback for cell in ran]
        assert "Lagos" in ran[3].shown
        assert "2 rows" in ran[9].shown
        assert run("reply.text != ''").shown.strip() == "True"
        assert run(f"%minimax record\n{replay}").status == "ok"
        assert "recorded" in run(cells[0]).shown


if __name__ == "__main__":
    for name, table in TABLES.items():
        page = PAGES[name]
        before, _, after = around(name, page.read_text("utf-8"))
        marks = f"<!-- {name}: made by tests/test_readme.py -->\n", f"<!-- end of {name} -->"
        page.write_text(f"{before}{marks[0]}{table()}{marks[1]}{after}", "utf-8")
