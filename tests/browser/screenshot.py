"""Makes the picture of the README, from the real thing: the offline demo, in JupyterLab.

From the folder tests: `python -m browser.screenshot`. Above a finished answer, its thinking
folded; below one that has just begun, its thinking open.
"""

from pathlib import Path

from playwright.sync_api import ViewportSize, expect

from browser.lab import lab_alone

PICTURE = Path(__file__).parent.parent.parent / "notebooks" / "images" / "streaming.png"
CELLS = (
    "%load_ext mm_magic",
    "%%minimax\ndemo maths",
    '%%minimax -t 0.7 -s "Be brief"\nWhy is the sky blue?',
)
LARGEST = 250_000
"""Bytes: the README is read over slow lines, too."""
SIZE: ViewportSize = {"width": 900, "height": 1015}
"""In CSS pixels; the picture has two a side for each."""


def main() -> None:
    with lab_alone(size=SIZE, scale=2) as lab:
        lab.open("demo.ipynb", CELLS)
        lab.set_theme("light")
        lab.command("application:toggle-left-area")
        lab.run(0, 1)
        expect(lab.answer(1).locator("mjx-container").last).to_be_visible()
        lab.start(2)
        lab.cell(1).evaluate("cell => cell.scrollIntoView()")
        expect(lab.thinking(2)).to_contain_text("Step 3")
        PICTURE.parent.mkdir(exist_ok=True)
        lab.page.locator(".jp-NotebookPanel").screenshot(path=PICTURE)
        lab.wait()
    size = PICTURE.stat().st_size
    print(f"{PICTURE}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"larger than {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
