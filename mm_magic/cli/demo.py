"""`python -m mm_magic demo`: JupyterLab on the quickstart, ready to run, without a key.

What JupyterLab needs to know for this one run goes into a temporary folder and its command line.
The user's own Jupyter settings are read as ever, and never written.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mm_magic.cli.failure import fail
from mm_magic.cli.strip import strip_file
from mm_magic.conversation.turn import is_notebook_name

QUICKSTART = "notebooks/01-quickstart.ipynb"

CLASS = Path("notebooks/class")
"""The folder of the notebooks that students handed in."""

FOLDER = Path("mm_magic_demo")

_EXAMPLES = (
    "notebooks/*.ipynb", "notebooks/*.jsonl", "notebooks/elements.csv", "notebooks/class/*.ipynb",
    "notebooks/images/*.png", "notebooks/images/*.svg", "docs/*.md", "docs/schemas/*.json",
)  # fmt: skip

KERNEL = {"display_name": "Python 3 (mm_magic demo)", "language": "python", "name": "python3"}
"""As a notebook's metadata has it."""

QUIET = "--log-level=ERROR"
"""ipykernel 7 warns each user that others could listen; the demo's kernel is on this machine."""
WARNINGS = ("--log-level=WARN", "--LabApp.log_level=WARN")
"""JupyterLab's part has a level of its own. What they tell beside errors and warnings, the demo
says in two lines."""
TOKEN, RUNTIME = "JUPYTER_TOKEN", "JUPYTER_RUNTIME_DIR"
LOOK = 0.1
"""Seconds between two looks whether JupyterLab has started."""


def demo(folder: Path, *, port: int | None, browser: bool) -> int:
    """Open JupyterLab on the quickstart in `folder`, and return when it has ended: 0 if well.

    Without a browser the address to open is printed. Ctrl-C and SIGTERM end it.
    """
    missing = [name for name in ("jupyterlab", "ipykernel") if not importlib.util.find_spec(name)]
    if missing:
        return fail(
            "demo",
            f"{' and '.join(missing)} could not be found; to install what is missing: "
            f"{sys.executable} -m pip install jupyterlab ipykernel",
        )
    files = packaged_files()
    if not files:
        return fail("demo", f"{QUICKSTART} is missing from this installation of mm_magic")
    try:
        print(copy_files(files, folder), flush=True)
    except OSError as error:
        return fail(
            "demo", f"the notebooks can't be written: {error}; choose another folder with --dir"
        )
    is_seen = browser and has_display(sys.platform, os.environ)
    if browser and not is_seen:
        print(
            "No browser could be opened here. Open the address below in your own browser.",
            flush=True,
        )
    with tempfile.TemporaryDirectory(prefix="mm_magic_demo_") as temporary:
        write_kernel_spec(Path(temporary))
        write_page_config(Path(temporary))
        command = lab_command(folder, Path(temporary), port=port, browser=is_seen)
        return _run(command, _environment(temporary))


def packaged_files() -> dict[Path, Path]:
    """The example notebooks, the files that they need, and the docs, by their places.

    They are inside the package when it is installed, and beside it in a checkout. They link to one
    another: wherever they are copied to, their places stay the same.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package, package.parent):
        if (root / QUICKSTART).is_file():
            found = sorted(file for pattern in _EXAMPLES for file in root.glob(pattern))
            return {file.relative_to(root): file for file in found}
    return {}


def copy_files(files: Mapping[Path, Path], folder: Path) -> str:
    """Copy them to their places in `folder`, and return what to say of it.

    A file that is there is the user's work and stays as it is. The copies of notebooks have no
    saved turns: the first cell would else tell a newcomer that Jupyter does not trust them. Only
    those that a class handed in keep theirs. They name the kernel as JupyterLab would, which would
    else count them as changed when it opens them.
    """
    kept = []
    for place, file in files.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            kept.append(file.name)
            continue
        shutil.copyfile(file, target)
        if is_notebook_name(target.name):
            if place.parent != CLASS:
                strip_file(target, thinking=False)
            _name_kernel(target)
    return f"The example notebooks are in {(folder / QUICKSTART).parent}.{_said_of(kept)}"


def _said_of(kept: Sequence[str]) -> str:
    """What to say of files that were there."""
    if not kept:
        return ""
    if len(kept) == 1:
        told = f"{kept[0]} was there already and was kept"
    else:
        told = f"{len(kept)} files were there already and were kept"
    return f" {told}. For new copies, use --dir FOLDER"


def _name_kernel(notebook: Path) -> None:
    """Write this Python's kernel into a notebook's metadata."""
    content = json.loads(notebook.read_text("utf-8"))
    content["metadata"] |= {"kernelspec": KERNEL, "language_info": _language()}
    notebook.write_bytes(f"{json.dumps(content, ensure_ascii=False, indent=1)}\n".encode())


def _language() -> dict[str, object]:
    """What ipykernel tells of its language."""
    return {
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": sys.version.split()[0],
    }


def has_display(platform: str, environ: Mapping[str, str]) -> bool:
    """Is there a place for a browser's window? Without one, Python would start a text browser."""
    if platform in ("darwin", "win32"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def write_kernel_spec(data: Path) -> None:
    """Write into the Jupyter data folder `data` a "python3" kernel that is this very Python.

    A kernel of the same name that the user once installed may be another environment's.
    """
    spec = data / "kernels" / KERNEL["name"]
    spec.mkdir(parents=True)
    content = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", QUIET],
        "display_name": KERNEL["display_name"],
        "language": KERNEL["language"],
        "metadata": {"debugger": True},
    }
    (spec / "kernel.json").write_bytes(json.dumps(content).encode())


def write_page_config(config: Path) -> None:
    """Turn off, in the Jupyter configuration folder `config`, the plug-in that asks about news.

    It also looks up news and updates on the network. JupyterLab 4.6 asks even where `news_url` is
    None.
    """
    path = config / "labconfig" / "page_config.json"
    path.parent.mkdir()
    content = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    path.write_bytes(json.dumps(content).encode())


def lab_command(folder: Path, temporary: Path, *, port: int | None, browser: bool) -> list[str]:
    """The command that starts JupyterLab on this machine's own address, with `folder` as root."""
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", *WARNINGS),
        "-y",  # Ctrl-C ends it at once, without a question
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--LabApp.default_url=/lab/tree/{QUICKSTART}",
        # Not the tabs that were open last time: they are files of other folders.
        f"--LabApp.workspaces_dir={temporary / 'workspaces'}",
    ]
    if port is not None:
        command.append(f"--port={port}")
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def _environment(temporary: str) -> dict[str, str]:
    """This process's environment, in which Jupyter looks into the folder `temporary` first.

    What runs is written there, too, so that the address of this very server is found. A token that
    was chosen here is not told by Jupyter.
    """
    environ = {TOKEN: secrets.token_hex(24), **os.environ}
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        environ[name] = os.pathsep.join(filter(None, [temporary, environ.get(name)]))
    return {**environ, RUNTIME: str(Path(temporary) / "runtime")}


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run JupyterLab to its end, and say where it is once it has started.

    SIGTERM is taken as Ctrl-C, so that no server stays behind.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, env=environ) as server:
        try:
            _tell_address(server, Path(environ[RUNTIME]))
            return server.wait()
        except KeyboardInterrupt:
            # From a keyboard the server has the signal, too; its end takes a second or two, and
            # a further Ctrl-C changes nothing.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            server.terminate()
            server.wait()
            return 0


def _tell_address(server: "subprocess.Popen[bytes]", runtime: Path) -> None:
    """Print the address when the server has written it, and how to stop; nothing if it ended."""
    while server.poll() is None:
        if (address := address_in(runtime)) is not None:
            print(f"JupyterLab is at {address}\nPress Ctrl-C here to stop it.", flush=True)
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(LOOK)


def address_in(runtime: Path) -> str | None:
    """The quickstart's address at the server that wrote into its folder; None before it has."""
    for file in runtime.glob("jpserver-*.json"):
        try:
            told = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):  # it is being written
            continue
        token = f"?token={told['token']}" if told["token"] else ""
        return f"{told['url']}lab/tree/{QUICKSTART}{token}"
    return None
