"""The notebooks and recordings of a site, as its page can read them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from mm_magic.cli.demo import CLASS, packaged_files
from mm_magic.cli.strip import strip_file
from mm_magic.conversation.notebook_file import cells_of, joined, outputs_of
from mm_magic.conversation.turn import is_notebook_name
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.web_page import in_site

_COMMAND = "!{sys.executable} -m mm_magic ", "%run -m mm_magic "
"""A page has no processes: our command runs in the kernel, whose line does the same."""
_KERNEL = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}


def write_contents(files: Sequence[Path], folder: Path) -> list[str]:
    """Write the files into `folder`, the package's own in their places if there are none.

    Returns the places of the notebooks; those of a class are not among them. Raises UsageError.
    """
    given = [(Path(file.name), file) for file in files]
    notebooks = []
    for place, file in given or packaged_files().items():
        is_handed_in = place.parent == CLASS
        _copy(file, in_site(folder / place), keeps_turns=is_handed_in)
        if is_notebook_name(place.name) and not is_handed_in:
            notebooks.append(place.as_posix())
    if not notebooks:
        raise UsageError(
            "a site needs a notebook",
            next_steps=("python -m mm_magic site LESSON.ipynb LESSON.jsonl -o FOLDER",),
        )
    return notebooks


def _copy(file: Path, target: Path, *, keeps_turns: bool) -> None:
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name the files in it")
    if target.exists():
        raise UsageError(f"two files are called {file.name}; rename one of them")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    if is_notebook_name(target.name):
        if not keeps_turns:  # the page would not find them, and everybody could read them
            strip_file(target, thinking=False)
        _fit_for_page(target)


def _fit_for_page(path: Path) -> None:
    """Name the page's kernel, and write each output as one string: it draws commas in others."""
    notebook = json.loads(path.read_text("utf-8").replace(*_COMMAND))
    notebook["metadata"] = as_object(notebook.get("metadata")) | {"kernelspec": _KERNEL}
    for cell in cells_of(notebook):
        for output in outputs_of(cell):
            _join(output, [*output.keys() & {"text"}])
            data = as_object(output.get("data"))
            _join(data, [kind for kind in data if not kind.endswith("json")])
    path.write_bytes(json.dumps(notebook, ensure_ascii=False, indent=1).encode())


def _join(texts: JsonObject, names: Sequence[str]) -> None:
    texts |= {name: joined(texts[name]) for name in names}
