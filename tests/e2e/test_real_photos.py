"""One hundred COCO photos through the whole path, opened afterwards by the reference implementation."""

import json
import pathlib

import pytest
import tiny


@pytest.fixture(scope="module")
def photos(shared):
    return shared / "coco" / "tiny_coco"


@pytest.fixture(scope="module")
def photo_cache(capstan, repo, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "cache"
    capstan("prepare", "configs/data/tiny_coco.yaml", f"output={folder}", env={"TINY_COCO": str(photos)}, check=True)
    return folder


@pytest.fixture(scope="module")
def photo_run(capstan, photo_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "run"
    capstan(
        "train", "configs/train/tiny_coco.yaml", f"data={photo_cache}", f"output={folder}", check=True, timeout=1200
    )
    return folder


def test_every_photo_is_taken(photo_cache):
    assert (photo_cache / "errors.jsonl").read_text() == ""
    assert len(list(photo_cache.rglob("*.h5"))) >= 2


@pytest.mark.parametrize("store, limit", [("raw", 151_000), ("jpeg", 30_000)])
def test_bytes_per_photo_stay_within_the_limit(capstan, photos, photo_cache, tmp_path, store, limit):
    """224 x 224 x 3 is 150,528 bytes; captions are allowed 2,000 more a picture."""
    folder = photo_cache
    if store != "raw":
        folder = tmp_path / "cache"
        capstan(
            "prepare",
            "configs/data/tiny_coco.yaml",
            f"output={folder}",
            f"store={store}",
            env={"TINY_COCO": str(photos)},
            check=True,
        )
    size = sum(file.stat().st_size for file in folder.rglob("*.h5"))
    assert size / 100 <= limit + 2_000


def test_loss_halves_within_two_hundred_steps(photo_run):
    lines = [json.loads(line) for line in (photo_run / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    assert max(losses) <= 200
    assert losses[max(losses)] <= losses[min(losses)] / 2


def test_checkpoint_opens_in_transformers_and_captions_alike(capstan, photos, photo_run):
    import torch
    from PIL import Image, ImageOps
    from transformers import AutoTokenizer, VisionEncoderDecoderModel, ViTImageProcessorPil

    folder = tiny.checkpoint(photo_run, 200)
    model, report = VisionEncoderDecoderModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    model.eval()
    processor, tokenizer = ViTImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    pictures = sorted((photos / "val2017").glob("*.jpg"))[:10]
    ours = [line.split("\t")[1] for line in capstan("caption", folder, *pictures, check=True).stdout.splitlines()]
    theirs = []
    for picture in pictures:
        image = ImageOps.exif_transpose(Image.open(pathlib.Path(picture))).convert("RGB")
        pixels = processor(image, return_tensors="pt").pixel_values
        with torch.no_grad():
            ids = model.generate(pixels, do_sample=False, num_beams=1)
        theirs.append(tokenizer.decode(ids[0], skip_special_tokens=True).strip())
    assert ours == theirs
