"""`python -m mm_magic`: `demo`, `site`, `autoload`, `extract` and `strip`.

`demo` opens JupyterLab on the quickstart, ready to run, without a key. What JupyterLab needs to
know for this one run goes into a temporary folder and its command line. The user's own Jupyter
settings are read as ever, and never written.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from mm_magic.cli.autoload import autoload
from mm_magic.cli.demo import FOLDER, demo
from mm_magic.cli.extract import COLUMNS, FORMATS, extract
from mm_magic.cli.site.command import PORT, site
from mm_magic.cli.strip import strip
from mm_magic.conversation.turn import is_notebook_name

OR_FOLDER = "a notebook, a folder (with its subfolders), or a pattern such as '*.ipynb'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status of the process: without a command 2, as for any
    line that can't be run, with the help in place of the error."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe on Windows lacks most characters
        sys.stdout.reconfigure(errors="replace")
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return 2
    if chosen.command == "demo":
        return demo(chosen.dir, port=chosen.port, browser=not chosen.no_browser)
    if chosen.command == "site":
        return site(
            chosen.files, chosen.output, pyodide=chosen.pyodide, serve=chosen.serve,
            port=chosen.port,
        )  # fmt: skip
    if chosen.command == "autoload":
        return autoload(off=chosen.off)
    if chosen.command == "strip":
        return strip(chosen.notebooks, thinking=chosen.thinking)
    if chosen.output is not None and is_notebook_name(chosen.output.name):
        parser.error(f"-o would overwrite a notebook: {str(chosen.output)!r}")
    return extract(chosen.notebooks, chosen.format, chosen.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mm_magic",
        description="Try mm_magic, set it up, and work with notebooks that hold its answers.",
        epilog="%(prog)s COMMAND -h explains one of them.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    demo = commands.add_parser("demo", help="open JupyterLab with the quickstart; no key is needed")
    demo.add_argument("--no-browser", action="store_true", help="only print the address to open")
    demo.add_argument("--port", type=int, metavar="N", help="the server's port (default: 8888)")
    demo.add_argument(
        "--dir",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help="where the notebooks are copied to (default: %(default)s)",
    )
    _add_site(commands)
    autoload = commands.add_parser(
        "autoload",
        help="make %%%%minimax work in each new kernel, without %%load_ext mm_magic",
        description="Write a start-up file for IPython that loads mm_magic in each new kernel, "
        "if it is installed there. The path of the file is shown.",
    )
    autoload.add_argument("--off", action="store_true", help="remove the start-up file")
    extract = commands.add_parser(
        "extract",
        help="write the conversations saved in notebooks as JSON Lines, CSV or Markdown",
        description="Write the turns saved in notebooks, with these fields: "
        f"{', '.join(COLUMNS)}. If a file holds a turn twice, the turn is written once. The exit "
        "status is 1 if a file could not be found or read; the others are still processed.",
        epilog="In CSV, text that begins with = + - @ or a tab is given a leading apostrophe, "
        "because a spreadsheet would otherwise run it. CSV and Markdown show control characters as "
        "symbols (␛); JSON Lines keeps all text as it is.",
    )
    extract.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help=OR_FOLDER)
    extract.add_argument(
        "--format",
        choices=list(FORMATS),
        default="jsonl",
        help="the format to write (default: jsonl)",
    )
    extract.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the file to write (default: stdout)"
    )
    strip = commands.add_parser(
        "strip",
        help="remove the hidden saved turns from notebooks",
        description="Remove the saved turns from notebook files: prompts as they were sent, "
        "thinking with its signature, answers and options as JSON. What the page shows is kept. "
        "The exit status is 1 if a file could not be found, read or written; the others are "
        "still processed.",
    )
    strip.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help=OR_FOLDER)
    strip.add_argument(
        "--thinking", action="store_true", help="also remove the thinking that mm_magic has shown"
    )
    return parser


def _add_site(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    site = commands.add_parser(
        "site",
        help="build a web page in which notebooks run, without a server",
        description="Write a folder of files that any web server can serve. The notebooks run in "
        "the reader's browser. The demo and recordings answer there; a model can't be asked.",
    )
    site.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="notebooks, and the recordings and data that they use "
        "(default: the example notebooks)",
    )
    site.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="the folder to write"
    )
    site.add_argument("--serve", action="store_true", help="afterwards, open the site in a browser")
    site.add_argument(
        "--port",
        type=int,
        default=PORT,
        metavar="N",
        help="the port for --serve (default: %(default)s)",
    )
    site.add_argument(
        "--pyodide",
        type=Path,
        metavar="FOLDER",
        help="a folder that holds Pyodide, to include in the site (default: load it from a CDN)",
    )
