"""What every data source reads, compared with Python's own json, csv and tarfile readings of the same files."""

import collections
import csv
import io
import json
import subprocess
import tarfile

import pytest

FLICKR8K = {"token": "Flickr8k.token.txt", "csv": "captions.txt"}
LISTS = {"train": "Flickr_8k.trainImages.txt", "validation": "Flickr_8k.devImages.txt"}
KARPATHY_SPLITS = {"train": "train", "val": "validation", "test": "test", "restval": "train"}


class Reading:
    def __init__(self, lines):
        records = [json.loads(line) for line in lines]
        self.images = [record for record in records if "name" in record]
        self.skipped = [record for record in records if "skipped" in record]

    def captions(self):
        return {image["name"]: image["captions"] for image in self.images}

    def splits(self):
        return {image["name"]: image["split"] for image in self.images}

    def counts(self):
        return len(self.images), sum(len(image["captions"]) for image in self.images)


@pytest.fixture
def read(probe, tmp_path):
    """read("csv", file=..., split="train") -> Reading."""

    def run(name, **config):
        component = tmp_path / "source.yaml"
        component.write_text(json.dumps({"name": name, "config": config}, default=str))
        result = subprocess.run([probe, "source", component], capture_output=True, timeout=300)
        assert result.returncode == 0, result.stderr.decode()
        return Reading(result.stdout.decode("utf-8").splitlines())

    return run


def grouped(pairs):
    groups = collections.defaultdict(list)
    for name, caption in pairs:
        groups[name].append(caption)
    return dict(groups)


def read_token(path):
    pairs = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            key, caption = line.split("\t", 1)
            pairs.append((key.rsplit("#", 1)[0], caption))
    return grouped(pairs)


def read_csv(path, image="image", caption="caption", **options):
    with open(path, newline="", encoding="utf-8") as file:
        return grouped((row[image], row[caption]) for row in csv.DictReader(file, **options))


def read_karpathy(path):
    """{name: (split, captions)}"""
    return {
        image["filename"]: (KARPATHY_SPLITS[image["split"]], [sentence["raw"] for sentence in image["sentences"]])
        for image in json.loads(path.read_text())["images"]
    }


def read_coco(path):
    document = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    captions = grouped((names[a["image_id"]], a["caption"]) for a in document["annotations"])
    return {name: captions[name] for name in names.values()}


def counts(captions):
    return len(captions), sum(map(len, captions.values()))


def python_hash_split(name, seed, validation, test):
    """FNV-1a, SplitMix64 and 53 bits of it, written down from their definitions."""
    mask = (1 << 64) - 1

    def split_mix(state):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
        return mixed ^ mixed >> 31

    fnv = 0xCBF29CE484222325
    for byte in name.encode():
        fnv = (fnv ^ byte) * 0x100000001B3 & mask
    place = (split_mix(split_mix(seed ^ split_mix(fnv))) >> 11) / (1 << 53)
    return "validation" if place < validation else "test" if place < validation + test else "train"


def test_coco_2017_equals_json(read, shared):
    path = shared / "coco/captions_val2017.json"
    reading = read("coco", validation_annotations=path, validation_images=shared / "coco/tiny_coco/val2017")
    assert reading.captions() == read_coco(path)
    assert reading.counts() == (5000, 25014)
    assert set(reading.splits().values()) == {"validation"}
    assert reading.skipped == []


def test_karpathys_list_decides_the_split_of_coco(read, shared):
    path, names = shared / "coco/captions_val2017.json", shared / "coco/karpathy_val_images.txt"
    listed = {int(line.split()[1]) for line in names.read_text().splitlines()}
    expected = {image["file_name"] for image in json.loads(path.read_text())["images"] if image["id"] in listed}
    config = dict(
        train_annotations=path, train_images=shared / "coco/tiny_coco/val2017", karpathy_validation=names
    )
    dropped = read("coco", **config)
    assert dropped.captions() == {name: texts for name, texts in read_coco(path).items() if name in expected}
    assert set(dropped.splits().values()) == {"validation"}
    assert len(dropped.images) == len(expected) == 608
    rest = read("coco", **config, unlisted="train")
    assert {name for name, split in rest.splits().items() if split == "validation"} == expected
    assert rest.captions() == read_coco(path)


def test_tiny_coco_equals_json_and_its_files_exist(read, shared):
    folder = shared / "coco/tiny_coco"
    files = {split: folder / f"annotations/captions_{split}2017.json" for split in ("train", "val")}
    reading = read(
        "coco",
        train_annotations=files["train"],
        train_images=folder / "train2017",
        validation_annotations=files["val"],
        validation_images=folder / "val2017",
    )
    expected = {**read_coco(files["train"]), **read_coco(files["val"])}
    assert reading.captions() == expected
    assert len(reading.images) == 100
    for image in reading.images:
        assert (folder / {"train": "train2017", "validation": "val2017"}[image["split"]] / image["name"]).samefile(
            image["file"]
        )


@pytest.mark.parametrize("layout", FLICKR8K)
def test_flickr8k_equals_python(read, shared, layout):
    folder = shared / "flickr8k"
    expected = (read_token if layout == "token" else read_csv)(folder / FLICKR8K[layout])
    reading = read(
        "flickr8k",
        captions=folder / FLICKR8K[layout],
        images=folder / "images",
        train_list=folder / LISTS["train"],
        validation_list=folder / LISTS["validation"],
    )
    assert reading.captions() == expected
    assert reading.counts() == counts(expected) == (1300, 6500)
    assert reading.skipped == []
    lists = {split: set((folder / name).read_text().split()) for split, name in LISTS.items()}
    assert reading.splits() == {name: split for split, names in lists.items() for name in names}


def test_the_formats_of_flickr8k_give_the_same(read, shared):
    """Token file, CSV and Karpathy's JSON hold the same captions in another order; there is no other difference."""
    folder = shared / "flickr8k"
    lists = dict(train_list=folder / LISTS["train"], validation_list=folder / LISTS["validation"])
    images = folder / "images"
    readings = {
        "token": read("flickr8k", captions=folder / FLICKR8K["token"], images=images, **lists),
        "csv": read("flickr8k", captions=folder / FLICKR8K["csv"], images=images, **lists),
        "karpathy": read("karpathy", annotations=folder / "dataset_karpathy.json", images=images),
        "plain csv": read("csv", file=folder / FLICKR8K["csv"], images=images, split="train"),
    }
    karpathy = read_karpathy(folder / "dataset_karpathy.json")
    assert readings["karpathy"].captions() == {name: captions for name, (_, captions) in karpathy.items()}
    assert readings["karpathy"].splits() == {name: split for name, (split, _) in karpathy.items()}
    expected = {name: sorted(captions) for name, captions in readings["token"].captions().items()}
    for name, reading in readings.items():
        assert {key: sorted(value) for key, value in reading.captions().items()} == expected, name
        assert reading.counts() == (1300, 6500)
        assert reading.skipped == []
        if name != "plain csv":
            assert reading.splits() == readings["token"].splits(), name


def test_flickr30k_equals_python_and_its_other_layout(read, shared, tmp_path):
    token = shared / "flickr30k/results_20130124.token"
    expected = read_token(token)
    reading = read("flickr30k", captions=token, images=tmp_path, split="validation")
    assert reading.captions() == expected
    assert reading.counts() == counts(expected) == (1000, 5000)
    bars = ["image_name| comment_number| comment"]
    bars += [f"{name}| {i}| {text}" for name, texts in expected.items() for i, text in enumerate(texts)]
    bars[7] = bars[7].replace("| 1| ", "| 1   ")  # the mistake that the published file has in one line
    (tmp_path / "results.csv").write_text("\n".join(bars) + "\n", encoding="utf-8")
    again = read("flickr30k", captions=tmp_path / "results.csv", images=tmp_path, split="validation")
    assert again.captions() == {name: [text.strip() for text in texts] for name, texts in expected.items()}
    assert again.skipped == []


def test_hash_splits_are_what_their_definition_says(read, shared):
    folder = shared / "flickr8k"
    names = list(read_token(folder / FLICKR8K["token"]))
    for seed, validation, test in ((0, 0.1, 0.1), (12345678901, 0.25, 0)):
        reading = read(
            "flickr8k",
            captions=folder / FLICKR8K["token"],
            images=folder / "images",
            split="hash",
            split_seed=seed,
            split_shares={"validation": validation, "test": test},
        )
        assert reading.splits() == {name: python_hash_split(name, seed, validation, test) for name in names}


AWKWARD = [
    ("a.jpg", "plain"),
    ("a.jpg", 'with "quotes", commas; and\ttabs'),
    ("b c.png", " outer blanks "),
    ("b c.png", "line\nbreak"),
    ("\u00fc.jpg", "Gr\u00fc\u00dfe aus \u4e2d\u6587 \U0001f600"),
    ("a.jpg", "a row far from the others"),
    ("d.jpg", '"'),
    ("d.jpg", "bar | and 'single'"),
]


OPTIONS = [{}, {"delimiter": ";"}, {"delimiter": "\t"}, {"lineterminator": "\n"}, {"quoting": csv.QUOTE_ALL}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_equals_pythons_csv(read, tmp_path, options, encoding):
    path = tmp_path / "captions.csv"
    with open(path, "w", newline="", encoding=encoding) as file:
        csv.writer(file, **options).writerows([("image", "caption"), *AWKWARD])
    separator = {"\t": "tab"}.get(options.get("delimiter"), options.get("delimiter", ","))
    reading = read("csv", file=path, separator=separator, split="train")
    assert reading.captions() == grouped(AWKWARD)
    assert reading.skipped == []


def test_lenient_csv_equals_pythons_csv(read, tmp_path):
    """Quotes in the middle of fields, text after quotes and rows that end in CR are read as Python reads them."""
    path = tmp_path / "captions.csv"
    path.write_bytes(b'image,caption\r1.jpg,a "b" c\r\n2.jpg,"x"y"z\n\n3.jpg,"""q"""\n"4.jpg",""" "\n5.jpg,"a\rb\r\nc"')
    reading = read("csv", file=path, split="train")
    assert reading.captions() == read_csv(path)
    assert len(reading.images) == 5


@pytest.mark.parametrize("ascii_only", [True, False])
def test_jsonl_equals_pythons_json(read, tmp_path, ascii_only):
    records = [{"image": name, "caption": caption, "split": "val"} for name, caption in AWKWARD]
    records += [{"image": "list.jpg", "caption": ["one", "two"], "split": "train", "more": {"deep": [1, None, 1.5]}}]
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in records), encoding="utf-8")
    reading = read("jsonl", file=path)
    assert reading.captions() == {**grouped(AWKWARD), "list.jpg": ["one", "two"]}
    assert reading.splits()["a.jpg"] == "validation" and reading.splits()["list.jpg"] == "train"
    assert reading.skipped == []


def add_member(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_shard(path, format, samples):
    """samples: {key: (picture bytes, caption or captions)}; text as .txt, lists as .json."""
    with tarfile.open(path, "w", format=format) as archive:
        for key, (picture, caption) in samples.items():
            add_member(archive, key + ".jpg", picture)
            if isinstance(caption, str):
                add_member(archive, key + ".txt", caption.encode())
            else:
                add_member(archive, key + ".json", json.dumps({"caption": caption, "key": key}).encode())


def read_shard(path):
    """{picture's name: (bytes, captions)}, through tarfile alone."""
    samples = collections.defaultdict(dict)
    with tarfile.open(path) as archive:
        for member in archive:
            key, extension = member.name.rsplit(".", 1)
            samples[key][extension] = archive.extractfile(member).read()
    return {
        key + ".jpg": (
            parts["jpg"],
            [parts["txt"].decode().strip()] if "txt" in parts else json.loads(parts["json"])["caption"],
        )
        for key, parts in samples.items()
    }


def bytes_in_place(image):
    with open(image["file"], "rb") as file:
        file.seek(image["offset"])
        return file.read(image["size"])


FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize("format", FORMATS)
def test_webdataset_equals_tarfile(read, tmp_path, format):
    long = "folder/" + "n" * 90 + "/" + "m" * 60  # beyond the 100 bytes of the oldest header
    samples = {
        "000": (b"\xff\xd8 picture", "one caption\n"),
        "001": (b"P" * 70_000, ["two", "captions"]),
        long: (b"Q" * 513, "a long name"),
    }
    if format != "ustar":
        samples["\u00fc/" + "\u4e2d" * 50] = (b"R" * 512, "a name that is not ASCII")
    write_shard(tmp_path / "a.tar", FORMATS[format], samples)
    expected = read_shard(tmp_path / "a.tar")
    reading = read("webdataset", shards=tmp_path / "*.tar", split="train")
    assert reading.skipped == []
    assert {image["name"]: (bytes_in_place(image), image["captions"]) for image in reading.images} == expected
    assert [image["id"] for image in reading.images] == list(samples)


@pytest.mark.parametrize("format", FORMATS)
def test_webdataset_of_real_photos_equals_its_json(read, shared, tmp_path, format):
    folder = shared / "coco/tiny_coco"
    captions = read_coco(folder / "annotations/captions_train2017.json")
    photos = {name: (folder / "train2017" / name).read_bytes() for name in captions}
    for shard in range(3):
        chosen = [name for index, name in enumerate(captions) if index % 3 == shard]
        samples = {name.removesuffix(".jpg"): (photos[name], captions[name]) for name in chosen}
        write_shard(tmp_path / f"coco-{shard:05d}.tar", FORMATS[format], samples)
    reading = read("webdataset", shards=tmp_path / "coco-{00000..00002}.tar", split="hash", split_seed=3)
    assert reading.captions() == captions
    assert {image["name"]: bytes_in_place(image) for image in reading.images} == photos
    assert reading.splits() == {name: python_hash_split(name, 3, 0.1, 0.1) for name in captions}
    assert reading.skipped == []


def test_every_cut_of_a_shard_leaves_the_samples_before_it(read, tmp_path):
    samples = {f"{i:03}": (bytes([65 + i]) * (300 * i + 1), f"caption {i}") for i in range(6)}
    write_shard(tmp_path / "whole.tar", tarfile.PAX_FORMAT, samples)
    whole = (tmp_path / "whole.tar").read_bytes()
    ends = {}  # of each sample's last byte
    with tarfile.open(tmp_path / "whole.tar") as archive:
        for member in archive:
            ends[member.name.split(".")[0]] = member.offset_data + member.size
    (tmp_path / "cuts").mkdir()
    cuts = list(range(1, max(ends.values()) + 600, 211))
    for size in cuts:
        (tmp_path / f"cuts/{size:06}.tar").write_bytes(whole[:size])
    reading = read("webdataset", shards=tmp_path / "cuts/*.tar", split="train")
    found = collections.defaultdict(set)
    for image in reading.images:
        assert bytes_in_place(image) == samples[image["id"]][0]
        found[image["file"]].add(image["id"])
    for size in cuts:
        path = str(tmp_path / f"cuts/{size:06}.tar")
        assert found[path] == {key for key, end in ends.items() if end <= size}
        if size % 512 != 0:
            assert any(entry["skipped"].startswith(path) for entry in reading.skipped), size
