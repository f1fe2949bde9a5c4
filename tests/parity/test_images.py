"""Our pictures against Pillow and transformers: decoding, resizing and the encoder's input, on real photos."""

import json
import subprocess
import warnings
from collections import namedtuple

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
# 384 makes Pillow 13 begin with the height of upright photos, 224 with the width; the last two skip a pass.
SIZES = [(224, 224), (384, 384), (96, 160), (700, 37), (1, 1), (None, 100), (100, None)]
PROCESSOR_TOLERANCE = 1e-6  # float32 values of about -2 to 3
DECODE_TOLERANCE = 2  # grey levels
# Decoding and resizing together, against Pillow: this share of the samples of every picture differs by no more than one
# grey level, and none by more than DECODE_TOLERANCE.
SHARE_WITHIN_ONE = 0.999
MAX_SECONDS = 2.0  # per file
MAX_PEAK = 1 << 20  # KiB of the whole process
# Grey levels that `jpeg: fast` may change: on average over all shrunk photos, and over one (fine textures).
FAST_TOLERANCE, FAST_TOLERANCE_OF_ONE = 2.0, 8.0

Answer = namedtuple("Answer", "seconds peak text")


@pytest.fixture(scope="module")
def measure(probe):
    """measure([("decode", file, out), ...]): what each command took, and "ok WIDTHxHEIGHT" or the error."""
    def call(commands):
        lines = "".join("\t".join(map(str, command)) + "\n" for command in commands)
        result = subprocess.run([str(probe), "images"], input=lines, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        answers = [line.split("\t", 2) for line in result.stdout.splitlines()]
        assert len(answers) == len(commands)
        return [Answer(float(seconds), int(peak), text) for seconds, peak, text in answers]
    return call


@pytest.fixture(scope="module")
def run(measure):
    """run([("decode", file, out), ...]): the text of each answer."""
    return lambda commands: [answer.text for answer in measure(commands)]


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
    largest = 0
    for file, ours in zip(photos, decoded(run, tmp_path, photos)):
        theirs = np.asarray(Image.open(file).convert("RGB")).astype(int)
        assert ours.shape == theirs.shape
        # Two libjpeg versions may round differently; a wrong upsampling or colour matrix would differ by far more.
        largest = max(largest, np.abs(ours - theirs).max())
        assert largest <= DECODE_TOLERANCE, file
    print(f"{len(photos)} photos: largest difference {largest}")


def compare(pairs):
    """(number of pictures, largest difference, smallest share of samples within one grey level, share of equal ones)"""
    largest, share, equal, total, count = 0, 1.0, 0, 0, 0
    for name, ours, theirs in pairs:
        assert ours.shape == theirs.shape, name
        difference = np.abs(ours.astype(int) - theirs)
        largest, share = max(largest, difference.max()), min(share, (difference <= 1).mean())
        assert difference.max() <= DECODE_TOLERANCE and (difference <= 1).mean() >= SHARE_WITHIN_ONE, name
        count, equal, total = count + 1, equal + (difference == 0).sum(), total + difference.size
    return count, largest, share, equal / total


def compare_resized(run, tmp_path, files, name):
    """Decodes and resizes each file to 224x224, here and in Pillow."""
    outputs = [tmp_path / f"{i}.{name}.ppm" for i in range(len(files))]
    answers = run([("resize", file, 224, 224, FILTERS[name], out) for file, out in zip(files, outputs)])
    assert set(answers) == {"ok 224x224"}, [answer for answer in answers if not answer.startswith("ok ")]
    def pairs():
        for file, out in zip(files, outputs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Pillow thinks of these files
                theirs = Image.fromarray(pillow_pixels(file)).resize((224, 224), FILTERS[name])
            yield file, pixels_of(out), np.asarray(theirs)
    count, largest, share, equal = compare(pairs())
    print(f"{count} pictures, {name}: largest difference {largest}, within one grey level at "
          f"{share:.4%} or more of each picture, {equal:.4%} of all samples equal")


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_photos_become_pillows_squares(run, photos, tmp_path, name):
    compare_resized(run, tmp_path, photos, name)


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_awkward_pictures_become_pillows_squares(run, shared, tmp_path, name):
    files = [file for file, _, wanted in bad_images(shared) if wanted == "yes"]
    assert len(files) > 100
    compare_resized(run, tmp_path, files, name)


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_fast_decoding_stays_close(measure, photos, tmp_path, name):
    plain = [("resize", file, 224, 224, FILTERS[name], tmp_path / f"{i}.ppm") for i, file in enumerate(photos)]
    fast = [("fast", file, 224, FILTERS[name], tmp_path / f"{i}.fast.ppm") for i, file in enumerate(photos)]
    seconds = [sum(answer.seconds for answer in measure(commands)) for commands in (plain, fast)]
    differences = np.stack([np.abs(pixels_of(a[-1]).astype(int) - pixels_of(b[-1])) for a, b in zip(plain, fast)])
    means = differences.reshape(len(photos), -1).mean(1)
    shrunk = means > 0
    assert shrunk.any()  # the two ways are two
    print(f"jpeg: fast, {name}: {seconds[0] / seconds[1]:.2f} times as fast; {shrunk.sum()} of {len(photos)} photos "
          f"were shrunk and changed by {means[shrunk].mean():.2f} grey levels on average, {means.max():.2f} in the "
          f"worst, at most {differences.max()}; {(differences[shrunk] <= 1).mean():.1%} of their samples within one")
    assert means[shrunk].mean() <= FAST_TOLERANCE and means.max() <= FAST_TOLERANCE_OF_ONE


VIT = "transformers.models.vit.image_processing_pil_vit", "ViTImageProcessorPil"
CLIP = "transformers.models.clip.image_processing_pil_clip", "CLIPImageProcessorPil"


def square(size):
    return {"height": size, "width": size}


@pytest.mark.parametrize("kind, settings", [
    (VIT, dict(size=square(224), resample=2)),
    (VIT, dict(size=square(384), resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])),
    (VIT, dict(size=square(96), resample=2, do_normalize=False)),
    (VIT, dict(size=square(96), resample=1, do_rescale=False, image_mean=[127.5] * 3, image_std=[64.0] * 3)),
    (CLIP, dict()),
    (CLIP, dict(size={"shortest_edge": 256}, resample=2)),
    (CLIP, dict(size={"shortest_edge": 97}, crop_size=square(64))),
    (CLIP, dict(size={"shortest_edge": 60}, crop_size=square(97))),  # smaller than what is cut out of it
    (CLIP, dict(size={"shortest_edge": 61}, crop_size=square(300), resample=1)),
])
def test_encoder_input_equals_transformers(run, photos, tmp_path, kind, settings):
    theirs = getattr(pytest.importorskip(kind[0]), kind[1])(**settings)
    theirs.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert all(saved[key] == value for key, value in settings.items())
    # Both start from the same pixels, so that only the processor is compared.
    upright = next(file for file in photos if Image.open(file).height > Image.open(file).width)
    pictures = decoded(run, tmp_path, [*photos[:4], upright])
    assert set(run([("process", tmp_path, tmp_path / f"{i}.ppm", tmp_path / f"{i}.f32")
                    for i in range(len(pictures))])) == {"ok {1}x{0}".format(*p.shape) for p in pictures}
    for i, pixels in enumerate(pictures):
        expected = theirs(Image.fromarray(pixels), return_tensors="np")["pixel_values"]
        ours = np.fromfile(tmp_path / f"{i}.f32", np.float32).reshape(expected.shape)
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(ours - expected).max() <= PROCESSOR_TOLERANCE * scale
    # What we write means the same to transformers.
    (tmp_path / "again").mkdir()
    assert run([("resave", tmp_path, tmp_path / "again")]) == ["ok 0x0"]
    again = type(theirs).from_pretrained(tmp_path / "again")
    for pixels in pictures:
        expected, found = (processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"]
                           for processor in (theirs, again))
        assert np.abs(found - expected).max() <= PROCESSOR_TOLERANCE * max(1.0, float(np.abs(expected).max()))


def bad_images(shared):
    folder = shared / "badimages"
    lines = (folder / "manifest.tsv").read_text().splitlines()[1:]
    return [(folder / file, kind, wanted) for file, kind, _, wanted in (line.split("\t") for line in lines)]


def test_awkward_pictures_are_accepted_or_refused_as_the_manifest_says(measure, shared):
    entries = bad_images(shared)
    answers = measure([("decode", file) for file, _, _ in entries])  # no crash on any of them
    wrong = [(file.name, wanted, answer) for (file, _, wanted), answer in zip(entries, answers)
             if (wanted == "yes") > answer.text.startswith("ok ") or (wanted == "no") and answer.text.startswith("ok ")]
    assert not wrong
    slowest, largest = max(answer.seconds for answer in answers), max(answer.peak for answer in answers)
    seconds = sum(answer.seconds for answer in answers)
    print(f"{len(entries)} files in {seconds:.2f} s: the slowest took {slowest:.3f} s, "
          f"the largest {largest / 1024:.0f} MiB")
    assert slowest <= MAX_SECONDS and largest <= MAX_PEAK
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
