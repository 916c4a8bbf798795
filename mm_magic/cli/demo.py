"""`python -m mm_magic demo`: JupyterLab on the quickstart, ready to run, without a key.

What JupyterLab needs to know for this one run goes into a temporary folder and its command line.
The user's own Jupyter settings are read as ever, and never written.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mm_magic.cli.strip import strip_file

QUICKSTART = "01-quickstart.ipynb"

FOLDER = Path("mm_magic_demo")


def demo(folder: Path, *, port: int | None, browser: bool) -> int:
    """Open JupyterLab on the quickstart in `folder`, and return when it has ended: 0 if well.

    Without a browser the address to open is printed. Ctrl-C and SIGTERM end it.
    """
    missing = [name for name in ("jupyterlab", "ipykernel") if not importlib.util.find_spec(name)]
    if missing:
        return _fail(
            f"{' and '.join(missing)} not found; to install: "
            f"{sys.executable} -m pip install jupyterlab ipykernel"
        )
    files = packaged_files()
    if not any(file.name == QUICKSTART for file in files):
        return _fail(f"{QUICKSTART} is missing from this installation of mm_magic")
    try:
        copy_files(files, folder)
    except OSError as error:
        return _fail(f"the notebooks can't be written: {error}; choose another folder with --dir")
    is_seen = browser and has_display(sys.platform, os.environ)
    if browser and not is_seen:
        print("No browser can be opened here. Open the address below in your own.")
    print("Press Ctrl-C to stop it.", flush=True)
    with tempfile.TemporaryDirectory(prefix="mm_magic_demo_") as temporary:
        write_kernel_spec(Path(temporary))
        write_page_config(Path(temporary))
        command = lab_command(folder, Path(temporary), port=port, browser=is_seen)
        return _run(command, _environment(temporary))


def packaged_files() -> list[Path]:
    """This package's notebooks and the recordings that answer in them.

    They are inside the package when it is installed, and beside it in a checkout.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if found := sorted([*folder.glob("*.ipynb"), *folder.glob("*.jsonl")]):
            return found
    return []


def copy_files(files: Sequence[Path], folder: Path) -> None:
    """Copy them into `folder`; a file that is there is the user's work and stays as it is.

    The copies of notebooks have no saved turns: the first cell would else tell a newcomer that
    Jupyter does not trust them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / file.name
        if target.exists():
            print(f"{target} already exists and was left unchanged; --dir makes a new folder.")
        else:
            shutil.copyfile(file, target)
            if target.suffix == ".ipynb":
                strip_file(target, thinking=False)
            print(f"{target} was created.")


def has_display(platform: str, environ: Mapping[str, str]) -> bool:
    """Is there a place for a browser's window? Without one, Python would start a text browser."""
    if platform in ("darwin", "win32"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def write_kernel_spec(data: Path) -> None:
    """Write into the Jupyter data folder `data` a "python3" kernel that is this very Python.

    A kernel of the same name that the user once installed may be another environment's.
    """
    spec = data / "kernels" / "python3"
    spec.mkdir(parents=True)
    content = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3 (mm_magic demo)",
        "language": "python",
        "metadata": {"debugger": True},
    }
    (spec / "kernel.json").write_text(json.dumps(content), "utf-8")


def write_page_config(config: Path) -> None:
    """Turn off, in the Jupyter configuration folder `config`, the plug-in that asks about news.

    It also looks up news and updates on the network. JupyterLab 4.6 asks even where `news_url` is
    None.
    """
    path = config / "labconfig" / "page_config.json"
    path.parent.mkdir()
    content = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    path.write_text(json.dumps(content), "utf-8")


def lab_command(folder: Path, temporary: Path, *, port: int | None, browser: bool) -> list[str]:
    """The command that starts JupyterLab on this machine's own address, with `folder` as root."""
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", "--log-level=ERROR"),
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
    """This process's environment, in which Jupyter looks into the folder `temporary` first."""
    environ = dict(os.environ)
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        environ[name] = os.pathsep.join(filter(None, [temporary, environ.get(name)]))
    return environ


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run JupyterLab to its end. SIGTERM is taken as Ctrl-C, so that no server stays behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, env=environ) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            # From a keyboard the server has the signal, too; its end takes a second or two, and
            # a further Ctrl-C changes nothing.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            server.terminate()
            server.wait()
            return 0


def _fail(why: str) -> int:
    print(f"mm_magic demo: {why}", file=sys.stderr)
    return 1
