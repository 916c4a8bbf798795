"""`python -m mm_magic demo`, as a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from ipykernel.ipkernel import IPythonKernel

from mm_magic.cli.demo import address_in, copy_files, has_display, packaged_files
from mm_magic.cli.main import main

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*)\?token=(\w+)")
SECONDS = 60

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends the demo with POSIX signals")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home with a "python3" kernel that belongs to some other environment."""
    kernel = tmp_path / "home" / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python"], "display_name": "Another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), "utf-8")
    return tmp_path / "home"


def environment(home: Path) -> dict[str, str]:
    folders = {
        f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "data", "runtime")
    }
    hidden = ("JUPYTER_", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    # The wrong kernel first: outside of a virtual environment that is Jupyter's own order.
    return {**kept, **folders, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0"}


@contextmanager
def demo(home: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """The running command and the file that it prints to; it is ended if it still runs."""
    printed = home / "printed"
    command = [sys.executable, "-m", "mm_magic", "demo", *options]
    with (
        printed.open("w") as out,
        subprocess.Popen(
            command, cwd=home, env=environment(home), stdout=out, stderr=out, text=True
        ) as process,
    ):
        try:
            yield process, printed
        finally:
            process.send_signal(signal.SIGINT)  # does nothing when it has ended
            process.wait(SECONDS)


def get(port: int, path: str, token: str) -> tuple[int, bytes]:
    """One GET; raises OSError while nobody listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"token {token}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_for_address(process: "subprocess.Popen[str]", printed: Path) -> tuple[int, str, str]:
    """Port, path and token as printed, once the server's API answers."""
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit and process.poll() is None:
        if found := ADDRESS.search(printed.read_text()):
            port, path, token = int(found[1]), found[2], found[3]
            with suppress(OSError):
                if get(port, "/api/status", token)[0] == 200:
                    return port, path, token
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(f"no server: {printed.read_text()}")


def test_demo_serves_the_quickstart(home: Path) -> None:
    """The demo serves the quickstart on the printed address, with its own Python as the kernel.

    It prints where the notebooks are, the address and how to stop it, and nothing of Jupyter's log.
    The copies name that kernel as JupyterLab does, so that opening one changes nothing.
    """
    with demo(home, "--no-browser", "--port", str(free_port())) as (process, printed):
        port, path, token = wait_for_address(process, printed)
        assert path == "/lab/tree/notebooks/01-quickstart.ipynb"
        status, page = get(port, path, token)
        assert status == 200
        assert b'"disabledExtensions": ["@jupyterlab/apputils-extension:announcements"]' in page
        status, kernels = get(port, "/api/kernelspecs", token)
        spec = json.loads(kernels)["kernelspecs"]["python3"]["spec"]
        assert spec["argv"][:3] == [sys.executable, "-m", "ipykernel_launcher"]
        assert spec["argv"][-1] == "--log-level=ERROR"  # no warning that others could listen

        assert printed.read_text() == (
            "The example notebooks are in mm_magic_demo/notebooks.\n"
            f"JupyterLab is at http://127.0.0.1:{port}{path}?token={token}\n"
            "Press Ctrl-C here to stop it.\n"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
        with pytest.raises(OSError, match="refused"):
            get(port, "/api/status", token)
    assert "Traceback" not in printed.read_text()
    folder = home / "mm_magic_demo" / "notebooks"
    notebooks = ROOT / "notebooks"
    for original in (*notebooks.glob("*.jsonl"), notebooks / "elements.csv"):
        assert (folder / original.name).read_bytes() == original.read_bytes()
    for original in (ROOT / "notebooks").glob("*.ipynb"):
        copy = json.loads((folder / original.name).read_text("utf-8"))
        metadata = copy.pop("metadata")
        assert metadata == {
            "kernelspec": {
                "name": "python3",
                "display_name": spec["display_name"],
                "language": spec["language"],
            },
            "language_info": IPythonKernel.language_info,
        }
        notebook = without_turns(json.loads(original.read_text("utf-8")))
        del notebook["metadata"]
        assert copy == notebook
    for original in (ROOT / "notebooks" / "class").glob("*.ipynb"):
        copy = json.loads((folder / "class" / original.name).read_text("utf-8"))
        assert copy["cells"] == json.loads(original.read_text("utf-8"))["cells"]


def without_turns(notebook: Any) -> Any:
    """A notebook without its saved turns, which Jupyter would not trust; the answers stay."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.minimax.turn+json", None)
        if "outputs" in cell:
            cell["outputs"] = [each for each in cell["outputs"] if each.get("data") != {}]
    return notebook


def test_demo_overwrites_nothing(home: Path) -> None:
    """A notebook that is there already stays as it is, and the demo says so; SIGTERM ends it."""
    mine = home / "mine" / "notebooks" / "01-quickstart.ipynb"
    mine.parent.mkdir(parents=True)
    mine.write_text("my work")
    with demo(home, "--port", str(free_port()), "--dir", "mine") as (process, printed):
        port, _, token = wait_for_address(process, printed)
        process.terminate()
        assert process.wait(SECONDS) == 0
        with pytest.raises(OSError, match="refused"):
            get(port, "/api/status", token)
    assert mine.read_text() == "my work"
    assert (
        "in mine/notebooks. 01-quickstart.ipynb was there already and was kept. For new copies, "
        "use --dir FOLDER" in printed.read_text()
    )
    assert "No browser could be opened here" in printed.read_text()


def test_several_files_that_were_there(tmp_path: Path) -> None:
    """One sentence tells of all files that were there."""
    files = packaged_files()
    copy_files(files, tmp_path)
    said = copy_files(files, tmp_path)
    assert said == (
        f"The example notebooks are in {tmp_path / 'notebooks'}. {len(files)} files were "
        "there already and were kept. For new copies, use --dir FOLDER"
    )


def test_what_goes_wrong_is_seen(home: Path) -> None:
    """Where JupyterLab can't start, its own words say why, and the demo ends as it does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        config = home / "config" / "jupyter_server_config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"ServerApp": {"port_retries": 0}}))
        with demo(home, "--no-browser", "--port", port) as (process, printed):
            assert process.wait(SECONDS) != 0
    told = printed.read_text()
    assert port in told.partition("mm_magic_demo/notebooks.")[2]
    assert "JupyterLab is at" not in told


@pytest.mark.parametrize(
    ("token", "query"), [("a1", "?token=a1"), ("", "")], ids=["token", "a setup without one"]
)
def test_address(tmp_path: Path, token: str, query: str) -> None:
    """The address is the running server's own, with its base; a file half written is none yet."""
    assert address_in(tmp_path) is None
    file = tmp_path / "jpserver-7.json"
    file.write_text('{"url": "http://127')
    assert address_in(tmp_path) is None
    file.write_text(json.dumps({"url": "http://127.0.0.1:9/base/", "token": token}))
    assert (
        address_in(tmp_path)
        == f"http://127.0.0.1:9/base/lab/tree/notebooks/01-quickstart.ipynb{query}"
    )


def test_demo_without_jupyterlab(home: Path) -> None:
    """Where JupyterLab is missing, one line gives the command that installs it."""
    bare = {**environment(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-m", "mm_magic", "demo"]  # -S: no installed packages
    ended = subprocess.run(command, cwd=home, env=bare, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == (
        "mm_magic demo: jupyterlab and ipykernel could not be found; to install what is missing: "
        f"{sys.executable} -m pip install jupyterlab ipykernel\n"
    )
    assert not (home / "mm_magic_demo").exists()


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("darwin", {}, True),
        ("win32", {}, True),
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"BROWSER": "/opt/remote/browser"}, True),
    ],
)
def test_has_display(platform: str, environ: dict[str, str], expected: bool) -> None:
    """On Linux a browser is started only where there is a display, or one was named."""
    assert has_display(platform, environ) == expected


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` says in plain text what the command is for."""
    with pytest.raises(SystemExit):
        main(["-h"])
    told = capsys.readouterr().out
    assert "Try mm_magic, set it up, and work with notebooks that hold its answers." in told
    assert "`" not in told


def test_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command all of them are listed, where errors are shown, with the status of one."""
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    for command in ("demo", "site", "autoload", "extract", "strip"):
        assert re.search(rf"^    {command} +\w", told.err, re.MULTILINE)
