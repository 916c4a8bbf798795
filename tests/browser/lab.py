"""A real Jupyter server, and its pages in a real browser, as a test sees them.

JupyterLab is the usual page. Notebook 7 is made of the same parts, with one notebook a page.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Locator,
    Page,
    Playwright,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from mm_magic.cli.demo import write_page_config

LABEXTENSION = Path(__file__).parents[2] / "mm_magic" / "labextension"
"""As it stands here, whatever is installed."""
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other machine is found
)
HERE = re.compile(r"http://127\.0\.0\.1:|data:|blob:")
SIZE: ViewportSize = {"width": 1280, "height": 900}
SECONDS = 60
MILLISECONDS = SECONDS * 1000
expect.set_options(timeout=MILLISECONDS / 2)

KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
PATHS = {"lab": "lab/tree", "notebook": "notebooks"}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


class Server:
    """A JupyterLab server with settings, kernels and notebooks in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def write(self, name: str, sources: Sequence[str], kernel: str = "python3") -> None:
        """Make a notebook of code cells for the kernel of this name."""
        cells: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(sources)
        ]
        spec = {"display_name": kernel, "language": "python", "name": kernel}
        notebook = {
            "cells": cells,
            "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.notebooks / name).write_text(json.dumps(notebook), "utf-8")

    def add_kernel(self, name: str, script: Path, packages: Path) -> None:
        """Add a kernel: this very Python runs `script`, and finds `packages` before its own."""
        spec = self.folder / "DATA" / "kernels" / name
        spec.mkdir(parents=True)
        content = {
            "argv": [sys.executable, "-P", str(script), "-f", "{connection_file}"],
            "display_name": name,
            "language": "python",
            "env": {"PYTHONPATH": str(packages)},
        }
        (spec / "kernel.json").write_text(json.dumps(content), "utf-8")

    def set(self, plugin: str, settings: dict[str, Any]) -> None:
        """Write the settings of one of JupyterLab's plug-ins; a page that is opened later has them.

        `plugin` is as in `@jupyterlab/apputils-extension:kernels-settings`.
        """
        package, name = plugin.split(":")
        path = self.folder / "CONFIG" / "lab" / "user-settings" / package
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{name}.jupyterlab-settings").write_text(json.dumps(settings), "utf-8")

    def read(self, name: str) -> Any:
        """The notebook file as JSON."""
        return json.loads((self.notebooks / name).read_text("utf-8"))

    def ask(self, method: str, path: str) -> bytes:
        """One request to the server's API. Raises OSError while nobody listens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def stop_kernels(self) -> None:
        """End all sessions, and with them their kernels."""
        for session in json.loads(self.ask("GET", "/api/sessions")):
            self.ask("DELETE", f"/api/sessions/{session['id']}")


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """Run a server until the block ends. No setting and no key of the user's reaches it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    server = Server(folder, port)
    server.notebooks.mkdir()
    write_page_config(folder)
    shutil.copytree(LABEXTENSION, folder / "SHARE" / "labextensions" / "mm_magic")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "-y"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
        f"--ServerApp.root_dir={server.notebooks}",
        *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    log = folder / "server.log"
    with (
        log.open("w") as out,
        subprocess.Popen(command, env=_environment(folder), stdout=out, stderr=out) as process,
    ):
        try:
            _wait_for(server, process, log)
            yield server
            server.stop_kernels()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # seen once: it hung while it stopped
                process.kill()


def _environment(folder: Path) -> dict[str, str]:
    hidden = ("JUPYTER", "IPYTHON", "MINIMAX_", "ANTHROPIC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTER_CONFIG_PATH": str(folder), "IPYTHONDIR": str(folder / "IPYTHON")}
    own |= {"JUPYTER_PATH": str(folder / "SHARE")}
    return {**kept, **own, "HOME": str(folder)}


def _wait_for(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit and process.poll() is None:
        with suppress(OSError):
            server.ask("GET", "/api/status")
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()}")


def start_chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


def start_pages(playwright: Playwright, folder: Path) -> BrowserContext:
    """Chromium with a folder for its cache: pages after the first find JupyterLab's scripts there,
    compiled, and take the processor 4.1 s instead of 5.1 s."""
    return playwright.chromium.launch_persistent_context(
        folder, executable_path=CHROMIUM, args=FLAGS, viewport=SIZE
    )


@contextmanager
def new_lab(context: BrowserContext, server: Server, *, app: str = "lab") -> Iterator["Lab"]:
    """A new page. It must have asked no other machine for anything.

    `app` is "lab" for JupyterLab or "notebook" for Notebook 7.
    """
    lab = Lab(context.new_page(), server, PATHS[app])
    try:
        yield lab
        assert lab.outside == []
    finally:
        lab.page.close()
        server.stop_kernels()


@contextmanager
def lab_alone(*, size: ViewportSize = SIZE, scale: int = 1) -> Iterator["Lab"]:
    """A page with a server and a browser of its own: for a program that is no test."""
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyterlab(Path(folder)) as server,
        sync_playwright() as playwright,
        start_chromium(playwright) as browser,
        browser.new_context(viewport=size, device_scale_factor=scale) as context,
        new_lab(context, server) as lab,
    ):
        yield lab


# JupyterLab draws what is below the window when it has time, and fills a part after adding it.
SHOWN = """() => jupyterapp.shell.currentWidget.content.widgets.every((cell) => {
    const parts = cell.node.querySelectorAll(".jp-OutputArea-output");
    const expected = cell.model.outputs ? Math.min(cell.model.outputs.length, 50) : 0;
    return parts.length >= expected && [...parts].every((part) => part.hasChildNodes());
})"""


class Lab:
    """One page with a notebook open. Cells are numbered from 0. All waiting is for events."""

    def __init__(self, page: Page, server: Server, path: str = PATHS["lab"]) -> None:
        self.page = page
        self.server = server
        self._path = path
        self.name = ""
        self.outside: list[str] = []
        """Addresses on other machines that the page asked for; the browser found none of them."""
        self.dialogs: list[str] = []
        """What `alert` and its kind said: the mark of a script that ran."""
        page.set_default_timeout(MILLISECONDS)
        page.on("request", self._watch)  # a route that refuses would switch off the cache
        page.on("dialog", self._dismiss)

    def _watch(self, request: Request) -> None:
        if not HERE.match(request.url):
            self.outside.append(request.url)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(
        self, name: str, sources: Sequence[str] | None = None, kernel: str = "python3"
    ) -> None:
        """Show a notebook, made of `sources` if given, and wait until its kernel is idle."""
        if sources is not None:
            self.server.write(name, sources, kernel)
        self.name = name
        self.page.goto(f"{self.server.url}/{self._path}/{name}?reset")
        self._wait_for_kernel()

    def restart_kernel(self) -> None:
        """Restart it, without the question."""
        self.page.evaluate(
            "async () => { await jupyterapp.shell.currentWidget.sessionContext.restartKernel() }"
        )
        self._wait_for_kernel()

    def reload(self) -> None:
        """Load the page again, and wait until it shows all outputs: they come from the file now."""
        self.page.reload()
        self._wait_for_kernel()
        self.page.wait_for_function(SHOWN)

    def reload_and_stop(self) -> None:
        """Load the page again while a cell runs, and click ■ as soon as that can do something."""
        self.page.reload()
        self.page.wait_for_function(f"() => {KERNEL}?.connectionStatus === 'connected'")
        self.stop_button().click()
        self._wait_for_kernel()

    def _wait_for_kernel(self) -> None:
        # "idle" alone may be what the server says of a kernel that the page has not spoken to: a
        # cell that was run then stayed at [*] once in 50 pages.
        self.page.wait_for_function(f"() => {KERNEL}?.connectionStatus === 'connected'")
        self.page.evaluate(f"async () => {{ await {KERNEL}.info }}")
        self.page.wait_for_function(f"() => {KERNEL}?.status === 'idle'")
        expect(self.cell(0)).to_be_visible()

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands to its end."""
        self.page.evaluate(
            "async ([name, args]) => { await jupyterapp.commands.execute(name, args) }",
            [name, arguments or {}],
        )

    def start(self, number: int) -> None:
        """Run a cell, without waiting for its end."""
        self.select(number)
        self._start("notebook:run-cell")

    def start_all(self) -> None:
        self._start("notebook:run-all-cells")

    def start_from(self, number: int) -> None:
        """Run a cell and all below it, as Run All does."""
        self.select(number)
        self._start("notebook:run-all-below")

    def _start(self, name: str) -> None:
        self.page.evaluate(
            """name => {
                window.mmRunning = true;
                jupyterapp.commands.execute(name).finally(() => { window.mmRunning = false; });
            }""",
            name,
        )

    def select(self, number: int) -> None:
        self.page.evaluate(
            "n => { jupyterapp.shell.currentWidget.content.activeCellIndex = n }", number
        )

    def edit(self, number: int, source: str) -> None:
        """Give a cell another source."""
        self.page.evaluate(
            "([n, source]) => { jupyterapp.shell.currentWidget.content.widgets[n]"
            ".model.sharedModel.setSource(source) }",
            [number, source],
        )

    def wait(self) -> None:
        """Wait for the end of what was started."""
        self.page.wait_for_function("() => window.mmRunning === false")

    def run(self, *numbers: int) -> None:
        """Run cells one after another, each to its end."""
        for number in numbers:
            self.start(number)
            self.wait()

    def stop_button(self) -> Locator:
        """■ in the notebook's toolbar."""
        return self.page.locator("jp-button[data-command='notebook:interrupt-kernel']")

    def open_kernel_menu(self) -> None:
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        expect(self.interrupt_item()).to_be_visible()

    def interrupt_item(self) -> Locator:
        """In the open menu: Kernel > Interrupt Kernel."""
        return self.page.get_by_role("menuitem", name="Interrupt Kernel")

    def save(self) -> Any:
        """Save, and return the file's JSON."""
        self.command("docmanager:save")
        return self.server.read(self.name)

    def set_theme(self, theme: str) -> None:
        """`theme` is "light" or "dark"."""
        self.command("apputils:change-theme", {"theme": THEMES[theme]})
        expect(self.page.locator("body")).to_have_attribute(
            "data-jp-theme-light", str(theme == "light").lower()
        )

    def cell(self, number: int) -> Locator:
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")

    def output(self, number: int) -> Locator:
        """All that is shown under a cell."""
        return self.cell(number).locator(".jp-OutputArea-output")

    def thinking(self, number: int) -> Locator:
        return self.cell(number).locator("details.mm-thinking")

    def answer(self, number: int) -> Locator:
        return self.cell(number).locator(".mm-answer")

    def status(self, number: int) -> Locator:
        return self.cell(number).locator(".mm-status").last

    def panel(self) -> Locator:
        """The widgets of `%minimax panel`."""
        return self.page.locator(".mm-panel")

    def prompt(self, number: int) -> Locator:
        """`[3]:` of a cell that ran, `[*]:` of one that runs, `[ ]:` of one that didn't."""
        return self.cell(number).locator(".jp-InputPrompt")
