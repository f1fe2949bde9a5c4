"""Our pictures against Pillow and transformers: decoding, resizing and the encoder's input, on real photos."""

import json
import subprocess
import warnings

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
# 384 makes Pillow 13 begin with the height of upright photos, 224 with the width; the last two skip a pass.
SIZES = [(224, 224), (384, 384), (96, 160), (700, 37), (1, 1), (None, 100), (100, None)]
PROCESSOR_TOLERANCE = 1e-6  # float32 values of about -2 to 3
DECODE_TOLERANCE = 2  # grey levels
NUM_PHOTOS = 12


@pytest.fixture(scope="module")
def run(probe):
    """run([("decode", file, out), ...]): the probe's answer to each command, "ok WIDTHxHEIGHT" or the error."""
    def call(commands):
        lines = "".join("\t".join(map(str, command)) + "\n" for command in commands)
        result = subprocess.run([str(probe), "images"], input=lines, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        answers = result.stdout.splitlines()
        assert len(answers) == len(commands)
        return answers
    return call


@pytest.fixture(scope="module")
def photos(shared):
    files = sorted((shared / "coco" / "tiny_coco").rglob("*.jpg"))
    assert len(files) == 100
    return files


def pixels_of(ppm):
    return np.asarray(Image.open(ppm))


def decoded(run, tmp_path, files):
    """Pixels of each file as our library reads it; the PPM files stay in tmp_path as 0.ppm, 1.ppm, ..."""
    outputs = [tmp_path / f"{i}.ppm" for i in range(len(files))]
    answers = run([("decode", file, out) for file, out in zip(files, outputs)])
    assert all(answer.startswith("ok ") for answer in answers), answers
    return [pixels_of(out) for out in outputs]


def pillow_pixels(file):
    """Pillow's RGB: turned upright, transparency over white, 16-bit grey by its high byte."""
    image = ImageOps.exif_transpose(Image.open(file))
    if image.mode.startswith("I;16"):
        levels = np.asarray(image)
        levels = levels[..., 0] if levels.ndim > 2 else levels
        return np.repeat((levels >> 8).astype(np.uint8)[..., None], 3, 2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return np.asarray(image.convert("RGB"))


def test_photos_decode_as_in_pillow(run, photos, tmp_path):
    files = photos[:NUM_PHOTOS]
    for file, ours in zip(files, decoded(run, tmp_path, files)):
        theirs = np.asarray(Image.open(file).convert("RGB")).astype(int)
        assert ours.shape == theirs.shape
        # Two libjpeg versions may round differently; a wrong upsampling or colour matrix would differ by far more.
        assert np.abs(ours - theirs).max() <= DECODE_TOLERANCE, file


@pytest.mark.parametrize("name", FILTERS)
def test_resizing_gives_pillows_bytes(run, photos, tmp_path, name):
    if int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 runs the passes in another order")
    upright = next(file for file in photos if Image.open(file).height > Image.open(file).width)
    commands, expected = [], []
    for i, pixels in enumerate(decoded(run, tmp_path, [photos[0], photos[60], upright])):
        for height, width in SIZES:
            height, width = height or pixels.shape[0], width or pixels.shape[1]
            out = tmp_path / f"{len(commands)}.small.ppm"
            commands.append(("resize", tmp_path / f"{i}.ppm", height, width, FILTERS[name], out))
            expected.append(np.asarray(Image.fromarray(pixels).resize((width, height), FILTERS[name])))
    assert all(answer.startswith("ok ") for answer in run(commands))
    for command, pixels in zip(commands, expected):
        assert np.array_equal(pixels_of(command[-1]), pixels), command


@pytest.mark.parametrize("settings", [
    dict(size={"height": 224, "width": 224}, resample=2),
    dict(size={"height": 384, "width": 384}, resample=3, image_mean=[0.485, 0.456, 0.406],
         image_std=[0.229, 0.224, 0.225]),
    dict(size={"height": 96, "width": 96}, resample=2, do_normalize=False),
    dict(size={"height": 96, "width": 96}, resample=1, do_rescale=False, image_mean=[127.5] * 3, image_std=[64.0] * 3),
])
def test_encoder_input_equals_transformers(run, photos, tmp_path, settings):
    vit = pytest.importorskip("transformers.models.vit.image_processing_pil_vit")
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, **settings}
    theirs = vit.ViTImageProcessorPil(**settings)
    theirs.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["size"] == settings["size"]
    # Both start from the same pixels, so that only the processor is compared.
    pictures = decoded(run, tmp_path, photos[:4])
    run([("process", tmp_path, tmp_path / f"{i}.ppm", tmp_path / f"{i}.f32") for i in range(len(pictures))])
    for i, pixels in enumerate(pictures):
        expected = theirs(Image.fromarray(pixels), return_tensors="np")["pixel_values"]
        ours = np.fromfile(tmp_path / f"{i}.f32", np.float32).reshape(expected.shape)
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(ours - expected).max() <= PROCESSOR_TOLERANCE * scale


def bad_images(shared):
    folder = shared / "badimages"
    lines = (folder / "manifest.tsv").read_text().splitlines()[1:]
    return [(folder / file, kind, wanted) for file, kind, _, wanted in (line.split("\t") for line in lines)]


def test_awkward_pictures_are_accepted_or_refused_as_the_manifest_says(run, shared):
    entries = bad_images(shared)
    answers = run([("decode", file) for file, _, _ in entries])  # no crash on any of them
    wrong = [(file.name, wanted, answer) for (file, _, wanted), answer in zip(entries, answers)
             if (wanted == "yes" and not answer.startswith("ok ")) or (wanted == "no" and answer.startswith("ok "))]
    assert not wrong
    counts = {kind: sum(wanted == kind for _, _, wanted in entries) for kind in ("yes", "no", "either")}
    assert min(counts.values()) > 0
    print(f"{counts['yes']} decoded, {counts['no']} refused, {counts['either']} one or the other")


def test_awkward_pictures_have_pillows_pixels(run, shared, tmp_path):
    files = [file for file, _, wanted in bad_images(shared) if wanted == "yes"]
    assert len(files) > 100
    for file, ours in zip(files, decoded(run, tmp_path, files)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow thinks of these files
            expected = pillow_pixels(file).astype(int)
        assert ours.shape == expected.shape, file
        assert np.abs(ours - expected).max() <= DECODE_TOLERANCE, file
