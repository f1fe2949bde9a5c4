"""Exported files run by the programs that people use them with: onnx.checker, onnxruntime, torch.jit, transformers."""

import itertools
import json
import os
import time

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
transformers = pytest.importorskip("transformers")
import captioners  # noqa: E402

TOLERANCE = 1e-4  # absolute, on logits of up to a few tens
STEPS = 16


class Exported:
    """The two ONNX files, fed as Transformers.js (empty past) and optimum 1.x (a past of one zero) feed them."""

    def __init__(self, folder, model):
        self.folder, self.model, self.decoder_config = folder, model, model.config.decoder
        self.encoder = onnxruntime.InferenceSession(str(folder / "onnx/encoder_model.onnx"))
        self.decoder = onnxruntime.InferenceSession(str(folder / "onnx/decoder_model_merged.onnx"))

    def encode(self, pixel_values):
        return self.encoder.run(None, {"pixel_values": pixel_values.numpy()})[0]

    def garbage(self, batch, length):
        heads, size = self.decoder_config.n_head, self.decoder_config.n_embd // self.decoder_config.n_head
        generator = np.random.default_rng(length)
        return [generator.normal(size=(batch, heads, length, size), scale=50).astype(np.float32)
                for _ in range(2 * self.decoder_config.n_layer)]

    def decode(self, ids, hidden, past, use_cache):
        names = [f"past_key_values.{i}.{kind}" for i in range(self.decoder_config.n_layer) for kind in ("key", "value")]
        feed = {"input_ids": ids, "encoder_hidden_states": hidden, "use_cache_branch": np.array([use_cache])}
        logits, *present = self.decoder.run(None, feed | dict(zip(names, past)))
        return logits, present

    def greedy(self, pixel_values, first_past):
        hidden, batch = self.encode(pixel_values), len(pixel_values)
        settings = json.loads((self.folder / "generation_config.json").read_text())
        end, pad = settings["eos_token_id"], settings["pad_token_id"]
        ids = np.full((batch, 1), settings["decoder_start_token_id"])
        ended, past = np.zeros((batch, 1), bool), self.garbage(batch, first_past)
        for step in range(settings["max_length"] - 1):
            logits, past = self.decode(ids[:, -1:], hidden, past, step > 0)
            drawn = np.where(ended, pad, logits[:, -1].argmax(-1, keepdims=True))
            ids = np.concatenate([ids, drawn], 1)
            ended |= drawn == end
            if ended.all():
                break
        return ids


CASES = list(itertools.product(["tiny", "small", "other"], ["absorb", "plain"]))


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request, capstan, tmp_path_factory):
    shape, cross_attention = request.param
    source = tmp_path_factory.mktemp("source")
    model = captioners.captioner(source, shape)
    folder = tmp_path_factory.mktemp("exported") / "model"
    capstan("export", source, f"output={folder}", "formats=[huggingface,torchscript,onnx]",
            f"cross_attention={cross_attention}", check=True)
    return Exported(folder, model)


def reference_logits(model, pixel_values, ids):
    with torch.no_grad():
        return model(pixel_values=pixel_values, decoder_input_ids=ids).logits.numpy()


def worst(a, b):
    assert a.shape == b.shape
    return np.abs(a - b).max()


def text(batch, length, vocabulary, seed=3):
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_the_files_pass_the_full_checker(case):
    for name in ("encoder_model", "decoder_model_merged"):
        path = str(case.folder / f"onnx/{name}.onnx")
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path)
        assert [entry.version for entry in model.opset_import] == [17] and model.ir_version == 8
        assert all(node.name for node in model.graph.node)
        assert len({node.name for node in model.graph.node}) == len(model.graph.node)
        used = {name for node in model.graph.node for name in node.input}
        assert {tensor.name for tensor in model.graph.initializer} <= used, "a weight that no node uses"
        assert not any(node.op_type in ("If", "Gelu", "Gemm", "Conv") for node in model.graph.node)


def shapes(values):
    def dims(value):
        return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

    return [(value.name, value.type.tensor_type.elem_type, dims(value)) for value in values]


def test_names_types_and_shapes_are_those_of_the_contract(case):
    config, decoder = case.model.config, case.decoder_config
    size, tokens = config.encoder.image_size, (config.encoder.image_size // config.encoder.patch_size) ** 2 + 1
    encoder = onnx.load(case.folder / "onnx/encoder_model.onnx").graph
    assert shapes(encoder.input) == [("pixel_values", 1, ["batch_size", 3, size, size])]
    assert shapes(encoder.output) == [("last_hidden_state", 1, ["batch_size", tokens, decoder.n_embd])]

    heads, head_size = decoder.n_head, decoder.n_embd // decoder.n_head
    past = [(f"past_key_values.{i}.{kind}", 1, ["batch_size", heads, "past_sequence_length", head_size])
            for i in range(decoder.n_layer) for kind in ("key", "value")]
    present = [(f"present.{i}.{kind}", 1, ["batch_size", heads, "past_sequence_length + sequence_length", head_size])
               for i in range(decoder.n_layer) for kind in ("key", "value")]
    merged = onnx.load(case.folder / "onnx/decoder_model_merged.onnx").graph
    assert shapes(merged.input) == [
        ("input_ids", 7, ["batch_size", "decoder_sequence_length"]),
        ("encoder_hidden_states", 1, ["batch_size", "encoder_sequence_length", decoder.n_embd]),
        *past,
        ("use_cache_branch", 9, [1]),
    ]
    assert shapes(merged.output) == [
        ("logits", 1, ["batch_size", "decoder_sequence_length", decoder.vocab_size]),
        *present,
    ]


def test_a_tied_table_is_stored_once(case):
    graph = onnx.load(case.folder / "onnx/decoder_model_merged.onnx").graph
    vocabulary = case.decoder_config.vocab_size
    tables = sorted(tuple(tensor.dims) for tensor in graph.initializer if vocabulary in tensor.dims)
    width = case.decoder_config.n_embd
    untied = [] if case.decoder_config.tie_word_embeddings else [(vocabulary, width)]
    assert tables == sorted([(width, vocabulary), *untied])


@pytest.mark.parametrize("batch", [1, 3])
def test_logits_without_past_whatever_the_past_holds(case, batch):
    pixel_values, ids = captioners.pictures(case.model, batch), text(batch, 6, case.decoder_config.vocab_size)
    hidden, expected = case.encode(pixel_values), reference_logits(case.model, pixel_values, ids)
    for length in (0, 1, 7):
        logits, present = case.decode(ids.numpy(), hidden, case.garbage(batch, length), False)
        assert worst(logits, expected) <= TOLERANCE
        assert {tensor.shape[2] for tensor in present} == {6}


@pytest.mark.parametrize("batch", [1, 3])
def test_logits_of_chunks_with_past(case, batch):
    pixel_values, ids = captioners.pictures(case.model, batch), text(batch, 9, case.decoder_config.vocab_size)
    hidden, expected = case.encode(pixel_values), reference_logits(case.model, pixel_values, ids)
    past, start = case.garbage(batch, 0), 0
    for length in (2, 3, 1, 1, 2):
        logits, past = case.decode(ids.numpy()[:, start : start + length], hidden, past, start > 0)
        assert worst(logits, expected[:, start : start + length]) <= TOLERANCE
        start += length
    assert {tensor.shape[2] for tensor in past} == {9}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("first_past", [0, 1])
def test_greedy_captions_in_onnxruntime_equal_transformers(case, batch, first_past):
    pixel_values = captioners.pictures(case.model, batch)
    expected = captioners.reference_ids(case.model, pixel_values, STEPS).numpy()
    assert np.array_equal(case.greedy(pixel_values, first_past), expected)
    if batch == 3:
        ends = captioners.first_places(torch.from_numpy(expected), case.model.generation_config.eos_token_id)
        assert len(set(ends)) > 1, "rows were meant to end at different steps"


@pytest.mark.parametrize("batch", [1, 3])
def test_torchscript_in_python_equals_transformers(case, batch):
    module = torch.jit.load(case.folder / "torchscript/model.pt")
    pixel_values, ids = captioners.pictures(case.model, batch), text(batch, 6, case.decoder_config.vocab_size)
    expected = captioners.reference_ids(case.model, pixel_values, STEPS)
    with torch.inference_mode():
        hidden = module.encode(pixel_values)
        logits = module.decode(ids, hidden)
        assert torch.equal(module.generate(pixel_values, STEPS), expected)
        assert torch.equal(module.generate(pixel_values), expected)  # the length of generation_config.json
        assert module.generate(pixel_values, max_new_tokens=2).shape[1] <= 3
    assert worst(logits.numpy(), reference_logits(case.model, pixel_values, ids)) <= TOLERANCE


def test_the_huggingface_folder_opens_in_transformers(case):
    model = transformers.VisionEncoderDecoderModel.from_pretrained(case.folder).eval()
    pixel_values = captioners.pictures(case.model, 3)
    assert torch.equal(captioners.reference_ids(model, pixel_values, STEPS),
                       captioners.reference_ids(case.model, pixel_values, STEPS))
    # Without a length in the call, generation_config.json decides.
    with torch.no_grad():
        assert model.generate(pixel_values).shape[1] <= STEPS + 1
    tokenizer = transformers.AutoTokenizer.from_pretrained(case.folder)
    assert tokenizer.decode(tokenizer("a red circle").input_ids) == "a red circle"
    processor = transformers.ViTImageProcessor.from_pretrained(case.folder)
    assert processor.size["height"] == case.model.config.encoder.image_size


def test_settings_are_what_javascript_reads(case):
    config = json.loads((case.folder / "config.json").read_text())
    generation = json.loads((case.folder / "generation_config.json").read_text())
    assert config["is_encoder_decoder"] is True and config["model_type"] == "vision-encoder-decoder"
    end = case.model.generation_config.eos_token_id
    assert config["eos_token_id"] == config["decoder"]["eos_token_id"] == generation["eos_token_id"] == end
    assert None not in config["decoder"].values()
    assert generation["max_length"] == STEPS + 1
    processor = json.loads((case.folder / "preprocessor_config.json").read_text())
    assert processor["image_processor_type"].startswith("ViTImageProcessor") and "processor_class" not in processor
    assert (case.folder / "tokenizer.json").exists()
    tokenizer = json.loads((case.folder / "tokenizer_config.json").read_text())
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        assert tokenizer.get(name) is None or isinstance(tokenizer[name], str)


def test_the_report_lists_the_files_and_the_checks(case):
    report = json.loads((case.folder / "export_report.json").read_text())
    assert all((case.folder / name).stat().st_size == size for name, size in report["files"].items())
    on_disk = {str(path.relative_to(case.folder)) for path in case.folder.rglob("*") if path.is_file()}
    assert on_disk == {*report["files"], "export_report.json"}
    checks = report["formats"]["torchscript"]["checks"]
    assert checks and all(check["max_abs_diff"] <= check["tolerance"] for check in checks)


@pytest.mark.slow
def test_full_size_export(capstan, tmp_path, record_property):
    """ViT-B/16 + DistilGPT2: the same agreement, with time and sizes."""
    # Large weights in a deep random model only amplify rounding; these keep logits of trained size.
    model = captioners.captioner(tmp_path / "source", "full", scale=0.04)
    start = time.time()
    formats = "formats=[huggingface,torchscript,onnx]"
    capstan("export", tmp_path / "source", f"output={tmp_path / 'out'}", formats, check=True)
    seconds = time.time() - start
    sizes = {path.name: round(path.stat().st_size / 2**20, 1) for path in sorted((tmp_path / "out").rglob("*"))
             if path.is_file() and path.stat().st_size > 2**20}
    print(f"full-size export: {seconds:.1f} s on {os.cpu_count()} cores, MiB: {sizes}")
    record_property("export_seconds", round(seconds, 1))
    case = Exported(tmp_path / "out", model)
    pixel_values, ids = captioners.pictures(model, 2), text(2, 6, 50257)
    logits, _ = case.decode(ids.numpy(), case.encode(pixel_values), case.garbage(2, 0), False)
    difference = worst(logits, reference_logits(model, pixel_values, ids))
    print(f"largest logit difference {difference:.2g}")
    assert difference <= TOLERANCE
    expected = captioners.reference_ids(model, pixel_values, STEPS).numpy()
    assert np.array_equal(case.greedy(pixel_values, 0), expected)
