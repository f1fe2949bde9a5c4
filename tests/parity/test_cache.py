"""The shards of real photos, opened with h5py and compared with Pillow, tokenizers and the JSON."""

import collections
import io
import json

import h5py
import numpy
import pytest
from PIL import Image
from tokenizers import ByteLevelBPETokenizer

SIZE = 224
SPLITS = {"train": "train2017", "validation": "val2017"}
RAW_BYTES = 151_000  # per image, besides captions
JPEG_BYTES = 30_000


def prepare(capstan, shared, output, *overrides):
    result = capstan(
        "prepare",
        "configs/data/tiny_coco.yaml",
        f"output={output}",
        f"tokenizer.path={shared / 'gpt2'}",
        "tokenizer.train=none",
        "images_per_shard=30",
        *overrides,
        env={"TINY_COCO": str(shared / "coco/tiny_coco")},
    )
    assert result.returncode == 0, result.stderr
    return output


@pytest.fixture(scope="module")
def raw_cache(capstan, shared, tmp_path_factory):
    return prepare(capstan, shared, tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def jpeg_cache(capstan, shared, tmp_path_factory):
    return prepare(capstan, shared, tmp_path_factory.mktemp("jpeg"), "store=jpeg")


def expected(shared, split):
    """[(image id, file name, [captions])] counted from the JSON alone."""
    document = json.loads((shared / f"coco/tiny_coco/annotations/captions_{SPLITS[split]}.json").read_text())
    captions = collections.defaultdict(list)
    for annotation in document["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    return [(str(i["id"]), i["file_name"], captions[i["id"]]) for i in document["images"] if captions[i["id"]]]


def shards(cache, split):
    files = sorted(cache.glob(f"{split}-*.h5"))
    assert files, f"no shard of {split}"
    return [h5py.File(file, "r") for file in files]


def rows(shard, values, offsets):
    """Row i is values[offsets[i]:offsets[i + 1]]."""
    data, ends = shard[values][:], shard[offsets][:]
    return [data[first:last] for first, last in zip(ends[:-1], ends[1:])]


def texts(shard, name):
    return [row.tobytes().decode("utf-8") for row in rows(shard, name, name + "_offsets")]


def photo(shared, split, name):
    return Image.open(shared / "coco/tiny_coco" / SPLITS[split] / name).convert("RGB")


def text_bytes(shard):
    names = ["token_ids", "token_offsets", "caption_text", "caption_text_offsets"]
    return sum(shard[name].size * shard[name].dtype.itemsize for name in names)


@pytest.mark.parametrize("split", SPLITS)
def test_images_and_captions_are_those_of_the_json(raw_cache, shared, split):
    found = []
    for shard in shards(raw_cache, split):
        captions, offsets = texts(shard, "caption_text"), shard["caption_offsets"][:]
        groups = [captions[first:last] for first, last in zip(offsets[:-1], offsets[1:])]
        found += list(zip(texts(shard, "image_id"), texts(shard, "image_file"), groups))
    assert found == expected(shared, split)


@pytest.mark.parametrize("split", SPLITS)
def test_counts_equal_the_manifest(raw_cache, shared, split):
    manifest = json.loads((raw_cache / "manifest.json").read_text())
    entry = next(entry for entry in manifest["splits"] if entry["name"] == split)
    images = expected(shared, split)
    assert entry["images"] == len(images)
    assert entry["captions"] == sum(len(captions) for _, _, captions in images)
    assert entry["images"] == sum(shard["images"] for shard in entry["shards"])
    assert manifest["errors"] == 0


@pytest.mark.parametrize("split", SPLITS)
def test_pixels_equal_pillow_bit_for_bit(raw_cache, shared, split):
    names = [name for _, name, _ in expected(shared, split)]
    pixels = numpy.concatenate([shard["pixels"][:] for shard in shards(raw_cache, split)])
    assert pixels.shape == (len(names), SIZE, SIZE, 3)
    for name, ours in zip(names, pixels):
        theirs = numpy.asarray(photo(shared, split, name).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        assert numpy.array_equal(ours, theirs), name


@pytest.mark.parametrize("split", SPLITS)
def test_ids_equal_tokenizers(raw_cache, shared, split):
    oracle = ByteLevelBPETokenizer(str(shared / "gpt2/vocab.json"), str(shared / "gpt2/merges.txt"))
    compared = 0
    for shard in shards(raw_cache, split):
        for ids, text in zip(rows(shard, "token_ids", "token_offsets"), texts(shard, "caption_text")):
            assert ids.tolist() == oracle.encode(text).ids, text
            compared += 1
    assert compared == sum(len(captions) for _, _, captions in expected(shared, split))


def test_raw_pictures_stay_within_their_budget(raw_cache):
    for split in SPLITS:
        for shard in shards(raw_cache, split):
            with open(shard.filename, "rb") as file:
                size = file.seek(0, io.SEEK_END)
            assert (size - text_bytes(shard)) / shard["pixels"].shape[0] <= RAW_BYTES, shard.filename


def test_jpeg_pictures_are_small_and_near_the_pixels(raw_cache, jpeg_cache):
    for split in SPLITS:
        for raw, jpeg in zip(shards(raw_cache, split), shards(jpeg_cache, split)):
            pictures = rows(jpeg, "jpeg", "jpeg_offsets")
            assert len(pictures) == raw["pixels"].shape[0]
            assert sum(len(picture) for picture in pictures) / len(pictures) <= JPEG_BYTES
            for picture, pixels in zip(pictures, raw["pixels"]):
                decoded = Image.open(io.BytesIO(picture.tobytes()))
                assert decoded.size == (SIZE, SIZE)
                difference = numpy.abs(numpy.asarray(decoded.convert("RGB")).astype(int) - pixels)
                # Quality 90 with chroma at half resolution: about 3 grey levels on these photos.
                assert difference.mean() < 6


def test_attributes_say_what_a_shard_is(raw_cache, jpeg_cache):
    for cache, store in ((raw_cache, "raw"), (jpeg_cache, "jpeg")):
        manifest = json.loads((cache / "manifest.json").read_text())
        for split in SPLITS:
            for shard in shards(cache, split):
                attributes = {name: v.decode() if isinstance(v, bytes) else v for name, v in shard.attrs.items()}
                assert attributes == {
                    "format": "capstan-shard",
                    "format_version": 2,
                    "split": split,
                    "store": store,
                    "image_size": SIZE,
                    "tokenizer": manifest["tokenizer"]["fingerprint"],
                }


def test_the_cache_carries_a_tokenizer_that_transformers_loads(raw_cache, shared):
    from transformers import AutoTokenizer

    oracle = ByteLevelBPETokenizer(str(shared / "gpt2/vocab.json"), str(shared / "gpt2/merges.txt"))
    carried = AutoTokenizer.from_pretrained(raw_cache / "tokenizer")
    for _, _, captions in expected(shared, "validation"):
        assert [carried.encode(text, add_special_tokens=False) for text in captions] == [
            oracle.encode(text).ids for text in captions
        ]


def test_the_python_of_the_documentation_runs(raw_cache, repo, monkeypatch):
    document = (repo / "docs/cache_format.md").read_text()
    code = document.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(raw_cache)
    names = {}
    exec(code.replace("data/coco/", ""), names)
    assert names["image"].shape == (SIZE, SIZE, 3)
    assert len(names["captions"]) == 5 and all(isinstance(caption, str) for caption in names["captions"])


def test_inspect_counts_as_python_does(capstan, raw_cache, shared):
    result = capstan("inspect", raw_cache)
    assert result.returncode == 0, result.stderr
    for split in SPLITS:
        images = expected(shared, split)
        line = next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [split])
        assert line[1:3] == [str(len(images)), str(sum(len(captions) for _, _, captions in images))]


def test_a_shard_cut_short_is_refused(capstan, raw_cache, tmp_path):
    cut = tmp_path / "train-00000.h5"
    data = (raw_cache / "train-00000.h5").read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    result = capstan("inspect", cut)
    assert result.returncode == 1
    assert "train-00000.h5" in result.stderr and "run prepare again" in result.stderr
