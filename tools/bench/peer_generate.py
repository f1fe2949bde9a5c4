"""Their side of tools/bench/generate; answers lines of JSON as generate.cpp does.

peer_generate.py transformers MODEL DTYPE JOB.json   VisionEncoderDecoderModel.generate, float32 or bfloat16
peer_generate.py onnxruntime MODEL DTYPE JOB.json    an exported model with a plain greedy loop, float32 or int8
peer_generate.py ctranslate2 MODEL DTYPE JOB.json    a converted decoder alone, float32 or int8
"""

import concurrent.futures
import json
import os
import pathlib
import sys
import time

import numpy


class Side:
    """Calls `draw` until the time is over. Where several fit, the first is not counted (generate.cpp says why)."""

    def __init__(self, job):
        self.files, self.threads, self.tokens = job["files"], job["threads"], job["tokens"]

    def answer(self, request):
        if request["action"] == "captions":
            return {"ids": self.captions(request["files"])}
        if request["action"] == "measure":
            return self.measure(request["seconds"])
        self.batch, self.beams = request["batch"], request["beams"]
        self.draw(self.files[: self.batch])
        return {}

    def measure(self, seconds):
        begin = time.perf_counter()
        totals, calls = self.draw(self.files[: self.batch])[0], 1
        if time.perf_counter() - begin < seconds / 2:
            totals, calls = {}, 0
        while time.perf_counter() - begin < seconds:
            for phase, spent in self.draw(self.files[: self.batch])[0].items():
                totals[phase] = totals.get(phase, 0) + spent
            calls += 1
        return {"calls": calls, **totals}

    def captions(self, files):
        ids = []
        for start in range(0, len(files), self.batch):
            ids += self.draw(files[start : start + self.batch])[1]
        return ids


class Pictures(Side):
    """Pictures are read by as many threads as the model has; then encoder and decoder, one after the other."""

    def __init__(self, folder, job):
        from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

        super().__init__(job)
        self.processor = ViTImageProcessorPil.from_pretrained(folder)
        self.pool = concurrent.futures.ThreadPoolExecutor(self.threads)

    def read(self, file):
        from PIL import Image

        return self.processor(Image.open(file).convert("RGB"), return_tensors="np")["pixel_values"][0]

    def draw(self, files):
        times = [time.perf_counter()]
        pixels = numpy.stack(list(self.pool.map(self.read, files)))
        times.append(time.perf_counter())
        hidden = self.encode(pixels)
        times.append(time.perf_counter())
        ids = self.decode(hidden)
        times.append(time.perf_counter())
        spent = [after - before for before, after in zip(times, times[1:])]
        return dict(zip(("preprocess", "encoder", "decode"), spent)), ids


class Transformers(Pictures):
    def __init__(self, folder, dtype, job):
        import torch
        import transformers

        super().__init__(folder, job)
        torch.set_num_threads(self.threads)
        torch.set_grad_enabled(False)
        self.torch, self.output = torch, transformers.modeling_outputs.BaseModelOutput
        self.dtype = getattr(torch, dtype)
        self.model = transformers.VisionEncoderDecoderModel.from_pretrained(folder, dtype=self.dtype).eval()
        self.batch, self.beams = min(8, len(self.files)), 1
        self.chosen = {part: self.choose_attention(part) for part in ("encoder", "decoder")}

    def choose_attention(self, part):
        """The fastest implementation for a part of the model, in greedy search for 8 pictures."""
        seconds = {}
        for name in ("eager", "sdpa"):
            getattr(self.model, part).set_attn_implementation(name)
            self.draw(self.files[: self.batch])
            spent = self.draw(self.files[: self.batch])[0]
            seconds[name] = spent["encoder" if part == "encoder" else "decode"]
        best = min(seconds, key=seconds.get)
        getattr(self.model, part).set_attn_implementation(best)
        return best

    def encode(self, pixels):
        return self.model.encoder(self.torch.from_numpy(pixels).to(self.dtype)).last_hidden_state

    def decode(self, hidden):
        ids = self.model.generate(
            encoder_outputs=self.output(last_hidden_state=hidden), num_beams=self.beams, do_sample=False,
            min_new_tokens=self.tokens, max_new_tokens=self.tokens,
        )
        return ids[:, 1:].tolist()


class Onnxruntime(Pictures):
    def __init__(self, folder, dtype, job):
        import onnxruntime

        super().__init__(folder, job)
        self.ort = onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        suffix = "_quantized" if dtype == "int8" else ""
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(f"{folder}/onnx/{name}{suffix}.onnx", options, ["CPUExecutionProvider"])
            for name in ("encoder_model", "decoder_model_merged"))
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        self.start, self.end = config["decoder_start_token_id"], config["eos_token_id"]
        self.outputs = [output.name for output in self.decoder.get_outputs()]
        self.past = [entry for entry in self.decoder.get_inputs() if entry.name.startswith("past_key_values")]
        self.chosen = {}

    def encode(self, pixels):
        return self.run(self.encoder, {"pixel_values": self.ort.OrtValue.ortvalue_from_numpy(pixels)},
                        ["last_hidden_state"])[0]

    def run(self, session, values, outputs):
        """Values stay in the runtime's own memory from one step to the next."""
        binding = session.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        return binding.get_outputs()

    def decode(self, hidden):
        value = self.ort.OrtValue.ortvalue_from_numpy
        batch = hidden.shape()[0]
        past = [value(numpy.zeros((batch, entry.shape[1], 0, entry.shape[3]), numpy.float32)) for entry in self.past]
        ids = numpy.full((batch, 1), self.start, numpy.int64)
        drawn = []
        for step in range(self.tokens):
            values = {"input_ids": value(ids), "encoder_hidden_states": hidden,
                      "use_cache_branch": value(numpy.array([step > 0]))}
            values |= {entry.name: known for entry, known in zip(self.past, past)}
            logits, *past = self.run(self.decoder, values, self.outputs)
            scores = logits.numpy()[:, -1]
            scores[:, self.end] = -numpy.inf  # the wanted length is not reached before the last step
            ids = scores.argmax(-1)[:, None]
            drawn.append(ids)
        return numpy.concatenate(drawn, 1).tolist()


class Ctranslate2(Side):
    def __init__(self, folder, dtype, job):
        import ctranslate2

        super().__init__(job)
        self.generator = ctranslate2.Generator(
            folder, device="cpu", compute_type=dtype, inter_threads=1, intra_threads=self.threads)
        self.chosen = {"compute_type": self.generator.compute_type}

    def draw(self, files):
        begin = time.perf_counter()
        results = self.generator.generate_batch(
            [["<|endoftext|>"]] * len(files), beam_size=self.beams, min_length=self.tokens, max_length=self.tokens,
            include_prompt_in_result=False, sampling_topk=1)
        spent = time.perf_counter() - begin
        ids = [result.sequences_ids[0] for result in results]
        if any(len(row) != self.tokens for row in ids):
            sys.exit(f"ctranslate2 drew {[len(row) for row in ids]} tokens, not {self.tokens}")
        return {"decode": spent}, ids


def main():
    kind, folder, dtype, job = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print does not belong among the answers
    kinds = {"transformers": Transformers, "onnxruntime": Onnxruntime, "ctranslate2": Ctranslate2}
    side = kinds[kind](folder, dtype, json.loads(pathlib.Path(job).read_text()))
    print(json.dumps({"ready": True, **side.chosen}), file=answers)
    for line in sys.stdin:
        print(json.dumps(side.answer(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
