"""prepare cut short: killed at random moments, stopped, on a disk that fills up. The cache is always the same."""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import numpy as np
import pytest
import tiny
from PIL import Image

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("CAPSTAN_TEST_KILLS", "30"))


def write_noise(folder, count, side=160):
    """COCO layout with pictures that JPEG cannot make small, so that a cache of them takes its time and its space."""
    pictures = folder / "train"
    pictures.mkdir(parents=True)
    generator = np.random.default_rng(1)
    images, annotations = [], []
    for index in range(count):
        file = f"{index:05}.jpg"
        noise = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / file, quality=95, subsampling=0)
        images.append({"id": index, "file_name": file})
        annotations += [{"image_id": index, "caption": f"noise number {index}, seen {n} times"} for n in range(3)]
    (pictures / "00007.jpg").write_bytes(b"no picture")
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    return write_noise(tmp_path_factory.mktemp("noise"), 600)


def config_of(noise, folder, **changes):
    source = {"train_annotations": str(noise / "captions.json"), "train_images": str(noise / "train")}
    document = {
        "output": str(folder / "cache"),
        "sources": [{"name": "coco", "config": {**source, "split": "hash", "split_shares": {"validation": 0.2}}}],
        "tokenizer": {"train": "byte_bpe", "byte_bpe": {"vocab_size": 300}},
        "image": {"size": 128},
        "images_per_shard": 50,
        **changes,
    }
    return tiny.write_yaml(folder / "prepare.yaml", document)


def files_of(folder):
    """Everything but config.yaml, in which the name of the folder stands."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and path.name != "config.yaml"
    }


@pytest.fixture(scope="module", params=["raw", "jpeg"])
def whole(request, capstan, noise, tmp_path_factory):
    """An undisturbed cache, and how long it took."""
    folder = tmp_path_factory.mktemp("whole")
    begun = time.monotonic()
    capstan("prepare", config_of(noise, folder, store=request.param), check=True)
    seconds = time.monotonic() - begun
    files = files_of(folder / "cache")
    assert "manifest.json" in files and "prepare.journal" not in files
    return request.param, files, seconds


def test_prepare_killed_at_random_moments_ends_in_the_same_bytes(capstan, noise, whole, tmp_path):
    store, expected, seconds = whole
    draw = random.Random(store)
    killed = resumed = 0
    for number in range(KILLS // 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = config_of(noise, folder, store=store)
        for moment in (draw.uniform(0, seconds), draw.uniform(0, seconds)):
            process = capstan.start("prepare", config)
            time.sleep(moment)
            process.kill()
            output = process.communicate()[0]
            killed += process.returncode == -signal.SIGKILL
            resumed += "going on" in output
        capstan("prepare", config, check=True)
        assert files_of(folder / "cache") == expected
    print(f"{store}: killed {killed} times in {KILLS // 2} caches, {resumed} of them while going on")
    assert killed >= KILLS // 4


def test_stopped_prepare_exits_as_signals_do_and_goes_on(capstan, noise, whole, tmp_path):
    store, expected, seconds = whole
    config = config_of(noise, tmp_path, store=store)
    process = capstan.start("prepare", config)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache").glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "the same command goes on" in output
    result = capstan("prepare", config, check=True)
    assert "going on" in result.stdout + result.stderr
    assert files_of(tmp_path / "cache") == expected


class SmallDisk:
    """A tmpfs of a few MB; skips where it cannot be mounted."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        self.other = folder / "other"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {result.stderr.strip()}")

    def fill(self):
        """Something else takes all the space that is left."""
        with contextlib.suppress(OSError), open(self.other, "wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()

    def make_room(self):
        self.other.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.folder)], check=False)


def test_a_full_disk_is_said_and_costs_nothing_that_was_finished(capstan, noise, whole, tmp_path):
    store, expected, _ = whole
    with SmallDisk(tmp_path / "disk", 100) as disk:
        config = config_of(noise, disk.folder, store=store)
        process = capstan.start("prepare", config)
        deadline = time.monotonic() + 60
        while not list((disk.folder / "cache").glob("*.h5")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        disk.fill()
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=60)
        if process.returncode == 0:
            pytest.fail("the cache was finished before the disk was full")
        assert process.returncode == 1, output
        assert str(disk.folder) in output and "space" in output.lower(), output
        kept = {path.name: path.read_bytes() for path in (disk.folder / "cache").glob("*.h5")}
        assert kept and all(expected[name] == data for name, data in kept.items())
        result = capstan("prepare", config)  # still full: refused before it starts
        assert result.returncode == 1
        assert "free" in result.stderr
        disk.make_room()
        result = capstan("prepare", config, check=True)
        assert "going on" in result.stdout + result.stderr
        assert files_of(disk.folder / "cache") == expected
