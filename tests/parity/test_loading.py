"""Weights in every form that transformers and torch write, both ways; files that lie; files larger than memory."""

import collections
import json
import os
import pathlib
import shlex
import struct
import subprocess
import sys
import warnings

import pytest
import torch
from captioners import SHAPES, randomize
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    DeiTModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
TORCH_TYPES = DTYPES + [torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
LIMIT_KIB = 200 * 1024  # of extra memory for ten gigabytes of weights
SIZES = SHAPES["small"]


def run(program, *arguments):
    result = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def refusal(program, *arguments):
    result = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stderr


def reference(seed=0):
    decoder = GPT2Config(**SIZES["decoder"], vocab_size=300, is_decoder=True, add_cross_attention=True)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**SIZES["encoder"]), decoder)
    config.decoder_start_token_id = config.eos_token_id = config.pad_token_id = config.bos_token_id = 0
    model = VisionEncoderDecoderModel(config).eval()
    randomize(model, 0.25, seed)
    return model


def published(model, folder):
    """The tensors under the names that transformers writes, which are not those of its modules."""
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def as_pickles(folder, tensors, shards=1):
    (folder / "model.safetensors").unlink()
    names, index = sorted(tensors), {}
    for number in range(shards):
        file = "pytorch_model.bin" if shards == 1 else f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in names[number::shards]}
        torch.save(part, folder / file)
        index |= dict.fromkeys(part, file)
    if shards > 1:
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": index})
        (folder / "pytorch_model.bin.index.json").write_text(text)


def opened(folder):
    model, info = VisionEncoderDecoderModel.from_pretrained(folder, output_loading_info=True, dtype="auto")
    assert {key: list(names) for key, names in info.items() if names} == {}
    return model


# -- files of torch.save ----------------------------------------------------------------------------------------------


def odd_tensors():
    generator = torch.Generator().manual_seed(5)
    whole = torch.randn(6, 8, generator=generator)
    tensors = {f"{dtype}": torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for dtype in TORCH_TYPES}
    tensors |= {
        "transposed": whole.t(), "rows": whole[2:5], "columns": whole[:, 1:7:2], "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4), "parameter": torch.nn.Parameter(whole.clone()),
        'name "quoted" \u00e9': torch.arange(7),
    }
    return tensors


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_saves_is_read(probe, tmp_path, protocol):
    tensors = odd_tensors()
    torch.save(tensors, tmp_path / "m.bin", pickle_protocol=protocol)
    run(probe, "tensors", tmp_path / "m.bin", tmp_path / "out.safetensors")
    back = load_file(tmp_path / "out.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name


def test_the_state_dict_of_a_module_is_read(probe, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = module.state_dict()
    assert isinstance(state, collections.OrderedDict) and state._metadata
    torch.save(state, tmp_path / "m.bin")
    run(probe, "tensors", tmp_path / "m.bin", tmp_path / "out.safetensors")
    back = load_file(tmp_path / "out.safetensors")
    assert back.keys() == state.keys() and all(torch.equal(back[name], state[name]) for name in state)


class Attack:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_that_wants_to_run_code_is_refused_and_runs_nothing(probe, tmp_path, protocol):
    made = tmp_path / "made"
    calls = [(os.system, (f"touch {made}",)), (eval, (f"open({str(made)!r}, 'w')",)), (pathlib.Path, ("x",))]
    for call in calls:
        torch.save({"a": torch.zeros(2), "b": Attack(call)}, tmp_path / "m.bin", pickle_protocol=protocol)
        message = refusal(probe, "tensors", tmp_path / "m.bin", tmp_path / "out.safetensors")
        assert "its pickle asks for" in message and "m.bin" in message
        assert not made.exists()


@pytest.mark.parametrize(
    "value, message",
    [
        (torch.zeros(3, dtype=torch.complex64), "ComplexFloatStorage"),
        (torch.zeros(3).to_sparse(), "torch.serialization._get_layout"),
        (torch.zeros(3, dtype=torch.uint16), "torch.storage.UntypedStorage"),
        (torch.zeros(1).expand(1000), "does not fit its storage"),
        (3, "is a whole number; expected a state_dict"),
        ({"nested": torch.zeros(1)}, "is a dictionary; expected a state_dict"),
    ],
)
def test_what_is_no_plain_weight_is_named(probe, tmp_path, value, message):
    torch.save({"a": torch.zeros(2), "b": value}, tmp_path / "m.bin")
    assert message in refusal(probe, "tensors", tmp_path / "m.bin", tmp_path / "out.safetensors")


def test_the_conversion_command_for_old_files_works(probe, tmp_path):
    folder = tmp_path / "old"
    tensors = published(reference(), folder)
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    message = refusal(probe, "save", folder, tmp_path / "out")
    command = message.splitlines()[-1].strip()
    assert "format of torch before 1.6" in message and command.startswith("python -c ")
    subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
    run(probe, "save", folder, tmp_path / "out")


# -- model folders, both ways -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "sharded safetensors", "pickle", "sharded pickle"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_form_and_type_is_read_and_written(probe, tmp_path, form, dtype):
    model = reference().to(dtype)
    theirs = tmp_path / "theirs"
    tensors = published(model, theirs)
    assert all(tensor.dtype == dtype for tensor in tensors.values())
    if form == "sharded safetensors":
        (theirs / "model.safetensors").unlink()
        model.save_pretrained(theirs, max_shard_size="300KB" if dtype == torch.float32 else "150KB")
        assert len(list(theirs.glob("model-*.safetensors"))) > 2
    elif "pickle" in form:
        # Old files hold the tied head and the causal masks too.
        tensors |= {"decoder.lm_head.weight": tensors["decoder.transformer.wte.weight"],
                    "decoder.transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril(),
                    "decoder.transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}
        as_pickles(theirs, tensors, shards=3 if "sharded" in form else 1)

    for written in DTYPES:
        ours = tmp_path / f"ours-{written}"
        run(probe, "convert", theirs, ours, str(written).removeprefix("torch."))
        back = opened(ours)
        assert {tensor.dtype for tensor in back.parameters()} == {written}
        for (name, mine), (_, other) in zip(back.named_parameters(), model.named_parameters()):
            assert torch.equal(mine, other.to(written)), name


@pytest.mark.parametrize("stored, wanted", [("float32", "float32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32")])
def test_weights_of_the_wanted_type_are_not_copied(probe, tmp_path, capsys, stored, wanted):
    config = reference().config
    config.decoder.n_embd, config.decoder.n_inner = 1024, None  # 100 MB in float32
    model = VisionEncoderDecoderModel(config).to(getattr(torch, stored))
    model.save_pretrained(tmp_path / "model")
    memory = dict(line.split(" ", 1) for line in run(probe, "load", tmp_path / "model", wanted).splitlines())
    before, after = map(int, memory["anonymous"].split())
    extra, weights = after - before, int(memory["bytes"]) // 1024
    with capsys.disabled():
        print(f"\n{stored} -> {wanted}: {weights} KiB of weights, {extra} KiB of memory of its own", end="")
    assert extra < (0.1 * weights if stored == wanted else 1.1 * weights)


VISION = {
    "ViTModel": lambda: ViTModel(ViTConfig(**SIZES["encoder"])),
    "ViTModel without pooler": lambda: ViTModel(ViTConfig(**SIZES["encoder"]), add_pooling_layer=False),
    "ViTForImageClassification": lambda: ViTForImageClassification(ViTConfig(**SIZES["encoder"])),
    "DeiTModel": lambda: DeiTModel(DeiTConfig(**SIZES["encoder"])),
    "DeiTForImageClassification": lambda: DeiTForImageClassification(DeiTConfig(**SIZES["encoder"])),
    "SiglipVisionModel": lambda: SiglipVisionModel(SiglipVisionConfig(**SIZES["encoder"])),
    "SiglipModel": lambda: SiglipModel(
        SiglipConfig(
            vision_config=SIZES["encoder"],
            text_config=dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                             vocab_size=20, projection_size=64, bos_token_id=0, eos_token_id=1, pad_token_id=1),
        )
    ),
}


@pytest.mark.parametrize("pickled", [False, True], ids=["safetensors", "pickle"])
@pytest.mark.parametrize("language", [GPT2LMHeadModel, GPT2Model])
@pytest.mark.parametrize("vision", VISION)
def test_separate_folders_bring_every_weight(probe, tmp_path, vision, language, pickled):
    encoder = VISION[vision]()
    decoder = language(GPT2Config(**SIZES["decoder"], vocab_size=300, eos_token_id=1, bos_token_id=1))
    randomize(encoder, 0.2, 1)
    randomize(decoder, 0.2, 2)
    files = {}
    for part, model in (("encoder", encoder), ("decoder", decoder)):
        files[part] = published(model, tmp_path / part)
        if pickled:
            as_pickles(tmp_path / part, files[part])
    printed = run(probe, "join", tmp_path / "encoder", tmp_path / "decoder", tmp_path / "ours", 7).splitlines()
    new = {line.removeprefix("new ") for line in printed if line.startswith("new ")}
    unused = {line.removeprefix("unexpected ") for line in printed if line.startswith("unexpected ")}
    assert new and all("crossattention" in name or "ln_cross_attn" in name for name in new)
    foreign = ("encoder.classifier.", "encoder.text_model.", "encoder.logit_")
    assert all(name.startswith(foreign) for name in unused)

    ours = load_file(tmp_path / "ours/model.safetensors")
    used = 0
    for part, tensors in files.items():
        for name, tensor in tensors.items():
            found = [key for key in ours if key.startswith(part) and (key.endswith("." + name) or
                     key.removeprefix(part + ".") == name.removeprefix("vit.").removeprefix("deit."))]
            if f"{part}.{name}" in unused or name == "lm_head.weight":
                continue
            assert len(found) == 1, name
            assert torch.equal(ours[found[0]], tensor), name
            used += 1
    no_pooler = "without" in vision or "Classification" in vision
    poolers = {name for name in ours if "pooler" in name} if no_pooler else set()
    assert used == len(set(ours) - new - poolers)
    opened(tmp_path / "ours")


def test_what_does_not_fit_is_said_and_can_be_let_pass(probe, tmp_path):
    tensors = published(reference(), tmp_path / "model")
    del tensors["decoder.transformer.ln_f.weight"]
    tensors["decoder.transformer.wpe.weight"] = torch.zeros(9, 64)
    tensors["extra"] = torch.zeros(3)
    save_file(tensors, tmp_path / "model/model.safetensors")
    message = refusal(probe, "load", tmp_path / "model")
    assert "decoder.transformer.wpe.weight (file [9, 64], model [64, 64])" in message
    printed = run(probe, "load-fitting", tmp_path / "model").splitlines()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, info = VisionEncoderDecoderModel.from_pretrained(
            tmp_path / "model", ignore_mismatched_sizes=True, output_loading_info=True
        )
    assert "mismatched decoder.transformer.wpe.weight" in printed
    assert {entry[0] for entry in info["mismatched_keys"]} == {"decoder.transformer.wpe.weight"}
    assert "new decoder.transformer.ln_f.weight" in printed
    assert set(info["missing_keys"]) == {"decoder.transformer.ln_f.weight"}
    assert "unexpected extra" in printed and set(info["unexpected_keys"]) == {"extra"}


# -- ten gigabytes ----------------------------------------------------------------------------------------------------


def write_sparse(path, shapes):
    """A safetensors file of zeros that takes no room: a header, and a hole of the right length."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return offset


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("huge")
    model = reference()
    shapes = {name: tuple(tensor.shape) for name, tensor in published(model, folder).items() if "encoder." in name}
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["decoder"] |= dict(n_embd=2048, n_layer=40, n_head=16, n_inner=None)
    (folder / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        decoder = GPT2LMHeadModel(GPT2Config(**config["decoder"]))
    shapes |= {f"decoder.{name}": tuple(value.shape) for name, value in decoder.named_parameters()}
    shapes |= {"enc_to_dec_proj.weight": (2048, 64), "enc_to_dec_proj.bias": (2048,)}
    names, index, total, count = sorted(shapes), {}, 0, 5
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = {name: shapes[name] for name in names[number::count]}
        total += write_sparse(folder / file, part)
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert total > 10e9
    room = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    if room > 1e9:
        pytest.skip("this disk has no sparse files, and ten gigabytes are too much for it")
    return folder


def peak_kib(*command):
    """The most memory that a command ever held, mapped files included."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    return usage.ru_maxrss, output


def test_a_ten_gigabyte_model_is_described_without_reading_it(capstan, huge, tmp_path, capsys):
    reference().save_pretrained(tmp_path / "small")
    base, _ = peak_kib(capstan.path, "inspect", tmp_path / "small")
    peak, output = peak_kib(capstan.path, "inspect", huge)
    with capsys.disabled():
        print(f"\ncapstan inspect, 10 GB in 5 shards: {(peak - base) / 1024:.1f} MiB above a small model's", end="")
    assert "the weights fit config.json" in output
    assert peak - base < LIMIT_KIB


def test_a_ten_gigabyte_model_is_opened_with_little_memory(probe, huge, tmp_path, capsys):
    reference().save_pretrained(tmp_path / "small")
    base, _ = peak_kib(probe, "load", tmp_path / "small")
    peak, output = peak_kib(probe, "load", huge)
    held = int(next(line for line in output.splitlines() if line.startswith("bytes")).split()[1])
    with capsys.disabled():
        print(f"\nload_pretrained, {held / 1e9:.1f} GB: {(peak - base) / 1024:.1f} MiB above a small model's", end="")
    assert held > 10e9
    assert peak - base < LIMIT_KIB


# -- capstan inspect --------------------------------------------------------------------------------------------------


def facts(capstan, folder):
    return json.loads(capstan("inspect", folder, "json=true", check=True).stdout)


def counted(function):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        result = function()
    return counter.get_total_flops(), result


ENCODERS = {
    "vit": lambda: ViTModel(ViTConfig(**SIZES["encoder"], attn_implementation="eager"), add_pooling_layer=False),
    "deit": lambda: DeiTModel(DeiTConfig(**SIZES["encoder"], attn_implementation="eager"), add_pooling_layer=False),
    "siglip": lambda: SiglipVisionModel(
        SiglipVisionConfig(**SIZES["encoder"], vision_use_head=False, attn_implementation="eager")
    ),
}


@pytest.mark.parametrize("family", ENCODERS)
def test_the_operations_of_an_encoder_are_those_torch_counts(capstan, tmp_path, family):
    model = ENCODERS[family]().eval()
    model.save_pretrained(tmp_path / "model")
    size = model.config.image_size
    flops, result = counted(lambda: model(torch.zeros(1, 3, size, size)))
    ours = facts(capstan, tmp_path / "model")["encoder"]
    assert ours["tokens"] == result.last_hidden_state.shape[1]
    assert ours["flops_per_image"] == flops


def test_the_operations_of_a_decoder_are_those_torch_counts(capstan, tmp_path):
    encoder = ViTConfig(**SHAPES["tiny"]["encoder"])
    decoder = GPT2Config(**SHAPES["tiny"]["decoder"], vocab_size=300, is_decoder=True, add_cross_attention=True,
                         bos_token_id=0, eos_token_id=0)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id = config.eos_token_id = config.pad_token_id = 0
    whole = VisionEncoderDecoderModel(config).eval()
    whole.save_pretrained(tmp_path / "model")
    ours = facts(capstan, tmp_path / "model")
    tokens = ours["encoder"]["tokens"]
    model = whole.decoder
    model.set_attn_implementation("eager")
    projection, hidden = counted(lambda: whole.enc_to_dec_proj(torch.zeros(1, tokens, encoder.hidden_size)))
    assert ours["decoder"]["projection_flops_per_image"] == projection

    def step(past=None):
        return model(torch.zeros(1, 1, dtype=torch.long), encoder_hidden_states=hidden, past_key_values=past,
                     use_cache=True)

    per_token = ours["decoder"]["flops_per_token"] + ours["decoder"]["lm_head_flops_per_token"]
    slope = ours["decoder"]["flops_per_token_and_position"]
    first, result = counted(step)
    assert first == ours["decoder"]["cross_flops_per_image"] + per_token + slope
    for length in (2, 3, 4):
        flops, result = counted(lambda: step(result.past_key_values))
        assert flops == per_token + slope * length


def test_a_decoder_alone_is_described(capstan, tmp_path):
    model = GPT2LMHeadModel(GPT2Config(**SIZES["decoder"], vocab_size=300, attn_implementation="eager")).eval()
    model.save_pretrained(tmp_path / "model")
    ours = facts(capstan, tmp_path / "model")["decoder"]
    flops, _ = counted(lambda: model(torch.zeros(1, 1, dtype=torch.long)))
    assert flops == ours["flops_per_token"] + ours["flops_per_token_and_position"] + ours["lm_head_flops_per_token"]
    text = capstan("inspect", tmp_path / "model", check=True).stdout
    assert "lm_head, per token" in text and "KV cache of one text of 64 tokens" in text
    numbers = sum(tensor.numel() for tensor in model.parameters())
    assert f"{numbers:,}" in text


@pytest.mark.parametrize("family", ["vit", "siglip"])
def test_memory_is_that_of_the_tensors(capstan, tmp_path, family):
    model = ENCODERS[family]().to(torch.bfloat16)
    model.save_pretrained(tmp_path / "model")
    listed = facts(capstan, tmp_path / "model")["parameters"]
    assert sum(entry["bytes"] for entry in listed) == sum(2 * tensor.numel() for tensor in model.parameters())
    assert {entry["dtype"] for entry in listed} == {"bfloat16"}
