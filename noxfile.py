"""The checks by name: `nox -l` lists them, `nox -s lint types` runs two.

Install it with `pip install nox`. Each session has its own environment; with `-R` an existing one
is used again and nothing is installed, and with `--no-venv` all but the wheel use the environment
that is active. Words behind `--` go to pytest: `nox -s tests -- -k json`.
"""

import re
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

TEST_TOOLS = ("pytest>=9", "pytest-timeout>=2.4", "hypothesis>=6.150", "jsonschema>=4", "nbclient")
WITHOUT_PLUGINS = ("-q", "-o", "addopts=", "-p", "no:cacheprovider", "-k", "not linear_work")
TELLING = (
    "tests/rendering/test_dialect.py",
    "tests/rendering/test_drawn_values.py",
    "tests/jupyter/test_magics.py",
    "tests/jupyter/test_web_page.py",
    "tests/transport/test_closing.py",
)
HEADLESS = ("tests", "--ignore=tests/browser")
ASK_OFFLINE = """
import mm_magic as mm
reply = mm.ask("Is it installed?")
assert reply.backend == "offline", reply
print(reply.text.splitlines()[0])
"""

FIND_EXTENSION = """
import json
import sysconfig
from importlib.metadata import version
from pathlib import Path
folder = Path(sysconfig.get_path("data"), "share", "jupyter", "labextensions", "mm_magic")
package = json.loads((folder / "package.json").read_text("utf-8"))
assert package["version"] == version("mm_magic").replace(".dev", "-dev."), package
entry, *_ = package["jupyterlab"]["_build"]["load"].partition("?")
assert (folder / entry).is_file(), package
"""


def install(session: nox.Session) -> None:
    """The package as it stands here, with everything that its tests need."""
    if session.virtualenv.is_sandboxed:
        session.install("-e", ".[test]")


@nox.session
def tests(session: nox.Session) -> None:
    """The default run: everything except slow, timed and most browser tests."""
    install(session)
    session.run("pytest", *session.posargs)


@nox.session(python=["3.12", "3.13"])
def other_python(session: nox.Session) -> None:
    """The tests without a browser on the other supported versions of Python."""
    install(session)
    session.run("pytest", *(session.posargs or HEADLESS))


def oldest() -> list[str]:
    """The oldest versions of the run-time packages that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["types"], *extras["pictures"]]
    return [re.sub(r">=([\d.]+).*", r"==\1", line) for line in lines]


@nox.session
def oldest_packages(session: nox.Session) -> None:
    """A few telling tests with the oldest packages that are allowed: drawing, magics, requests."""
    if session.virtualenv.is_sandboxed:
        session.install("-e", ".", *oldest(), "ipykernel==6.30.*", *TEST_TOOLS)
    session.run("python", "-m", "pytest", *WITHOUT_PLUGINS, *(session.posargs or TELLING))


@nox.session
def browser(session: nox.Session) -> None:
    """All that JupyterLab and Notebook 7 show in Chromium, seconds aside."""
    install(session)
    session.run("pytest", "-m", "browser and not timed", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """What the default run leaves out, seconds aside: the browser, and all of the samples."""
    install(session)
    session.run("pytest", "-m", "(slow or browser) and not (timed or smoke)", *session.posargs)


@nox.session
def timed(session: nox.Session) -> None:
    """What compares seconds, one test after another. Let nothing else run beside it."""
    install(session)
    session.run("pytest", "-n", "0", "-m", "timed", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, on package and tests."""
    install(session)
    session.run("mypy")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone, and ask the demo from outside this folder.

    The extension must be where JupyterLab looks for it.
    """
    folder = Path(session.create_tmp()).resolve()
    for old in folder.glob("mm_magic-*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), ".")
    (built,) = folder.glob("mm_magic-*.whl")
    session.install("--force-reinstall", str(built))
    session.chdir(folder)
    session.run("python", "-W", "error", "-c", ASK_OFFLINE, env={"MINIMAX_BACKEND": "offline"})
    session.run("python", "-c", FIND_EXTENSION)


@nox.session
def mutation(session: nox.Session) -> None:
    """Faults put into one module, and whether its tests see them.

    `nox -s mutation -- mm_magic/protocol/paragraphs.py tests/protocol/test_paragraphs.py`. The
    module is changed in place meanwhile, so let nothing else use this folder.
    """
    module, *tests = session.posargs
    install(session)
    if session.virtualenv.is_sandboxed:
        session.install("cosmic-ray>=8.7")
    folder = Path(session.create_tmp()).resolve()
    config, found = folder / "mutation.toml", folder / "mutation.sqlite"
    found.unlink(missing_ok=True)
    command = f"python -m pytest -x -q -n 0 -p no:cacheprovider {' '.join(tests)}"
    config.write_text(
        f"[cosmic-ray]\nmodule-path = '{module}'\ntimeout = 60\ntest-command = '{command}'\n"
        "[cosmic-ray.distributor]\nname = 'local'\n"
    )
    session.run(*command.split())  # they must pass before
    session.run("cosmic-ray", "init", str(config), str(found))
    session.run("cosmic-ray", "exec", str(config), str(found))
    session.run("cr-report", "--surviving-only", "--show-diff", str(found))


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmark's table; `nox -s bench -- --short` takes a minute and a half."""
    install(session)
    session.chdir("tests")
    session.run("python", "-m", "bench", *session.posargs)
