"""Adapters against peft: the same logits and gradients, files in both directions, merged and unmerged."""

import json
import subprocess

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
from captioners import randomize  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

TOLERANCE = 1e-5  # of logits, absolute
GRADIENTS = 1e-5  # of gradients, relative to the largest of each tensor
DECODER = dict(
    vocab_size=97, n_positions=32, n_embd=48, n_layer=2, n_head=4, add_cross_attention=True, is_decoder=True,
    bos_token_id=96, eos_token_id=96,
)
SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8
)
ENCODERS = {
    "vit": lambda: transformers.ViTConfig(**SIZES),
    "deit": lambda: transformers.DeiTConfig(**SIZES),
    "siglip": lambda: transformers.SiglipVisionConfig(**SIZES),
}
# Names of transformers 5 and of published weights; ours accepts both, peft the former.
CASES = {
    "attention": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "c_attn", "q_attn"]),
    "every linear layer": dict(r=2, lora_alpha=3, target_modules="all-linear"),
    "regular expression": dict(
        r=3, lora_alpha=6, target_modules=r"decoder\.transformer\.h\.\d+\.(cross)?attn?(ention)?\.c_(attn|proj)"
    ),
    "rank-stabilised, modules saved whole": dict(
        r=4, lora_alpha=8, use_rslora=True, target_modules=["c_attn", "fc1"],
        modules_to_save=["enc_to_dec_proj", "ln_cross_attn"],
    ),
    "some excluded": dict(r=4, lora_alpha=8, target_modules=["c_proj", "fc2"], exclude_modules=["mlp.c_proj"]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folders = {}
    for name, encoder in ENCODERS.items():
        config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            encoder(), transformers.GPT2Config(**DECODER)
        )
        config.decoder_start_token_id = config.pad_token_id = config.eos_token_id = 96
        model = transformers.VisionEncoderDecoderModel(config)
        randomize(model, 0.15, seed=1)
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 96, (3, 7), generator=generator)
    labels[0, 5:] = -100
    tensors = {"pixel_values": torch.randn(3, 3, 32, 32, generator=generator), "labels": labels}
    path = tmp_path_factory.mktemp("inputs") / "in.safetensors"
    save_file(tensors, path)
    return path, tensors


def run(probe, *arguments):
    result = subprocess.run([str(probe), *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


def base(folder):
    return transformers.VisionEncoderDecoderModel.from_pretrained(folder)


def published(name):
    """The name that our parameter has for a parameter of a peft model."""
    name = name.removeprefix("base_model.model.").replace(".default", "").replace(".modules_to_save", "")
    if name.startswith(("encoder.encoder.", "encoder.head.", "encoder.post_layernorm.")):  # SigLIP
        return name.replace("encoder.", "encoder.vision_model.", 1)
    if not name.startswith("encoder.layers."):
        return name
    name = "encoder.encoder.layer." + name.removeprefix("encoder.layers.")
    for module, file in {
        "attention.q_proj": "attention.attention.query", "attention.k_proj": "attention.attention.key",
        "attention.v_proj": "attention.attention.value", "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
    }.items():
        name = name.replace(module, file)
    return name


def compare(label, ours, model, tensors, frozen):
    """Logits, loss, merged logits and the gradients of what peft trains against the probe's figures.

    `frozen` says that ours trains the same and nothing else; load_adapter alone leaves the base trainable.
    """
    model.eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or "modules_to_save" in name)
    output = model(**tensors)
    output.loss.backward()
    worst = {key: (ours[key] - output.logits).abs().max().item() for key in ("logits", "merged_logits")}
    assert torch.equal(ours["logits"], ours["unmerged_logits"])
    assert max(worst.values()) <= TOLERANCE
    assert abs(ours["loss"].item() - output.loss.item()) <= TOLERANCE

    expected = {published(n): p.grad for n, p in model.named_parameters() if p.grad is not None}
    found = {name.removeprefix("grad."): value for name, value in ours.items() if name.startswith("grad.")}
    assert expected.keys() == found.keys() if frozen else expected.keys() < found.keys()
    ratio = max((found[n] - g).abs().max().item() / max(g.abs().max().item(), 1e-6) for n, g in expected.items())
    print(f"{label}: logits {worst['logits']:.1e}, merged {worst['merged_logits']:.1e}, gradients {ratio:.1e}")
    assert ratio <= GRADIENTS


def peft_adapter(folder, options, path):
    """An adapter that peft made, every value of it drawn."""
    settings = {"fan_in_fan_out": True} | options
    model = peft.get_peft_model(base(folder), peft.LoraConfig(**settings))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(path)
    return model


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_adapter_of_peft_opens_with_the_same_figures(case, encoder, models, inputs, probe, tmp_path):
    model = peft_adapter(models[encoder], CASES[case], tmp_path / "adapter")
    run(probe, "lora-load", models[encoder], tmp_path / "adapter", inputs[0], tmp_path / "out.safetensors")
    ours = load_file(tmp_path / "out.safetensors")
    compare(f"peft to capstan, {encoder}, {case}", ours, model, inputs[1], frozen=False)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_adapter_of_capstan_opens_in_peft_with_the_same_figures(case, encoder, models, inputs, probe, tmp_path):
    options = dict(CASES[case])
    if isinstance(options["target_modules"], str):
        options["target_modules"] = [options["target_modules"]]
    (tmp_path / "options.json").write_text(json.dumps(options))
    run(
        probe, "lora-make", models[encoder], tmp_path / "options.json", tmp_path / "adapter", inputs[0],
        tmp_path / "out.safetensors",
    )  # fmt: skip
    model = peft.PeftModel.from_pretrained(base(models[encoder]), tmp_path / "adapter", is_trainable=True)
    saved = load_file(tmp_path / "adapter/adapter_model.safetensors")
    state = peft.get_peft_model_state_dict(model)
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[name], state[name]) for name in saved)
    ours = load_file(tmp_path / "out.safetensors")
    compare(f"capstan to peft, {encoder}, {case}", ours, model, inputs[1], frozen=True)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("case", ["attention", "rank-stabilised, modules saved whole", "some excluded"])
@pytest.mark.filterwarnings("ignore")
def test_the_same_layers_are_chosen_as_by_peft(case, encoder, models, inputs, probe, tmp_path):
    peft_adapter(models[encoder], CASES[case], tmp_path / "theirs")
    (tmp_path / "options.json").write_text(json.dumps(CASES[case]))
    run(
        probe, "lora-make", models[encoder], tmp_path / "options.json", tmp_path / "ours", inputs[0],
        tmp_path / "out.safetensors",
    )  # fmt: skip
    theirs = load_file(tmp_path / "theirs/adapter_model.safetensors")
    ours = load_file(tmp_path / "ours/adapter_model.safetensors")
    unused = ("base_model.model.encoder.pooler.", "base_model.model.encoder.head.")
    shapes = {name: tensor.shape for name, tensor in theirs.items() if not name.startswith(unused)}
    assert shapes == {name: tensor.shape for name, tensor in ours.items()}


@pytest.mark.parametrize(
    ("encoder", "old"), [("vit", ".attention.query."), ("deit", ".attention.query."), ("siglip", ".vision_model.head.")]
)
@pytest.mark.filterwarnings("ignore")
def test_adapter_with_the_names_of_transformers_4_opens(encoder, old, models, inputs, probe, tmp_path):
    options = CASES["every linear layer"] | {"modules_to_save": ["enc_to_dec_proj", "layernorm", "post_layernorm"]}
    model = peft_adapter(models[encoder], options, tmp_path / "adapter")
    file = tmp_path / "adapter/adapter_model.safetensors"
    renamed = {"base_model.model." + published(name): tensor for name, tensor in load_file(file).items()}
    assert any(old in name for name in renamed)
    save_file(renamed, file)
    run(probe, "lora-load", models[encoder], tmp_path / "adapter", inputs[0], tmp_path / "out.safetensors")
    ours = load_file(tmp_path / "out.safetensors")
    compare(f"names of transformers 4, {encoder}", ours, model, inputs[1], frozen=False)


@pytest.mark.filterwarnings("ignore")
def test_fresh_a_is_spread_as_by_peft(models, inputs, probe, tmp_path):
    (tmp_path / "options.json").write_text(json.dumps({"r": 16, "target_modules": ["all-linear"]}))
    run(
        probe, "lora-make", models["vit"], tmp_path / "options.json", tmp_path / "ours", inputs[0],
        tmp_path / "out.safetensors",
    )  # fmt: skip
    ours = load_file(tmp_path / "ours/adapter_model.safetensors")
    model = peft.get_peft_model(
        base(models["vit"]), peft.LoraConfig(r=16, target_modules="all-linear", fan_in_fan_out=True)
    )
    theirs = peft.get_peft_model_state_dict(model)
    for width in (32, 48, 64):
        drawn = [
            torch.cat([t.flatten() for n, t in tensors.items() if "lora_A" in n and t.shape[1] == width])
            for tensors in (ours, theirs)
        ]
        limit = width**-0.5
        for values in drawn:
            assert values.abs().max() <= limit and values.abs().max() > 0.95 * limit
            assert values.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)
            assert values.mean().item() == pytest.approx(0, abs=0.1 * limit)


def test_adapter_that_is_more_than_lora_is_refused(models, inputs, probe, tmp_path):
    peft_adapter(models["vit"], CASES["attention"] | {"use_dora": True}, tmp_path / "adapter")
    result = subprocess.run(
        [str(w) for w in (probe, "lora-load", models["vit"], tmp_path / "adapter", inputs[0], tmp_path / "o")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 1
    assert "use_dora is true; only plain LoRA is supported" in result.stderr
