"""Values that become pictures in a prompt."""

import os
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from IPython import display
from matplotlib import pyplot as plt
from PIL import Image
from support.canary import found_in
from support.images import (
    RED,
    a_figure,
    file_of,
    jpeg_with_place,
    plain_image,
    png_header,
    png_with_names,
)

from mm_magic.errors import UsageError
from mm_magic.prompt.pictures import mean_colour_of
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.template import fill, fill_in
from mm_magic.protocol.messages import ImageBlock, TextBlock

Shown: Any = display.Image


def picture(value: object) -> ImageBlock:
    """The only block of a prompt that names this value alone."""
    (block,) = fill_in("{{v}}", {"v": value}).content
    assert isinstance(block, ImageBlock)
    return block


def refusal(value: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        fill_in("{{v}}", {"v": value})
    assert caught.value.next_steps
    return caught.value


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda data: Shown(data=data)])
def test_bytes(form: str, wrap: Any) -> None:
    """The bytes of each kind of file are a picture, also in what displays one."""
    block = picture(wrap(file_of(plain_image(40, 30), form)))
    assert str(block).startswith("image/png, 40×30, ")
    assert abs(int(mean_colour_of(block)[1:3], 16) - RED[0]) < 4


@pytest.mark.parametrize("name", ["plot.png", "PLOT.PNG", "photo.jpeg", "mislabelled.gif"])
def test_a_path(tmp_path: Path, name: str) -> None:
    """A path of a picture is the picture, whatever its name promises."""
    (tmp_path / name).write_bytes(file_of(plain_image()))
    assert picture(tmp_path / name) == picture(plain_image())


def test_text_stays_text(tmp_path: Path) -> None:
    """Text that names a file, other bytes and other paths are text as before."""
    (tmp_path / "plot.png").write_bytes(file_of(plain_image()))
    html = b"<!doctype html><svg/>"
    for value in (str(tmp_path / "plot.png"), b"\x89PN", html, tmp_path / "table.csv", tmp_path):
        assert fill_in("{{v}}", {"v": value}).content == (TextBlock(str(value)),)


def test_a_figure_is_left_as_it_was() -> None:
    """Size, dots per inch, canvas, limits, settings and pyplot's figures stay; nothing is shown."""
    open_before, settings = plt.get_fignums(), dict(mpl.rcParams)
    figure = a_figure(dpi=130)
    axes, canvas = figure.axes[0], figure.canvas
    before = (figure.dpi, tuple(figure.get_size_inches()), axes.get_xlim(), axes.get_position())
    block = picture(figure)
    assert max(block.size) == pytest.approx(520, abs=60)
    assert figure.canvas is canvas
    after = (figure.dpi, tuple(figure.get_size_inches()), axes.get_xlim(), axes.get_position())
    assert [*map(str, after)] == [*map(str, before)]
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (open_before, settings)
    assert picture(figure) == block


def test_several_threads(tmp_path: Path) -> None:
    """A figure and an image that is read from its file are the same picture in each thread."""
    figure, photo = a_figure(), tmp_path / "photo.png"
    Image.effect_noise((90, 90), 90).save(photo)
    drawn = picture(a_figure())
    with ThreadPoolExecutor(3) as pool:
        assert {each.pixels for each in pool.map(picture, [figure] * 3)} == {drawn.pixels}
        with Image.open(photo) as image:
            assert {each.pixels for each in pool.map(picture, [image] * 3)} == {
                picture(photo).pixels
            }
    assert figure.dpi == 100


def test_axes_are_their_figure() -> None:
    """Axes, also those of a part of a figure, stand for the whole figure."""
    figure = a_figure()
    assert picture(figure.axes[0]) == picture(figure)
    nested = mpl.figure.Figure()
    part: Any = nested.subfigures(1, 2)
    part = part[0]
    assert picture(part.subplots()) == picture(nested) == picture(part)


@pytest.mark.parametrize("backend", ["pdf", "svg", "ps", "agg"])
def test_a_figure_of_another_canvas(backend: str) -> None:
    """A figure that is drawn for paper keeps its canvas."""
    figure = a_figure()
    canvas = import_module(f"matplotlib.backends.backend_{backend}").FigureCanvas(figure)
    assert picture(figure).size == picture(a_figure()).size
    assert (figure.canvas, figure.dpi) == (canvas, 100)


@pytest.mark.parametrize(
    ("inches", "dpi"), [((4, 3), 3000), ((90, 3), 100), ((4, 3), 100), ((0.05, 0.05), 20)]
)
def test_a_figure_of_any_size(inches: tuple[float, float], dpi: float) -> None:
    """A figure is drawn no larger than a picture may be."""
    assert 1 <= max(picture(a_figure(inches=inches, dpi=dpi)).size) <= 1024


def test_a_figure_with_a_mark_far_outside() -> None:
    """What stands far outside the axes makes the picture small, and not gigantic."""
    figure = a_figure()
    figure.axes[0].annotate("far", (1, 1), xytext=(1e6, 0), textcoords="offset points")
    assert max(picture(figure).size) <= 1024


def test_axes_that_were_removed() -> None:
    """Axes that stand in no figure any more are an error that says so."""
    axes = a_figure().axes[0]
    axes.remove()
    assert "removed from its figure" in refusal(axes).message


def test_transparent_colour_of_a_palette() -> None:
    """A colour of a palette that stands for nothing is white, too."""
    image = plain_image(colour="red").convert("P")
    assert mean_colour_of(picture(file_of(image, "PNG", transparency=image.getpixel((0, 0))))) == (
        "#ffffff"
    )


def test_an_empty_figure() -> None:
    """A figure with nothing in it is an empty picture."""
    assert mean_colour_of(picture(mpl.figure.Figure())) == "#ffffff"


def test_a_figure_that_cannot_be_drawn() -> None:
    """An error in the user's own drawing is told."""
    figure = a_figure()
    figure.axes[0].set_title("$x")
    figure.axes[0].set_title(r"$\nosuch$")
    assert "drawing it raised ValueError" in refusal(figure).message


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_an_image_of_any_mode(mode: str) -> None:
    """Each of Pillow's usual modes is drawn in 8 bits of red, green and blue."""
    image = plain_image().convert("L" if mode in ("PA", "I;16") else mode)
    assert picture(image.convert(mode)).size == (8, 5)


def test_an_image_is_left_as_it_was() -> None:
    """An image keeps its size and mode."""
    image = Image.new("RGBA", (3000, 40), (0, 0, 0, 0))
    assert picture(image).size == (1024, 14)
    assert (image.size, image.mode) == ((3000, 40), "RGBA")


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_transparency_is_white(mode: str) -> None:
    """What is transparent is white, as on paper, on every page."""
    assert mean_colour_of(picture(Image.new(mode, (4, 4)))) == "#ffffff"


def test_16_bits_are_scaled() -> None:
    """Grey in 16 bits keeps its tones; where white is not known it is an error."""
    assert mean_colour_of(picture(Image.new("I;16", (4, 4), 0x8000))) == "#808080"


@pytest.mark.parametrize(("mode", "values"), [("I", (0, 60_000)), ("F", (0.0, 0.5))])
def test_without_a_fixed_white(mode: str, values: tuple[float, float]) -> None:
    """An image that may have any values is an error, and the line it gives keeps the tones."""
    v = Image.new(mode, (2, 1), values[0])
    v.putpixel((1, 0), values[1])
    error = refusal(v)
    assert "it is not known which of its values is white" in error.message
    known: dict[str, Any] = {"v": v}
    exec(error.next_steps[0].split("`")[1], known)
    assert mean_colour_of(picture(known["picture"])) == "#808080"


def test_a_photo_is_small() -> None:
    """A photo is made smaller, and is a JPEG where that is much smaller than PNG."""
    noise = Image.effect_noise((1200, 900), 90)
    block = picture(noise)
    assert (block.media_type, block.size) == ("image/jpeg", (1024, 768))
    assert len(block.file) < 600_000
    assert mean_colour_of(block) != ""


def test_metadata_are_not_sent() -> None:
    """Names, places, comments and what stands behind the end are left out; the photo is upright."""
    named, placed = picture(png_with_names()), picture(jpeg_with_place())
    assert named == picture(plain_image())
    assert placed.size == (5, 8)
    for block in (named, placed):
        text = block.file.decode("latin-1")
        assert not found_in(text)
        assert not any(word in text for word in ("Maker", "script", "Exif", "tEXt"))
    large = Image.effect_noise((1200, 900), 90)
    large.info["comment"] = b"A Maker"
    assert b"Maker" not in picture(large).file


def test_only_the_first_frame() -> None:
    """Of a moving picture the first frame is sent, and the note says so."""
    moving = file_of(plain_image(), "GIF", save_all=True, append_images=[plain_image(8, 5, "blue")])
    content, notes = fill_in("{{v}}", {"v": moving})
    assert len(content) == 1
    assert notes == ("Sent from v: only the first of its frames.",)


def test_text_and_pictures_in_order() -> None:
    """Text stands between pictures as it was written; white space alone is left out."""
    values = {"a": plain_image(1, 1), "b": plain_image(2, 2), "n": 7, "xs": [plain_image(3, 3)]}
    content = fill_in("One {{a}} is {{n}}\n{{b}}\n\n{{xs[0]}} ?", values).content
    assert [block.text if isinstance(block, TextBlock) else block.size for block in content] == [
        "One ", (1, 1), " is 7\n", (2, 2), (3, 3), " ?",
    ]  # fmt: skip
    assert str(Prompt(content)).startswith("One [image/png, 1×1, ")
    assert Prompt(content).text == "One  is 7\n ?"


def test_a_prompt_of_text_is_a_string() -> None:
    """Without a picture the prompt is a plain string, as ever."""
    assert Prompt(fill_in("a {{n}}", {"n": 1}).content).to_wire() == "a 1"
    assert Prompt(fill_in("a", {}).content).to_wire() == "a"


def test_rows_take_text() -> None:
    """A prompt for many rows refuses a picture, with the line that works."""
    with pytest.raises(UsageError, match="sent as text only") as caught:
        fill("{{v}}", {"v": plain_image()})
    assert "mm.ask([" in caught.value.next_steps[0]


# -- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (png_header(100_000, 100_000), "100,000 × 100,000 pixels, and the limit is 50 million"),
        (Image.new("1", (60_000, 1000)), "60,000 × 1,000 pixels"),
        (png_header(3000, 2000), "can't be read"),
        (png_header(0, 5), "0 × 5 pixels"),
        (file_of(plain_image(900, 900))[:200], "can't be read"),
        (file_of(plain_image())[:20], "ends within its header"),
        (png_with_names() + bytes(50_000_000), "it is 50 MB, and the limit is 50 MB"),
        (b"RIFF\x04\0\0\0WEBPVP8X", "can't be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?>\n<svg onload='x()'/>", "SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg/>", "SVG"),
        ([plain_image(), plain_image()], "only one can be inserted at a time"),
        (display.SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG"),  # type: ignore[no-untyped-call]
        (Shown(url="http://127.0.0.1/x.png"), "at a URL"),
    ],
)
def test_refused(value: object, why: str) -> None:
    """What can't be sent is an error that says why, with the numbers, before it is decoded."""
    assert why in refusal(value).message


A_LIST = plt.plot([1, 2])
BARS = plt.bar([1], [2])


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ([plain_image(), 7], "Write {{v[0]}}."),
        (["text", a_figure()], "Write {{v[1]}}."),
        ([b"data", bytearray(file_of(plain_image()))], "Write {{v[1]}}."),
        (plt.subplots(2, 2)[1], "Write {{v.flat[0]}}."),
        (plt.subplots(2, 2), "Write {{v[0]}}."),
        (pd.Series([plain_image()]), "Write {{v.iloc[0]}}."),
        (pd.DataFrame({"a": [1], "b": [2]}).plot(subplots=True), "Write {{v.flat[0]}}."),
        ({"fig": a_figure()}, "Run `picture = v[…]` in a cell above, and write {{picture}}."),
        (A_LIST, "Run `value = v[0].figure` in a cell above, and write {{value}}."),
        ({"a": A_LIST}, "Run `value = v['a'][0].figure` in a cell above, and write {{value}}."),
        (BARS, "Run `value = v[0].figure` in a cell above, and write {{value}}."),
    ],
)
def test_what_holds_pictures(value: object, step: str) -> None:
    """What holds pictures or parts of them is no text: the error says how to send one."""
    assert refusal(value).next_steps[0] == step


def test_what_holds_none() -> None:
    """The counts of a histogram, an array of numbers and a list of paths stay text."""
    values: list[Any] = [plt.hist([1, 2]), np.zeros(2), [Path("a.png")], {}, [], pd.Series([1])]
    for value in values:
        assert isinstance(fill_in("{{v}}", {"v": value}).content[0], TextBlock)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "AVIF", "JPEG2000"])
def test_bytes_of_other_kinds(form: str) -> None:
    """The bytes of a picture of another kind are an error, and no text of thousands of letters."""
    head = {"AVIF": b"\0\0\0\x1cftypavif", "JPEG2000": b"\0\0\0\x0cjP  \r\n\x87\n"}
    data = head.get(form) or file_of(plain_image(), form)
    assert "is not a PNG, JPEG, WebP or GIF picture" in refusal(data).message


def test_a_second_size_behind_the_header() -> None:
    """A GIF whose frame is larger than its header says is refused by the frame's size."""
    gif = bytearray(file_of(plain_image(), "GIF"))
    place = gif.index(b"\x2c", 13)
    gif[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    assert "pixels" in refusal(bytes(gif)).message


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.png", b"<html><script>alert(1)</script>", "is not a PNG, JPEG, WebP or GIF picture"),
        ("x.svg", b"<svg/>", "SVG"),
        ("x.tiff", b"II*\0", "is not a PNG, JPEG, WebP or GIF picture"),
        ("x.png", b"", "is not a PNG, JPEG, WebP or GIF picture"),
    ],
)
def test_a_file_that_is_no_picture(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """A file that is named like a picture and is none is an error."""
    (tmp_path / name).write_bytes(content)
    assert why in refusal(tmp_path / name).message


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    """A folder, a pipe, a device, an address and a missing file are errors, at once."""
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name in ("folder.png", "pipe.png", "device.png"):
        assert "not an ordinary file" in refusal(tmp_path / name).message
    assert "No such file" in refusal(tmp_path / "none.png").message
    assert "can't be read" in refusal(Path("x\0.png")).message
    address = pathlib.PurePosixPath("https://127.0.0.1/x.png")
    assert "at a URL" in refusal(address).message


def test_a_huge_file(tmp_path: Path) -> None:
    """A file of many megabytes is not read."""
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(file_of(plain_image()))
        file.truncate(3 * 10**9)
    assert "is 3,000 MB, and the limit is 50 MB" in refusal(path).message


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Pillow is missing the error gives the line that installs it."""
    data = file_of(plain_image())
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "`%pip install pillow`" in refusal(data).next_steps[0]


def test_a_part_of_a_figure() -> None:
    """A line of a figure is refused, with what names its figure."""
    (line,) = a_figure().axes[0].get_lines()
    error = refusal(line)
    assert "is a part of a figure (Line2D), but only text and pictures can be sent" in error.message
    assert error.next_steps[0] == "Write {{v.figure}}."
    assert picture(line.figure) == picture(a_figure())


@pytest.mark.parametrize("name", ["__import__", "v.__class__", "v.tobytes()", "v|x"])
def test_names_are_no_code(name: str) -> None:
    """Beside pictures, too, only a name, an attribute or an index is looked up."""
    try:
        content = fill_in(f"{{{{{name}}}}}", {"v": plain_image()}).content
    except UsageError:
        return
    assert all(isinstance(block, TextBlock) for block in content)
