"""Their side of tools/bench/train: a script with transformers' Trainer, as people write it.

peer_train.py make JOB.json   writes the model, the pixels of the pictures and the labels of their captions
peer_train.py run JOB.json    trains and prints {"captions", "seconds", "wait", "peak_kib", "loss"}
"""

import json
import os
import pathlib
import sys
import time

import numpy
import torch
import transformers
from PIL import Image
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil


def make_model(job, tokenizer):
    """Random weights as transformers draws them; both sides start from this folder."""
    torch.manual_seed(0)
    shape = job["shape"]
    shape["decoder"].setdefault("vocab_size", max(len(tokenizer), 50257 if job["full"] else 0))
    decoder = transformers.GPT2Config(**shape["decoder"], is_decoder=True, add_cross_attention=True)
    encoder = transformers.ViTConfig(**shape["encoder"])
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = transformers.VisionEncoderDecoderModel(config)
    end = tokenizer.eos_token_id
    for part in (model.config, model.config.decoder, model.generation_config):
        part.bos_token_id = part.eos_token_id = part.pad_token_id = part.decoder_start_token_id = end
    model.save_pretrained(job["model"])


def make(job):
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["tokenizer"])
    if not pathlib.Path(job["model"], "config.json").exists():
        make_model(job, tokenizer)
    size = transformers.AutoConfig.from_pretrained(job["model"]).encoder.image_size
    processor = ViTImageProcessorPil(size={"height": size, "width": size}, do_rescale=False, do_normalize=False)
    pixels = [processor(Image.open(path).convert("RGB"), return_tensors="np")["pixel_values"][0]
              for path in job["files"]]
    numpy.save(job["pixels"], numpy.stack(pixels).astype(numpy.uint8))
    labels = [[tokenizer(text)["input_ids"][: job["max_tokens"]] + [tokenizer.eos_token_id] for text in texts]
              for texts in job["captions"]]
    pathlib.Path(job["labels"]).write_text(json.dumps(labels))


class Pixels:
    """Pictures that were resized before, as our cache holds them."""

    def __init__(self, job):
        self.pixels = numpy.load(job["pixels"], mmap_mode="r")

    def __call__(self, index):
        return (torch.from_numpy(self.pixels[index].astype(numpy.float32)) / 255 - 0.5) / 0.5


class Files:
    """Pictures as they lie on the disk."""

    def __init__(self, job):
        size = transformers.AutoConfig.from_pretrained(job["model"]).encoder.image_size
        self.files, self.processor = job["files"], ViTImageProcessorPil(size={"height": size, "width": size})

    def __call__(self, index):
        image = Image.open(self.files[index]).convert("RGB")
        return self.processor(image, return_tensors="pt")["pixel_values"][0]


class Captions(torch.utils.data.Dataset):
    """One sample for each caption, with its picture."""

    def __init__(self, job):
        labels = json.loads(pathlib.Path(job["labels"]).read_text())
        self.rows = [(index, ids) for index, texts in enumerate(labels) for ids in texts]
        self.read = {"pixels": Pixels, "files": Files}[job["peer_data"]](job)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        index, ids = self.rows[number]
        return {"pixel_values": self.read(index), "labels": torch.tensor(ids)}


def collate(rows):
    """Pads to the longest caption."""
    labels = torch.nn.utils.rnn.pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=-100)
    return {"pixel_values": torch.stack([row["pixel_values"] for row in rows]), "labels": labels}


class WatchedTrainer(transformers.Trainer):
    """Sums the time that steps wait for their batches, and counts the captions in them."""

    waited, captions = 0.0, 0

    def get_batch_samples(self, *arguments, **named):
        begin = time.perf_counter()
        batches, num_items = super().get_batch_samples(*arguments, **named)
        self.waited += time.perf_counter() - begin
        self.captions += sum(len(batch["labels"]) for batch in batches)
        return batches, num_items


class Watch(transformers.TrainerCallback):
    """Where the measured steps begin and end."""

    def __init__(self, first, last):
        self.marks, self.at, self.trainer, self.peak_kib = {}, {first: "begin", last: "end"}, None, 0

    def on_step_end(self, arguments, state, control, **_):
        if state.global_step not in self.at:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks[self.at[state.global_step]] = (time.perf_counter(), self.trainer.waited, self.trainer.captions)
        self.peak_kib = peak_kib()


def peak_kib():
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 1024
    status = pathlib.Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def run(job):
    torch.set_num_threads(job["threads"])
    transformers.set_seed(1)
    model = transformers.VisionEncoderDecoderModel.from_pretrained(job["model"])
    first, last = job["warm_steps"], job["warm_steps"] + job["steps"]
    arguments = transformers.TrainingArguments(
        output_dir=str(pathlib.Path(job["labels"]).parent / "peer"), per_device_train_batch_size=job["batch"],
        max_steps=last, learning_rate=5e-5, weight_decay=0.01, bf16=job["dtype"] == "bfloat16",
        use_cpu=job["device"] == "cpu", dataloader_num_workers=job["peer_workers"], dataloader_drop_last=True,
        remove_unused_columns=False, save_strategy="no", report_to=[], disable_tqdm=True)
    watch = Watch(first, last)
    trainer = WatchedTrainer(model=model, args=arguments, train_dataset=Captions(job), data_collator=collate,
                             callbacks=[watch])
    watch.trainer = trainer
    loss = trainer.train().training_loss
    (begin, waited, captions), (end, waited_end, captions_end) = watch.marks["begin"], watch.marks["end"]
    return {"captions": captions_end - captions, "seconds": end - begin, "wait": waited_end - waited, "loss": loss,
            "peak_kib": watch.peak_kib}


def main():
    action, job = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
    os.environ["HF_HUB_OFFLINE"] = "1"
    if action == "make":
        make(job)
        print("{}")
    else:
        print(json.dumps(run(job)), flush=True)


if __name__ == "__main__":
    main()
