"""Makes the README's moving picture: the notebook of a real model's answers, while it is replayed.

From the folder tests: `python -m browser.moving_picture`.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize

from browser.lab import Lab, lab_alone
from browser.pictures import check_size

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
PICTURE = NOTEBOOKS / "images" / "streaming.gif"
NOTEBOOK, RECORDING = "09-a-real-model.ipynb", "smollm2.jsonl"
LARGEST = 1_000_000
"""Bytes: the README is read over slow lines, too."""
SIZE: ViewportSize = {"width": 860, "height": 620}
FRAME = 200
"""Milliseconds from one frame to the next."""
AT_LAST = 3_000
"""Milliseconds that the last frame stays."""
COLOURS = 64


def main() -> None:
    with lab_alone(size=SIZE) as lab:
        for name in (NOTEBOOK, RECORDING):
            shutil.copy(NOTEBOOKS / name, lab.server.notebooks / name)
        lab.open(NOTEBOOK)
        lab.set_theme("light")
        lab.command("application:toggle-left-area")
        lab.command("notebook:clear-all-cell-outputs")
        frames = list(film(lab))
    save(frames)
    check_size(PICTURE, LARGEST)


def film(lab: Lab) -> Iterator[Image.Image]:
    """Run the cells up to the second prompt; take frames of the page from the first one on."""
    cells = [cell["source"] for cell in lab.server.read(NOTEBOOK)["cells"]]
    prompts = [n for n, source in enumerate(cells) if "".join(source).startswith("%%minimax")][:2]
    lab.run(*(n for n in range(prompts[0]) if "".join(cells[n]).startswith("%")))
    lab.edit(2, f"%minimax replay {RECORDING} --speed 3")
    lab.run(2)
    for number in prompts:
        lab.start(number)
        lab.cell(number).evaluate("cell => cell.scrollIntoView({block: 'start'})")
        while lab.page.evaluate("() => window.mmRunning"):
            yield frame(lab)
            lab.page.wait_for_timeout(FRAME)
        yield frame(lab)


def frame(lab: Lab) -> Image.Image:
    """The notebook as it stands on the page, in few colours."""
    shot = lab.page.locator(".jp-NotebookPanel-notebook").screenshot()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def save(frames: list[Image.Image]) -> None:
    """One file of all frames, in the colours of the last one."""
    palette = frames[-1].quantize(COLOURS)
    few = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    times = [FRAME] * (len(few) - 1) + [AT_LAST]
    few[0].save(PICTURE, save_all=True, append_images=few[1:], duration=times, loop=0)


if __name__ == "__main__":
    main()
