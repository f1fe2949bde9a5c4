"""Augmentations against Pillow, byte for byte: every operation at known magnitudes, and RandAugment's magnitudes.

torchvision's arithmetic around Pillow (its functional API on Pillow's pictures, and the table of RandAugment) is said
again here from its documentation, so that Pillow and torch suffice.
"""

import math
import subprocess

import numpy as np
import PIL
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

TOLERANCE = 0  # grey levels
# torch.linspace adds up in blocks as wide as the machine's vectors, so its last bit differs between machines.
MAGNITUDE_TOLERANCE = 2.5e-7  # of the largest magnitude


def shear_angle(magnitude):
    return math.radians(math.degrees(math.atan(magnitude)))  # torchvision's affine() takes degrees


def affine(image, *matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def shear_y(image, magnitude):
    angle = shear_angle(magnitude)
    return affine(image, 1, 0, 0, math.sin(angle) / math.cos(angle), 1, 0)


def adjust_hue(image, shift):
    hue, saturation, value = image.convert("HSV").split()
    levels = np.asarray(hue) + np.int32(shift * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(levels), saturation, value)).convert("RGB")


RAND_AUGMENT = {
    "Identity": lambda image, m: image,
    "ShearX": lambda image, m: affine(image, 1, math.tan(shear_angle(m)), 0, 0, 1, 0),
    "ShearY": shear_y,
    "TranslateX": lambda image, m: affine(image, 1, 0, -int(m), 0, 1, 0),
    "TranslateY": lambda image, m: affine(image, 1, 0, 0, 0, 1, -int(m)),
    "Rotate": lambda image, m: image.rotate(m, Image.Resampling.NEAREST),
    "Brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(1.0 + m),
    "Color": lambda image, m: ImageEnhance.Color(image).enhance(1.0 + m),
    "Contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(1.0 + m),
    "Sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(1.0 + m),
    "Posterize": lambda image, m: ImageOps.posterize(image, int(m)),
    "Solarize": lambda image, m: ImageOps.solarize(image, 255.0 * m),
    "AutoContrast": lambda image, m: ImageOps.autocontrast(image),
    "Equalize": lambda image, m: ImageOps.equalize(image),
}
SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}
OTHERS = {
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(m),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(m),
    "saturation": lambda image, m: ImageEnhance.Color(image).enhance(m),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(m),
    "hue": adjust_hue,
    "flip": lambda image, m: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
OPERATIONS = {**RAND_AUGMENT, **OTHERS}
FACTORS = [0.0, 0.1, 0.2543, 0.6, 0.99, 1.0, 1.0001, 1.27, 1.9, 3.5, 40.0, -0.7]
OTHER_MAGNITUDES = {
    **{name: FACTORS for name in ("brightness", "contrast", "saturation", "sharpness")},
    "hue": [-0.5, -0.1337, -0.002, 0.0, 0.0041, 0.25, 0.5],
    "flip": [0],
}


def linspace(start, end):
    return lambda bins: torch.linspace(start, end, bins).tolist()


def magnitude_table(height, width):
    """RandAugment's magnitudes for a picture of this size: operation -> function of the number of bins."""
    enhance = {name: linspace(0.0, 0.9) for name in ("Brightness", "Color", "Contrast", "Sharpness")}
    return {
        "ShearX": linspace(0.0, 0.3),
        "ShearY": linspace(0.0, 0.3),
        "TranslateX": linspace(0.0, 150.0 / 331.0 * width),
        "TranslateY": linspace(0.0, 150.0 / 331.0 * height),
        "Rotate": linspace(0.0, 30.0),
        **enhance,
        "Posterize": lambda bins: (8 - (torch.arange(bins) / ((bins - 1) / 4))).round().int().tolist(),
        "Solarize": linspace(1.0, 0.0),
    }


def magnitudes_of(name, image, bins=31):
    fill = magnitude_table(image.height, image.width).get(name)
    if fill is None:
        return [0.0]
    magnitudes = fill(bins)
    return magnitudes + [-m for m in magnitudes] if name in SIGNED else magnitudes


def scene(height, width, seed):
    """Smooth colours, some shapes and a little noise: all of what photos have, except their size."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / (9.0 + 5 * c) + seed) * np.cos(y / (13.0 - 3 * c)) for c in range(3)]
    pixels = np.stack(planes, -1) + random.normal(0, 6, (height, width, 3))
    pixels[height // 4 : height // 2, width // 3 : width // 2] = random.integers(0, 256, 3)
    return pixels.clip(0, 255).astype(np.uint8)


def pictures():
    random = np.random.default_rng(7)
    yield "scene", scene(224, 224, 1)
    yield "wide", scene(61, 150, 2)
    yield "high", scene(133, 40, 3)
    yield "noise", random.integers(0, 256, (97, 64, 3), np.uint8)
    yield "dim", random.integers(60, 91, (64, 64, 3), np.uint8)
    yield "few levels", random.choice(np.array([3, 77, 78, 250], np.uint8), (40, 50, 3))
    yield "one colour", np.full((20, 30, 3), (10, 200, 93), np.uint8)
    for height, width in [(1, 1), (1, 9), (9, 1), (2, 5), (5, 2), (3, 3), (2, 2)]:
        yield f"{height}x{width}", random.integers(0, 256, (height, width, 3), np.uint8)
    yield "nearly flat", np.where(np.arange(3 * 510).reshape(510, 1, 3) < 1500, 9, 200).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    written = {}
    for name, pixels in pictures():
        written[name] = folder / f"{name.replace(' ', '_')}.ppm"
        Image.fromarray(pixels).save(written[name])
    return written


def run(probe, commands):
    lines = "".join("\t".join(map(str, command)) + "\n" for command in commands)
    result = subprocess.run([str(probe), "transforms"], input=lines, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["ok"] * len(commands), result.stdout


def assert_same(ours, theirs, what):
    ours, theirs = np.asarray(Image.open(ours)).astype(int), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    wrong = np.abs(ours - theirs)
    assert wrong.max() <= TOLERANCE, f"{what}: {(wrong > 0).mean():.2%} of the samples, by up to {wrong.max()}"


def compare(probe, folder, cases):
    """cases: (operation's name, magnitude, file)"""
    commands = [(*case, folder / f"{i}.out.ppm") for i, case in enumerate(cases)]
    run(probe, commands)
    for name, magnitude, file, out in commands:
        expected = OPERATIONS[name](Image.open(file), magnitude)
        assert_same(out, expected, f"{name} {magnitude} of {file.name}")


@pytest.fixture(autouse=True, scope="module")
def pillow_of_this_kind():
    if int(PIL.__version__.split(".")[0]) < 12:
        pytest.skip("Pillow before 12 is not what these operations were compared with")


@pytest.mark.parametrize("name", RAND_AUGMENT)
def test_rand_augments_operations_give_pillows_bytes(probe, files, tmp_path, name):
    cases = []
    for file in files.values():
        magnitudes = magnitudes_of(name, Image.open(file))
        # All bins on one picture; the weakest, a usual and the strongest on the others.
        some = range(62) if file == files["scene"] else (0, 9, 30, 31, 40, 61)
        cases += [(name, magnitudes[i], file) for i in some if i < len(magnitudes)]
    compare(probe, tmp_path, cases)


@pytest.mark.parametrize("name", OTHERS)
def test_adjustments_give_pillows_bytes(probe, files, tmp_path, name):
    cases = [(name, magnitude, file) for file in files.values() for magnitude in OTHER_MAGNITUDES[name]]
    compare(probe, tmp_path, cases)


def test_all_turns_give_pillows_bytes(probe, files, tmp_path):
    angles = [*range(-720, 721, 45), 0.37, 89.9999, 90.0001, 123.456, -179.5, 1e-3]
    cases = [("Rotate", angle, files[name]) for name in ("scene", "few levels") for angle in angles]
    # Upright and wide pictures by quarter turns: a half of a pixel decides which source is the nearest.
    cases += [("Rotate", angle, files[name]) for name in ("wide", "high", "1x9", "2x5") for angle in (90, 180, 270)]
    compare(probe, tmp_path, cases)


@pytest.mark.parametrize("shift", [0.0, 0.37])
def test_every_colour_turns_its_hue_as_in_pillow(probe, tmp_path, shift):
    levels = np.arange(1 << 24, dtype=np.uint32)
    pixels = np.stack([levels >> 16, levels >> 8, levels], -1).astype(np.uint8).reshape(4096, 4096, 3)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "all.ppm")
    run(probe, [("hue", shift, tmp_path / "all.ppm", tmp_path / "out.ppm")])
    ours = np.asarray(Image.open(tmp_path / "out.ppm"))
    assert np.array_equal(ours, np.asarray(adjust_hue(image, shift)))


def test_photos_give_pillows_bytes(probe, shared, tmp_path):
    photos = sorted((shared / "coco" / "tiny_coco").rglob("*.jpg"))[:3]
    assert len(photos) == 3
    for i, photo in enumerate(photos):
        Image.open(photo).convert("RGB").save(tmp_path / f"photo{i}.ppm")
    files = sorted(tmp_path.glob("photo*.ppm"))
    chosen = {"Posterize": 5, "TranslateX": 31.6, "TranslateY": -20.0, "Rotate": -17.0, "hue": -0.21}
    compare(probe, tmp_path, [(name, chosen.get(name, 0.27), file) for name in OPERATIONS for file in files])


@pytest.mark.parametrize(
    "height, width, bins", [(224, 224, 31), (331, 331, 31), (384, 384, 10), (96, 300, 11), (300, 96, 100), (1, 1, 2)]
)
def test_magnitudes_are_torchvisions(probe, height, width, bins):
    lines = subprocess.run(
        [str(probe), "magnitudes", str(height), str(width), str(bins)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    table = magnitude_table(height, width)
    assert [line.split()[0] for line in lines] == list(RAND_AUGMENT)
    for line in lines:
        name, signed, *magnitudes = line.split()
        assert (signed == "1") == (name in SIGNED)
        expected = table[name](bins) if name in table else [0.0] * bins
        assert len(magnitudes) == bins
        difference = np.abs(np.array(magnitudes, float) - expected).max()
        assert difference <= MAGNITUDE_TOLERANCE * np.abs(expected).max(), name
        if name.startswith("Translate"):  # whole pixels are what counts
            assert [int(float(m)) for m in magnitudes] == [int(m) for m in expected]
