#!/usr/bin/env python3
"""Captions pictures from an exported folder with onnxruntime alone: what a user without LibTorch would write.

tools/caption_onnx.py EXPORT_DIR IMAGE...   prints "path<TAB>caption" lines.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime
import tokenizers
from PIL import Image, ImageOps


class OnnxCaptioner:
    """Greedy captions from EXPORT_DIR/onnx with the settings of the folder's own JSON files."""

    def __init__(self, folder, threads=0):
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.processor = json.loads((folder / "preprocessor_config.json").read_text())
        self.generation = json.loads((folder / "generation_config.json").read_text())
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        open_session = lambda name: onnxruntime.InferenceSession(
            str(folder / "onnx" / name), options, providers=["CPUExecutionProvider"]
        )
        self.encoder = open_session("encoder_model.onnx")
        self.decoder = open_session("decoder_model_merged.onnx")

    def pixels(self, path):
        """One picture as float32 [1, 3, height, width], prepared as preprocessor_config.json says."""
        p = self.processor
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        if p["do_resize"]:
            image = image.resize((p["size"]["width"], p["size"]["height"]), resample=p["resample"])
        values = np.asarray(image, dtype=np.float32)
        if p["do_rescale"]:
            values = values * np.float32(p["rescale_factor"])
        if p["do_normalize"]:
            values = (values - np.float32(p["image_mean"])) / np.float32(p["image_std"])
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)

    def token_ids(self, pixel_values):
        """The greedy loop: the first step without a past, every later step with one new token and the grown past."""
        decoder_config = self.config["decoder"]
        heads = decoder_config["n_head"]
        past_shape = [1, heads, 0, decoder_config["n_embd"] // heads]
        feeds = {
            x.name: np.zeros(past_shape, np.float32) for x in self.decoder.get_inputs() if x.name.startswith("past")
        }
        outputs = [x.name for x in self.decoder.get_outputs()]
        (feeds["encoder_hidden_states"],) = self.encoder.run(["last_hidden_state"], {"pixel_values": pixel_values})
        ids = [self.generation["decoder_start_token_id"]]
        limit = self.generation.get("max_length", 20)  # counts the start token
        if "max_new_tokens" in self.generation:
            limit = 1 + self.generation["max_new_tokens"]
        while len(ids) < limit:
            feeds["input_ids"] = np.array([ids[-1:]], dtype=np.int64)
            feeds["use_cache_branch"] = np.array([len(ids) > 1])
            results = dict(zip(outputs, self.decoder.run(outputs, feeds)))
            ids.append(int(results["logits"][0, -1].argmax()))
            if ids[-1] == self.generation["eos_token_id"]:
                break
            feeds.update(
                {
                    name.replace("present", "past_key_values"): value
                    for name, value in results.items()
                    if name.startswith("present")
                }
            )
        return ids

    def caption(self, path):
        return self.tokenizer.decode(self.token_ids(self.pixels(path)), skip_special_tokens=True).strip()


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: tools/caption_onnx.py EXPORT_DIR IMAGE...")
    captioner = OnnxCaptioner(sys.argv[1])
    for path in sys.argv[2:]:
        print(f"{path}\t{captioner.caption(path)}")


if __name__ == "__main__":
    main()
