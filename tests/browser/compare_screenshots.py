"""Makes the README's pictures of answers side by side, light and dark, from the real thing.

From the folder tests: `python -m browser.compare_screenshots`. The demo answers.
"""

from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize, expect

from browser import pictures
from browser.lab import Lab, lab_alone

FOLDER = Path(__file__).parent.parent.parent / "notebooks" / "images"
CELLS = ("%load_ext mm_magic", "%minimax offline", "%%minimax -t 0.1,0.6,1\nName a tree.")
SIZE: ViewportSize = {"width": 960, "height": 1100}
"""In CSS pixels; the picture has two a side for each."""


def main() -> None:
    with lab_alone(size=SIZE, scale=2) as lab:
        lab.open("compare.ipynb", CELLS)
        lab.command("application:toggle-left-area")
        lab.run(0, 1, 2)
        for theme in ("light", "dark"):
            lab.set_theme(theme)
            take(lab, FOLDER / f"compare-{theme}.png")


def take(lab: Lab, path: Path) -> None:
    """Take the cell with its answers, down to the ends of their tables, in few colours."""
    expect(lab.cell(2).locator("h3.jp-toc-ignore")).to_have_count(3)
    tables = lab.cell(2).locator("table").last.bounding_box()
    assert tables is not None
    pictures.take(lab, 2, tables["y"] + tables["height"] + 8, path)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
    pictures.check_size(path)


if __name__ == "__main__":
    main()
