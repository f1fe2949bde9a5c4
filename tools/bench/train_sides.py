"""Both sides of tools/bench/train: what they are given, and one turn of each."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import common
import generate_models as models

PEER = pathlib.Path(__file__).resolve().parent / "peer_train.py"
CAPTIONS_OF_PICTURE = 5
MAX_TOKENS = 48


@dataclasses.dataclass(frozen=True)
class Setting:
    dtype: str
    batch: int  # per_device_train_batch_size
    captions: int  # of a picture that our side trains on together
    equal: str  # what is the same on both sides in an update: its pictures or its captions

    @property
    def pictures(self):
        return self.batch if self.equal == "pictures" else -(-self.batch // self.captions)

    @property
    def their_batch(self):
        return self.batch if self.equal == "pictures" else self.pictures * self.captions

    def __str__(self):
        of_picture = "1 caption" if self.captions == 1 else f"{self.captions} captions"
        return f"{self.dtype}, batch {self.batch}, {of_picture} of a picture"


class Inputs:
    """Pictures with five captions each, our cache of them, and the model both sides start from."""

    def __init__(self, options, capstan, work):
        self.options, self.capstan, self.work = options, capstan, work
        self.keep = (options.keep or work / "made").resolve() / options.shape
        self.keep.mkdir(parents=True, exist_ok=True)
        self.job = work / "job.json"
        self.cache = work / "cache"

    def make(self):
        shape = models.TINY if self.options.shape == "tiny" else models.FULL
        shape = {part: {key: value for key, value in keys.items() if key != "vocab_size"}
                 for part, keys in shape.items()}
        folder, photos = common.find_photos(self.options.photos, self.capstan, self.work)
        files, captions = common.repeat_photos(folder, photos, self.options.pictures, self.work)
        captions = [(texts * CAPTIONS_OF_PICTURE)[:CAPTIONS_OF_PICTURE] for texts in captions]
        self.make_cache(files, captions, shape["encoder"].get("image_size", 224))
        self.facts = {"files": list(map(str, files)), "captions": captions, "shape": shape, "max_tokens": MAX_TOKENS,
                      "full": self.options.shape == "full", "tokenizer": str(self.cache / "tokenizer"),
                      "model": str(self.keep / "model"), "pixels": str(self.work / "pixels.npy"),
                      "labels": str(self.work / "labels.json"), "threads": self.options.threads,
                      "device": self.options.device, "peer_data": self.options.peer_data,
                      "peer_workers": self.options.peer_workers}
        self.job.write_text(json.dumps(self.facts))
        common.run_json([sys.executable, PEER, "make", self.job])
        labels = json.loads((self.work / "labels.json").read_text())
        lengths = [len(ids) for texts in labels for ids in texts]
        self.mean_tokens = sum(lengths) / len(lengths)

    def make_cache(self, files, captions, size):
        annotations = self.work / "captions.json"
        common.write_coco(files, captions, annotations)
        shared = common.shared_data()
        published = shared / "gpt2" if shared and self.options.shape == "full" else None
        tokenizer = ({"path": str(published)} if published and published.is_dir()
                     else {"train": "byte_bpe", "byte_bpe": {"vocab_size": 1000}})
        config = {"output": str(self.cache), "image": {"size": size}, "tokenizer": tokenizer,
                  "sources": [{"name": "coco", "config": {"train_annotations": str(annotations),
                                                          "train_images": str(files[0].parent)}}]}
        path = self.work / "prepare.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        common.run_quietly([self.capstan, "prepare", path])

    def operations(self, captions):
        """Multiplications and additions that training needs for one caption: forward, and twice that backward."""
        config = models.read_config(pathlib.Path(self.facts["model"]))
        encoder, decoder = config["encoder"], config["decoder"]
        image_tokens = (encoder["image_size"] // encoder["patch_size"]) ** 2 + 1
        width, layers, tokens = decoder["n_embd"], decoder["n_layer"], self.mean_tokens
        inner = decoder["n_inner"] or 4 * width
        token = layers * (12 * width**2 + 4 * width * inner + 4 * (image_tokens + tokens) * width)
        picture = models.encoder_operations(config) + layers * 4 * image_tokens * width**2
        return 3 * (picture / captions + tokens * (token + 2 * width * decoder["vocab_size"]))


def environment(threads):
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


class Turns:
    def __init__(self, inputs, options):
        self.inputs, self.options = inputs, options
        self.every = 1 if options.device == "cpu" else 10  # a GPU is not waited for at every step
        self.warm = 2 * self.every

    def theirs(self, setting):
        job = self.inputs.work / "turn.json"
        job.write_text(json.dumps({
            **self.inputs.facts, "batch": setting.their_batch, "dtype": setting.dtype, "warm_steps": self.warm,
            "steps": self.options.steps * self.every}))
        result = common.run_json([sys.executable, PEER, "run", job], env=environment(self.options.threads))
        return {"rate": result["captions"] / result["seconds"], "data_wait": result["wait"] / result["seconds"],
                "peak": result["peak_kib"] * 1024, "loss": result["loss"]}

    def ours(self, setting):
        run = self.inputs.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        train = {
            "per_device_train_batch_size": setting.pictures, "max_steps": self.warm + self.options.steps * self.every,
            "learning_rate": 5e-5, "weight_decay": 0.01, "bf16": setting.dtype == "bfloat16", "eval_strategy": "no",
            "logging_steps": self.every, "save_steps": 0, "max_tokens": MAX_TOKENS}
        if setting.captions > 1:
            train["captions_per_image"] = "all"
        config = self.inputs.work / "train.yaml"
        config.write_text(json.dumps({
            "data": str(self.inputs.cache), "output": str(run), "device": self.options.device,
            "num_threads": self.options.threads, "model": {"from_pretrained": self.inputs.facts["model"]},
            "train": train}))
        peak = self.run_ours([self.inputs.capstan, "train", config], run / "metrics.jsonl", train["max_steps"])
        result = self.read_metrics(run / "metrics.jsonl", peak)
        shutil.rmtree(run)
        return result

    def run_ours(self, command, metrics, last):
        """Peak memory until the last step was written: what saving takes is no part of a step."""
        log = self.inputs.work / "train.log"
        peak = 0
        with log.open("w") as output:
            process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output,
                                       env=environment(self.options.threads))
            while process.poll() is None:
                if not (metrics.exists() and f'"step":{last},' in metrics.read_text().replace(" ", "")):
                    peak = peak_bytes(process.pid) or peak
                time.sleep(0.05)
        if process.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\nended with {process.returncode}\n{log.read_text()}")
        return peak

    def read_metrics(self, path, peak):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [line for line in lines if "captions_per_second" in line]
        measured = [line for line in lines if line["step"] > self.warm]
        # Every step has as many captions, so times are 1 / rate.
        times = [1 / line["captions_per_second"] for line in measured]
        wait = None
        if all("data_wait" in line for line in measured):
            wait = sum(line["data_wait"] * of for line, of in zip(measured, times)) / sum(times)
        if self.options.device != "cpu":
            peak = max(line.get("memory_bytes", 0) for line in lines)
        return {"rate": len(times) / sum(times), "data_wait": wait, "peak": peak,
                "loss": sum(line["loss"] for line in lines) / len(lines)}


def peak_bytes(process_id):
    try:
        status = pathlib.Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


class Machine:
    """The library's products of matrices, measured once a turn."""

    def __init__(self, program, inputs, threads):
        self.program, self.inputs, self.threads = program, inputs, threads

    def rate(self, dtype, seconds):
        request = json.dumps({"what": dtype, "seconds": seconds})
        answer = subprocess.run([self.program, "machine", self.inputs.job], input=request + "\n", text=True, check=True,
                                capture_output=True, env=environment(self.threads)).stdout
        return json.loads(answer.splitlines()[-1])["rate"]
