"""Image files: type and size from their first bytes, and PNG as it is written."""

import base64
import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from support.images import file_of, plain_image, png_header

from mm_magic.protocol.image_file import (
    mean_colour,
    media_type,
    pixels_of,
    pixels_print,
    png_file,
    size_of,
)
from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.protocol.messages import (
    ImageBlock,
    UnknownBlock,
    block_from_wire,
    prompt_block_from_wire,
)

FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("image/png", "PNG", {}),
    ("image/gif", "GIF", {}),
    ("image/jpeg", "JPEG", {}),
    ("image/jpeg", "JPEG", {"progressive": True, "comment": b"x" * 300}),
    ("image/webp", "WEBP", {}),
    ("image/webp", "WEBP", {"lossless": True}),
    ("image/webp", "WEBP", {"save_all": True, "append_images": [plain_image(300, 200, "blue")]}),
]


@pytest.mark.parametrize(("kind", "form", "how"), FILES)
def test_type_and_size(kind: str, form: str, how: dict[str, Any]) -> None:
    """Pillow's files of each kind tell their type and size in their header."""
    data = file_of(plain_image(300, 200), form, **how)
    assert (media_type(data), size_of(data)) == (kind, (300, 200))


@pytest.mark.parametrize(("kind", "form", "how"), FILES)
def test_a_file_that_ends_anywhere(kind: str, form: str, how: dict[str, Any]) -> None:
    """A file that ends within its header tells no size, and no error comes of it."""
    data = file_of(plain_image(300, 200), form, **how)
    for end in range(min(len(data), 400)):
        assert size_of(data[:end]) in (None, (300, 200))
    assert size_of(data[:12]) is None or kind == "image/gif"


@pytest.mark.parametrize("fill", range(4))
def test_bytes_that_fill_a_jpeg(fill: int) -> None:
    """Any number of bytes FF may stand before a marker."""
    data = file_of(plain_image(300, 200), "JPEG")
    frame = data.index(b"\xff\xc0")
    filled = data[:frame] + b"\xff" * fill + data[frame:]
    assert size_of(filled) == (300, 200)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_what_is_no_frame_of_a_jpeg(marker: int) -> None:
    """Three markers among those of frames begin something else, which is skipped."""
    data = file_of(plain_image(300, 200), "JPEG")
    frame = data.index(b"\xff\xc0")
    other = bytes((0xFF, marker, 0, 9)) + b"\x01" * 7
    assert size_of(data[:frame] + other + data[frame:]) == (300, 200)


@pytest.mark.parametrize("marker", [*range(0xC0, 0xC4), 0xC5, 0xC7, 0xC9, 0xCB, 0xCD, 0xCF])
def test_each_frame_of_a_jpeg(marker: int) -> None:
    """Baseline, progressive, lossless and the others tell the size in the same place."""
    data = file_of(plain_image(300, 200), "JPEG").replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    assert size_of(data) == (300, 200)


@pytest.mark.parametrize(
    "data", [b"", b"<svg>", b"II*\0", b"%PDF-1.7", b"\xff\xd8\xff" + b"\xff" * 99]
)
def test_another_file(data: bytes) -> None:
    """What is none of the four kinds, or lies about it, has no size."""
    assert size_of(data) is None


def test_png_as_written() -> None:
    """Pillow reads what is written; its pixels come back as they were."""
    image = Image.linear_gradient("L").resize((7, 9)).convert("RGB")
    data = png_file(image.size, image.tobytes())
    assert pixels_of(data) == image.tobytes()
    assert size_of(data) == (7, 9)
    with Image.open(BytesIO(data)) as again:
        assert again.tobytes() == image.tobytes()
        assert not again.info


def test_print_is_of_the_pixels() -> None:
    """How well a file is packed does not count; size and pixels do."""
    pixels = bytes(range(90))
    one = png_file((6, 5), pixels)
    packed = one[: one.index(b"IDAT") - 4]
    other = packed + _chunk(b"tEXt", b"Software\0A") + _chunk(b"IDAT", _packed(pixels)) + one[-12:]
    assert len(other) != len(one)
    assert pixels_print(other) == pixels_print(one)
    prints = {pixels_print(png_file(size, pixels)) for size in ((6, 5), (5, 6), (30, 1))}
    assert len(prints | {pixels_print(png_file((6, 5), bytes(90)))}) == 4


def _packed(pixels: bytes) -> bytes:
    return zlib.compress(b"".join(b"\0" + pixels[at : at + 18] for at in range(0, 90, 18)), 0)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(
    "data",
    [
        file_of(Image.linear_gradient("L").convert("RGB")),  # Pillow filters its rows
        file_of(plain_image(), "JPEG"),
        png_header(1024, 1024),  # less is packed than is promised
        png_file((6, 5), bytes(90))[:60],
        b"",
    ],
)
def test_no_pixels_of_another_file(data: bytes) -> None:
    """Of a file that this package did not write there are no pixels, but a print."""
    assert pixels_of(data) is None
    assert len(pixels_print(data)) == 16


def test_mean_colour() -> None:
    """The mean of each colour by itself."""
    assert mean_colour(bytes([200, 30, 40, 100, 10, 0])) == "#961414"


# -- as a block of a prompt --------------------------------------------------------------------


def _wire(data: bytes, media: str = "image/png", **more: object) -> JsonObject:
    coded = base64.b64encode(data).decode()
    source = {"type": "base64", "media_type": media, "data": coded}
    return {"type": "image", "source": source, **more}


def test_a_block_says_what_it_is() -> None:
    """Type, size and bytes of its file; unknown fields survive."""
    wire = _wire(png_file((8, 5), bytes(120)), cache_control={"type": "ephemeral"})
    block = prompt_block_from_wire(wire)
    assert isinstance(block, ImageBlock)
    assert str(block) == "image/png, 8×5, 69 bytes"
    assert block.to_wire() == wire
    large = ImageBlock.of_file(file_of(Image.effect_noise((900, 700), 90)))
    assert str(large) == f"image/png, 900×700, {len(large.file) / 1000:,.0f} kB" if large else ""


GOOD = png_file((8, 5), bytes(120))


@pytest.mark.parametrize(
    "wire",
    [
        _wire(png_header(1025, 1)),
        _wire(png_header(100_000, 100_000)),
        _wire(png_header(0, 5)),
        _wire(GOOD, "image/jpeg"),
        _wire(GOOD, "text/html"),
        _wire(b"<html>", "image/png"),
        {"type": "image"},
        {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}},
        {"type": "image", "source": [1]},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": 1}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "é"}},
        {"type": "image", "source": {**as_object(_wire(GOOD)["source"]), "x": 1}},
    ],
)
def test_what_is_no_picture(wire: JsonObject) -> None:
    """A block whose data are not what it says, or too large, stays as it came."""
    assert prompt_block_from_wire(wire) == UnknownBlock(wire)


@pytest.mark.parametrize("junk", ["\n", " ", '"', "=", "A", "\0"])
def test_junk_in_base64(junk: str) -> None:
    """Base64 with anything else in it is no picture: it would stand in an address."""
    wire = _wire(GOOD)
    source = wire["source"]
    assert isinstance(source, dict)
    for data in (source["data"] + junk, junk + source["data"]):
        spoilt: JsonObject = {"type": "image", "source": {**source, "data": data}}
        assert prompt_block_from_wire(spoilt) == UnknownBlock(spoilt)


def test_an_answer_holds_no_pictures() -> None:
    """In an answer a picture is a block of an unknown type, as any other."""
    assert block_from_wire(_wire(GOOD)) == UnknownBlock(_wire(GOOD))
