"""A run's folder as a real run of some hours would leave it, made of formulas: for tests of what is drawn of it."""

import base64
import io
import json
import math
import random

from PIL import Image, ImageDraw

SUBJECTS = ("a brown dog", "two children", "a man in a red coat", "a tabby cat", "a cyclist", "an old steam train")
ACTIONS = ("runs along the beach", "sits on a wooden bench", "stands in front of a shop", "crosses a wet street",
           "looks out of the window", "waits in the snow")  # fmt: skip


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def rate_at(step, steps, peak=5e-5, warmup=0.06):
    done = step / steps
    return peak * (done / warmup if done < warmup else 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))))


def train_line(step, steps, noise, floor):
    loss = floor + 7.4 * math.exp(-9 * step / steps) + 1.1 * math.exp(-2.4 * step / steps)
    return {
        "step": step,
        "epoch": round(10 * step / steps, 4),
        "loss": loss * (1 + noise.gauss(0, 0.035)),
        "learning_rate": rate_at(step, steps),
        "grad_norm": (0.9 + 3 * math.exp(-8 * step / steps)) * math.exp(noise.gauss(0, 0.22)),
        "captions_per_second": 612 + 9 * math.sin(step / 900) + noise.gauss(0, 7) - 140 * (noise.random() < 0.01),
        "images_per_second": 122.4 + noise.gauss(0, 1.5),
        "tokens_per_second": 7900 + noise.gauss(0, 90),
        "data_wait": max(0.0, 0.004 + noise.gauss(0, 0.002) + (0.06 if noise.random() < 0.008 else 0)),
        "mfu": 0.46 + noise.gauss(0, 0.006),
        "memory_bytes": int((6.2 + min(1.1, 9 * step / steps)) * 2**30),
    }


def evaluation_line(step, steps, noise, floor):
    learned = 1 - math.exp(-5 * step / steps)
    return {
        "step": step,
        "epoch": round(10 * step / steps, 4),
        "eval_loss": floor + 0.32 + 2.6 * math.exp(-5 * step / steps) + 0.25 * (step / steps) ** 3,
        "eval_rouge1": 0.452 * learned + noise.gauss(0, 0.003),
        "eval_rouge2": 0.201 * learned**2 + noise.gauss(0, 0.003),
        "eval_rougeL": 0.417 * learned + noise.gauss(0, 0.003) - 0.03 * max(0, step / steps - 0.8),
        "eval_cider": 1.13 * learned**1.5 + noise.gauss(0, 0.01),
        "eval_seconds": 41.5 + noise.gauss(0, 1),
    }


def picture(index):
    """A landscape in the colours of its number, as base64 of a JPEG."""
    image = Image.new("RGB", (224, 168), (110 + 20 * index, 160, 215 - 12 * index))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 110, 224, 168), fill=(70, 120 + 10 * index, 60))
    pen.ellipse((150 - 14 * index, 16, 186 - 14 * index, 52), fill=(250, 220, 120))
    pen.rectangle((40 + 18 * index, 80, 84 + 18 * index, 132), fill=(150, 60 + 14 * index, 50))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()


def samples(steps, every, pictures=6):
    entries = [
        {
            "image_id": f"COCO_val2014_{391895 + 137 * index:012}",
            "jpeg": picture(index),
            "references": [f"{SUBJECTS[index]} {ACTIONS[index]}.", f"{SUBJECTS[index]} outdoors in the afternoon."],
        }
        for index in range(pictures)
    ]
    captions = []
    for step in range(every, steps + 1, every):
        if step < steps * 0.12:
            said = ["a a a a a"] * pictures
        elif step < steps * 0.3:
            said = [SUBJECTS[index] for index in range(pictures)]
        else:
            said = [f"{SUBJECTS[i]} {ACTIONS[(i + (step < steps * 0.2 * (i % 4))) % 6]}" for i in range(pictures)]
        captions.append({"step": step, "captions": said})
    return {"pictures": entries, "captions": captions}


CONFIG = """\
data: data/coco  # Cache that `capstan prepare` wrote.
output: {output}  # Folder of the run.
device: auto
resume: auto
model:
  encoder_from: google/vit-base-patch16-224-in21k
  decoder_from: distilgpt2
train:
  per_device_train_batch_size: 64
  learning_rate: {rate}  # Peak rate.
  lr_scheduler_type: cosine
  warmup_ratio: 0.06
  num_train_epochs: 10
  captions_per_image: all
  metric_for_best_model: rougeL
generation:
  num_beams: 4
  max_new_tokens: 32
"""
ENVIRONMENT = {"capstan": "0.1.0", "libtorch": "2.13.0", "device": "NVIDIA GeForce RTX 4090", "processes": 2,
               "host": "node-7", "cpu": "AMD EPYC 7543 32-Core Processor", "threads": 16, "cuda": "13.0",
               "start": "2026-11-22T03:05:11Z"}  # fmt: skip


def checkpoint(folder, step, steps, best):
    target = folder / f"checkpoint-{step}"
    target.mkdir()
    (target / "config.json").write_text("{}")
    (target / "model.safetensors").write_bytes(bytes(300_000))
    state = {"global_step": step, "max_steps": steps, "epoch": 10 * step / steps, "best_metric": 0.41,
             "metric_for_best_model": "rougeL", "best_model_checkpoint": best}  # fmt: skip
    (target / "trainer_state.json").write_text(json.dumps(state))


def write_run(folder, steps=24_000, every=10, floor=1.95, rate=5e-5, seed=1, events=True):
    """Returns the folder. metrics.jsonl ends in a line that was being written."""
    folder.mkdir(parents=True)
    noise = random.Random(seed)
    lines = []
    evaluate = steps // 12
    for step in range(every, steps + 1, every):
        lines.append(train_line(step, steps, noise, floor))
        if step % evaluate == 0:
            lines.append(evaluation_line(step, steps, noise, floor))
        if events and step in (steps // 40 * 13, steps // 40 * 13 + every):
            lines.append({"step": step, "epoch": 3.3, "event": "update_skipped", "loss": "nan", "grad_norm": "inf"})
        if events and step == steps // 4 * 3:
            lines.append({"step": step, "epoch": 7.5, "event": "loss_spike", "loss": 6.81, "limit": 3.9})
    write_lines(folder / "metrics.jsonl", lines)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 240')
    (folder / "config.yaml").write_text(CONFIG.format(output=folder.name, rate=rate))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (folder / "samples.json").write_text(json.dumps(samples(steps, evaluate)))
    for step in (steps - 2 * evaluate, steps - evaluate, steps):
        checkpoint(folder, step, steps, f"checkpoint-{steps - evaluate}")
    return folder
