"""Makes pictures of a prompt and an answer with code, light and dark, from the real thing.

From the folder tests: `python -m browser.prose_screenshots`. The pointer is over the code, whose
copy button therefore shows. The demo answers.
"""

from pathlib import Path

from playwright.sync_api import ViewportSize, expect

from browser import pictures
from browser.lab import Lab, lab_alone

FOLDER = Path(__file__).parent.parent.parent / "notebooks" / "images"
PROMPT = """%%minimax -t 0.3 -s "Be brief"
I've got notes on {{birds}} from my sister's garden, and I don't know what's in them. Is there \
anything that isn't a bird? If so, it's a mistake.

- if a name is wrong, say for which bird
- else: don't change it, **never** guess"""
CODE = "%%minimax\ndemo code"
CELLS = ("%load_ext mm_magic", 'birds = ["robin", "wren", "squirrel"]', PROMPT, CODE)
SIZE: ViewportSize = {"width": 900, "height": 1400}
"""In CSS pixels; the picture has two a side for each."""

SHOWN = 120
"""CSS pixels of the code."""


def main() -> None:
    for theme in ("light", "dark"):
        with lab_alone(size=SIZE, scale=2) as lab:
            lab.open("prose.ipynb", CELLS)
            lab.set_theme(theme)
            lab.command("application:toggle-left-area")
            lab.run(0, 1, 3)
            expect(lab.cell(2).locator(".mm-insert")).to_be_visible()
            take(lab, FOLDER / f"prose-{theme}.png")


def take(lab: Lab, path: Path) -> None:
    """Take the prompt and the cell below it, down to the first lines of its code."""
    code = lab.answer(3).locator("div.highlight").first
    code.hover(position={"x": 10, "y": 10})
    expect(lab.cell(3).locator(".mm-copy").first).to_have_css("opacity", "1")
    place = code.bounding_box()
    assert place is not None
    pictures.take(lab, 2, place["y"] + SHOWN, path)
    pictures.check_size(path)


if __name__ == "__main__":
    main()
