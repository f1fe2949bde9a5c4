"""Their side of tools/bench/prepare: peer_prepare.py JOB.json OUTPUT_DIR, prints {"images", "seconds"}."""

import json
import pathlib
import sys
import time

import numpy
from datasets import Array3D, Dataset, Features, Sequence, Value, disable_progress_bars
from PIL import Image
from transformers import AutoTokenizer
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    output = pathlib.Path(sys.argv[2])
    disable_progress_bars()
    size = job["size"]
    processor = ViTImageProcessorPil(size={"height": size, "width": size})
    tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"])
    features = Features({
        "pixel_values": Array3D(shape=(3, size, size), dtype="float32"),
        "labels": Sequence(Sequence(Value("int64"))),
    })

    def transform(batch):
        images = [Image.open(path).convert("RGB") for path in batch["file"]]
        pixels = processor(images, return_tensors="np")["pixel_values"].astype(numpy.float32, copy=False)
        return {"pixel_values": pixels, "labels": [tokenizer(texts)["input_ids"] for texts in batch["captions"]]}

    rows = Dataset.from_dict({"file": job["files"], "captions": job["captions"]})
    begin = time.perf_counter()
    done = rows.map(
        transform, batched=True, batch_size=32, writer_batch_size=100, num_proc=job["num_proc"], features=features,
        remove_columns=["file", "captions"], cache_file_name=str(output / "data.arrow"),
    )
    print(json.dumps({"images": len(done), "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
