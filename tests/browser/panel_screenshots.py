"""Makes the README's pictures of the panel, light and dark, from the real thing.

From the folder tests: `python -m browser.panel_screenshots`. Below the panel an answer streams.
"""

from pathlib import Path

from playwright.sync_api import ViewportSize, expect

from browser import pictures
from browser.lab import Lab, lab_alone

FOLDER = Path(__file__).parent.parent.parent / "notebooks" / "images"
CELLS = ("%load_ext mm_magic", "%minimax panel", "%%minimax\nWhy is the sky blue?")
SIZE: ViewportSize = {"width": 960, "height": 760}
"""In CSS pixels; the picture has two a side for each."""


def main() -> None:
    with lab_alone(size=SIZE, scale=2) as lab:
        lab.open("panel.ipynb", CELLS)
        lab.command("application:toggle-left-area")
        lab.run(0, 1)
        for name, value in (("temperature", "0.3"), ("system", "Be brief")):
            lab.panel().get_by_label(name).fill(value)
            lab.panel().get_by_label(name).press("Tab")
        for theme in ("light", "dark"):
            lab.set_theme(theme)
            take(lab, FOLDER / f"panel-{theme}.png")


def take(lab: Lab, path: Path) -> None:
    """Take the panel and the cell below it while that runs, down to its second step."""
    lab.start(2)
    expect(lab.thinking(2)).to_contain_text("Step 3")
    last = lab.thinking(2).get_by_text("Step 2").bounding_box()
    assert last is not None
    pictures.take(lab, 1, last["y"] + last["height"], path)
    lab.wait()
    pictures.check_size(path)


if __name__ == "__main__":
    main()
