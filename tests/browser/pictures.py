"""What the programs that make the README's pictures share."""

from pathlib import Path

from browser.lab import Lab

LARGEST = 160_000
"""Bytes of a picture that stands still: the README is read over slow lines, too."""


def take(lab: Lab, first: int, bottom: float, path: Path) -> None:
    """Take the page from a cell down to `bottom`, in CSS pixels."""
    top = lab.cell(first).bounding_box()
    assert top is not None
    lab.page.screenshot(path=path, clip={**top, "height": bottom - top["y"]})


def check_size(path: Path, largest: int = LARGEST) -> None:
    """Print the size of a picture; end the program if it is larger than so many bytes."""
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > largest:
        raise SystemExit(f"larger than {largest:,} bytes")
