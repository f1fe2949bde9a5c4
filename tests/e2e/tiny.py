"""A data set and a model so small that every test can afford its own run."""

import json
import pathlib

from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (30, 60, 220), "yellow": (235, 220, 40)}
SHAPES = ("circle", "square")
BACKGROUNDS = {"white": (250, 250, 250), "grey": (128, 128, 128), "black": (5, 5, 5)}


def draw(colour, shape, background, shift):
    picture = Image.new("RGB", (40, 32), BACKGROUNDS[background])
    box = (8 + shift, 6, 28 + shift, 26)
    pen = ImageDraw.Draw(picture)
    (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=COLOURS[colour])
    return picture


def write_split(folder, name, count, first=0):
    """COCO layout: <name>/000001.jpg ... and annotations/captions_<name>.json with two captions a picture.
    No two of the first 120 pictures are the same; `first` is where in them the split begins."""
    pictures = folder / name
    pictures.mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        kind = first + index
        colour, shape = list(COLOURS)[kind % 4], SHAPES[kind // 4 % 2]
        background = list(BACKGROUNDS)[kind // 8 % 3]
        file = f"{index + 1:06}.jpg"
        draw(colour, shape, background, kind % 5).save(pictures / file, quality=92)
        images.append({"id": index + 1, "file_name": file, "height": 32, "width": 40})
        for text in (f"a {colour} {shape} on a {background} ground.", f"One {colour} {shape}."):
            annotations.append({"id": len(annotations) + 1, "image_id": index + 1, "caption": text})
    (folder / "annotations").mkdir(exist_ok=True)
    path = folder / "annotations" / f"captions_{name}.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))


def write_dataset(folder, train=48, validation=16):
    write_split(folder, "train", train)
    write_split(folder, "validation", validation, first=train)
    return folder


def prepare_yaml(dataset, cache, **changes):
    document = {
        "output": str(cache),
        "sources": [
            {
                "name": "coco",
                "config": {
                    "train_annotations": str(dataset / "annotations/captions_train.json"),
                    "train_images": str(dataset / "train"),
                    "validation_annotations": str(dataset / "annotations/captions_validation.json"),
                    "validation_images": str(dataset / "validation"),
                },
            }
        ],
        "tokenizer": {"train": "byte_bpe", "byte_bpe": {"vocab_size": 300}},
        "image": {"size": 32},
    }
    document.update(changes)
    return document


def train_yaml(cache, run, **train):
    return {
        "data": str(cache),
        "output": str(run),
        "model": {
            "encoder": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "image_size": 32,
                "patch_size": 8,
            },
            "decoder": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96},
        },
        "train": {
            "per_device_train_batch_size": 8,
            "max_steps": 40,
            "learning_rate": 5e-3,
            "warmup_steps": 5,
            "lr_scheduler_type": "cosine",
            "logging_steps": 5,
            "eval_strategy": "no",
            "save_steps": 20,
            "save_total_limit": 0,
            **train,
        },
        "generation": {"max_new_tokens": 24},
    }


def write_yaml(path, document):
    """JSON is YAML; line by line, so that file:line in messages means something."""
    path.write_text(json.dumps(document, indent=2))
    return path


def checkpoint(run, step):
    return pathlib.Path(run) / f"checkpoint-{step}"


def tensors(folder):
    """Every tensor file of a checkpoint with its bytes: what must be equal after a resume."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.safetensors"))}
