#!/usr/bin/env python3
"""Makes tests/fixtures/images/* and tests/golden/images.json: small pictures of every kind with the pixels that Pillow
gives for them, and one picture resized by every filter of Pillow.

Usage: tools/golden/make_images.py            (needs numpy and pillow; same output for the same versions)
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "images"
BACKGROUND = 255
JPEG_TOLERANCE = 3  # libjpeg versions differ in the last bits of the inverse DCT and of colour conversion
HEIGHT, WIDTH = 16, 24


def base():
    """A smooth RGB picture without symmetry."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    red = 20 + 9 * x
    green = 235 - 12 * y
    blue = 128 + 60 * np.sin(x / 7) * np.cos(y / 5)
    return np.stack([red, green, blue], 2).clip(0, 255).astype(np.uint8)


def ramp():
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 255 // (HEIGHT * WIDTH - 1)).astype(np.uint8)


def blended(rgb, alpha):
    """RGB over BACKGROUND, rounded to nearest."""
    rgb, alpha = rgb.astype(int), alpha.astype(int)[..., None]
    return ((rgb * alpha + BACKGROUND * (255 - alpha) + 127) // 255).astype(np.uint8)


def grey(levels):
    return np.repeat(levels[..., None], 3, 2)


def png(rows, bit_depth, colour_type, width, extra=()):
    """A PNG by hand, for kinds that Pillow does not write; `rows` are bytes of unfiltered scan lines."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    data = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", width, len(rows), bit_depth, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(k, b) for k, b in extra) +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def pillow_rgb(data):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def pictures():
    """(name, bytes, expected pixels, tolerance)"""
    rgb = base()
    image = Image.fromarray(rgb)
    for orientation in range(1, 9):
        data = saved(image, format="JPEG", quality=95, subsampling=0, exif=exif(orientation))
        yield f"orientation_{orientation}.jpg", data, pillow_rgb(data), JPEG_TOLERANCE
    data = saved(image, format="JPEG", quality=95, exif=exif(9))
    yield "orientation_9.jpg", data, np.asarray(Image.open(io.BytesIO(data))), JPEG_TOLERANCE
    for name, mode in (("grey.jpg", "L"), ("cmyk.jpg", "CMYK")):
        data = saved(image.convert(mode), format="JPEG", quality=95)
        yield name, data, pillow_rgb(data), JPEG_TOLERANCE
    data = saved(image, format="JPEG", quality=90, progressive=True)
    yield "progressive.jpg", data, pillow_rgb(data), JPEG_TOLERANCE
    yield "exif.png", saved(image, format="PNG", exif=exif(6)), np.rot90(rgb, 3), 0

    yield "rgb.png", saved(image, format="PNG"), rgb, 0
    yield "rgb.bmp", saved(image, format="BMP"), rgb, 0
    yield "rgb.ppm", saved(image, format="PPM"), rgb, 0
    yield "rgb.tif", saved(image, format="TIFF"), rgb, 0
    yield "rgb.webp", saved(image, format="WEBP", lossless=True), rgb, 0
    yield "grey.png", saved(Image.fromarray(ramp()), format="PNG"), grey(ramp()), 0
    bits = ramp() > 100
    yield "bilevel.png", saved(Image.fromarray(bits), format="PNG"), grey(bits.astype(np.uint8) * 255), 0
    palette = image.quantize(16)
    yield "palette.png", saved(palette, format="PNG"), np.asarray(palette.convert("RGB")), 0
    yield "palette_key.png", saved(palette, format="PNG", transparency=3), blended(
        np.asarray(palette.convert("RGB")), np.where(np.asarray(palette) == 3, 0, 255)), 0
    yield "rgba.png", saved(Image.fromarray(np.dstack([rgb, ramp()])), format="PNG"), blended(rgb, ramp()), 0
    flipped = ramp()[::-1]
    yield "grey_alpha.png", saved(Image.fromarray(np.dstack([ramp(), flipped]), "LA"), format="PNG"), blended(
        grey(ramp()), flipped), 0
    yield "grey_key.png", saved(Image.fromarray(ramp()), format="PNG", transparency=int(ramp()[5, 5])), blended(
        grey(ramp()), np.where(ramp() == ramp()[5, 5], 0, 255)), 0
    yield "rgb_key.png", saved(image, format="PNG", transparency=tuple(int(v) for v in rgb[3, 4])), blended(
        rgb, np.where((rgb == rgb[3, 4]).all(2), 0, 255)), 0

    for name, colour_type, levels in (("rgb16.png", 2, rgb), ("grey16.png", 0, ramp())):
        deep = (levels.astype(int) * 256 + 200).astype(">u2")  # the low byte must not round up
        expected = rgb if colour_type == 2 else grey(ramp())
        yield name, png([row.tobytes() for row in deep], 16, colour_type, WIDTH), expected, 0
    two_bit = (ramp() >> 6).reshape(HEIGHT, WIDTH // 4, 4)
    packed = (two_bit * np.array([64, 16, 4, 1])).sum(2).astype(np.uint8)
    yield "grey2_key.png", png([row.tobytes() for row in packed], 2, 0, WIDTH, [(b"tRNS", b"\0\2")]), blended(
        grey((ramp() >> 6) * 85), np.where(ramp() >> 6 == 2, 0, 255)), 0

    yield "still.gif", saved(palette, format="GIF", interlace=0), np.asarray(palette.convert("RGB")), 0
    data = saved(palette, format="GIF", interlace=1, transparency=3)
    yield "interlaced_key.gif", data, blended(np.asarray(palette.convert("RGB")),
                                              np.where(np.asarray(palette) == 3, 0, 255)), 0
    wide = Image.fromarray(np.random.default_rng(5).integers(0, 256, (60, 90), dtype=np.uint8), "P")
    wide.putpalette([v for i in range(256) for v in (i, 255 - i, (7 * i) % 256)])
    data = saved(wide, format="GIF")  # noise: fills the LZW table, which starts again several times
    yield "noise.gif", data, pillow_rgb(data), 0


def resizes():
    """Pillow's own results for a small picture of noise, shrunk, grown and both."""
    source = np.random.default_rng(7).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    image = Image.fromarray(source)
    cases = []
    for height, width in ((5, 7), (29, 40), (6, 30), (26, 9), (13, 8), (4, 17), (3, 16), (1, 1)):
        for resample in range(6):
            result = np.asarray(image.resize((width, height), resample))
            cases.append(dict(height=height, width=width, resample=resample, rgb=result.tobytes().hex()))
    return dict(height=13, width=17, rgb=source.tobytes().hex(), cases=cases)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, data, pixels, tolerance in pictures():
        (FOLDER / name).write_bytes(data)
        expected[name] = dict(height=pixels.shape[0], width=pixels.shape[1], tolerance=tolerance,
                              rgb=np.ascontiguousarray(pixels).tobytes().hex())
    golden = dict(generator="tools/golden/make_images.py", pillow=PIL.__version__, numpy=np.__version__,
                  background=BACKGROUND, pictures=expected, resize=resizes())
    path = ROOT / "tests" / "golden" / "images.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{len(expected)} pictures, {len(golden['resize']['cases'])} resizes, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
