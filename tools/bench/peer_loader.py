"""Their side of tools/bench/loader.

peer_loader.py make KIND JOB.json FOLDER                        writes the data that is read later
peer_loader.py read KIND JOB.json FOLDER BATCH WORKERS SECONDS  prints {"images", "seconds"} of warm, shuffled batches

KIND: uint8 (pixels in Arrow), float32 (pixel_values in Arrow), jpeg (files, decoded and processed by the workers).
"""

import json
import pathlib
import sys
import time

import torch
from datasets import Array3D, Dataset, Features, disable_progress_bars, load_from_disk
from PIL import Image
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil


class Files(torch.utils.data.Dataset):
    """JPEG files as most scripts read them."""

    def __init__(self, files, processor):
        self.files, self.processor = files, processor

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        image = Image.open(self.files[index]).convert("RGB")
        return {"pixel_values": self.processor(image, return_tensors="pt")["pixel_values"][0]}


def make(kind, job, folder):
    if kind == "jpeg":
        return
    size = job["size"]
    processor = ViTImageProcessorPil(size={"height": size, "width": size})
    options = {"do_rescale": False, "do_normalize": False} if kind == "uint8" else {}
    different = [processor(Image.open(path).convert("RGB"), return_tensors="np", **options)["pixel_values"][0]
                 for path in job["photos"]]
    count = job["count"] if kind == "uint8" else job["float32_count"]
    dtype = "uint8" if kind == "uint8" else "float32"

    def rows():
        for number in range(count):
            yield {"pixel_values": different[number % len(different)].astype(dtype, copy=False)}

    features = Features({"pixel_values": Array3D(shape=(3, size, size), dtype=dtype)})
    data = Dataset.from_generator(rows, features=features, cache_dir=str(folder / "made"), writer_batch_size=200)
    data.save_to_disk(folder / "arrow")


def open_data(kind, job, folder):
    if kind == "jpeg":
        return Files(job["files"], ViTImageProcessorPil(size={"height": job["size"], "width": job["size"]}))
    return load_from_disk(str(folder / "arrow")).with_format("torch")


def batches(loader):
    while True:
        yield from loader


def read(kind, job, folder, batch, workers, seconds):
    data = open_data(kind, job, folder)
    if kind != "jpeg":
        for path in sorted((folder / "arrow").glob("*.arrow")):  # into the page cache, as ours is
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass
    loader = torch.utils.data.DataLoader(
        data, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=True)
    stream = batches(loader)
    for _ in range(2 * workers + 2):
        next(stream)
    images, begin = 0, time.perf_counter()
    while True:
        images += next(stream)["pixel_values"].shape[0]
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds:
            break
    print(json.dumps({"images": images, "seconds": elapsed}), flush=True)


def main():
    action, kind, job_path, folder = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
    job = json.loads(pathlib.Path(job_path).read_text())
    disable_progress_bars()
    torch.set_num_threads(1)
    if action == "make":
        make(kind, job, folder)
        print("{}")
    else:
        read(kind, job, folder, int(sys.argv[5]), int(sys.argv[6]), float(sys.argv[7]))


if __name__ == "__main__":
    main()
