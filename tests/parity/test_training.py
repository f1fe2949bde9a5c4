"""Loss curves of our update against transformers + torch.optim.AdamW on the same batches (fp32, no dropout)."""
import json
import subprocess

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

TOLERANCE = 1e-4  # relative, at every step
STEPS = 50


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    torch.manual_seed(0)
    encoder = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    decoder = transformers.GPT2Config(
        vocab_size=97, n_positions=32, n_embd=48, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        add_cross_attention=True, is_decoder=True, bos_token_id=96, eos_token_id=96,
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id = config.pad_token_id = config.eos_token_id = 96
    directory = tmp_path_factory.mktemp("model")
    transformers.VisionEncoderDecoderModel(config).save_pretrained(directory)
    return directory


def make_batches(count):
    """Micro-batches of captions of uneven length, so that a mean of means would be wrong."""
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for n in range(count):
        labels = torch.full((4, 3 + n % 5), -100)
        for row in range(4):
            length = 1 + (n + 2 * row) % (labels.shape[1] - 1)
            labels[row, :length] = torch.randint(0, 96, (length,), generator=generator)
            labels[row, length] = 96
        tensors[f"labels.{n}"] = labels
        tensors[f"pixels.{n}"] = torch.randint(0, 256, (4, 32, 32, 3), generator=generator, dtype=torch.uint8)
    return tensors


def reference_curve(model, batches, options):
    """The loop of Hugging Face's Trainer: decay groups, schedule, clipping, loss over all tokens of an update."""
    model.train()
    decay = set(transformers.Trainer.get_decay_parameter_names(None, model))
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if n in decay], "weight_decay": options["weight_decay"]},
        {"params": [p for n, p in named if n not in decay], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=options["learning_rate"], betas=(0.9, 0.999), eps=1e-8)
    schedule = transformers.get_scheduler(
        options["lr_scheduler_type"], optimizer, num_warmup_steps=options["warmup_steps"], num_training_steps=STEPS
    )
    accumulation = options["gradient_accumulation_steps"]
    curve = []
    for step in range(STEPS):
        micro = range(step * accumulation, (step + 1) * accumulation)
        tokens = sum(int((batches[f"labels.{n}"] != -100).sum()) for n in micro)
        total = 0.0
        for n in micro:
            labels = batches[f"labels.{n}"]
            pixels = (batches[f"pixels.{n}"].permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
            output = model(pixel_values=pixels, labels=labels)
            loss = output.loss * int((labels != -100).sum()) / tokens
            if options["label_smoothing_factor"]:
                loss = torch.nn.functional.cross_entropy(
                    output.logits.flatten(0, 1), labels.flatten(), reduction="sum",
                    label_smoothing=options["label_smoothing_factor"],
                ) / tokens
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options["max_grad_norm"])
        curve.append({"loss": total, "grad_norm": norm.item(), "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return curve


CASES = {
    "plain": {},
    "accumulation": {"gradient_accumulation_steps": 4},
    "cosine, clipping and smoothing": {
        "lr_scheduler_type": "cosine", "max_grad_norm": 0.3, "label_smoothing_factor": 0.1, "warmup_steps": 0,
    },
    "recomputed blocks": {"gradient_checkpointing": True},
    "frozen encoder": {"freeze": ["encoder"]},
}


def run_probe(probe, tmp_path, model_dir, batches, options, *adapter):
    save_file(batches, tmp_path / "batches.safetensors")
    (tmp_path / "options.json").write_text(json.dumps(options))
    arguments = [probe, "train", model_dir]
    arguments += [tmp_path / "batches.safetensors", tmp_path / "options.json", tmp_path / "out", *adapter]
    result = subprocess.run([str(word) for word in arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "out/steps.json").read_text())


def compare_curves(case, found, expected):
    assert len(found) == STEPS
    assert expected[-1]["loss"] < 0.99 * expected[0]["loss"]
    worst = max(abs(f["loss"] - e["loss"]) / e["loss"] for f, e in zip(found, expected))
    print(f"{case}: worst relative difference of the loss over {STEPS} steps {worst:.2e}")
    assert worst <= TOLERANCE
    for f, e in zip(found, expected):
        assert f["learning_rate"] == pytest.approx(e["learning_rate"], rel=1e-9, abs=1e-15)
        assert f["grad_norm"] == pytest.approx(e["grad_norm"], rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_loss_curve_equals_transformers(case, model_dir, probe, tmp_path):
    options = {
        "learning_rate": 3e-3, "lr_scheduler_type": "linear", "warmup_steps": 4, "weight_decay": 0.1,
        "gradient_accumulation_steps": 1, "max_grad_norm": 1.0, "label_smoothing_factor": 0.0,
    } | CASES[case]
    batches = make_batches(STEPS * options["gradient_accumulation_steps"])
    found = run_probe(probe, tmp_path, model_dir, batches, options)
    model = transformers.VisionEncoderDecoderModel.from_pretrained(model_dir)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(name.startswith(part) for part in options.get("freeze", [])))
    compare_curves(case, found, reference_curve(model, batches, options))

    ours = load_file(tmp_path / "out/model.safetensors")
    model.save_pretrained(tmp_path / "reference")
    theirs = load_file(tmp_path / "reference/model.safetensors")
    assert ours.keys() == theirs.keys()
    # Key biases have no gradient but rounding, which AdamW turns into steps of the full rate: hence the wide bound.
    for name, weight in theirs.items():
        assert torch.allclose(ours[name], weight, rtol=0, atol=2e-3), name


@pytest.mark.filterwarnings("ignore")
def test_loss_curve_of_an_adapter_equals_peft(model_dir, probe, tmp_path):
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(
        r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "c_attn", "c_fc"], modules_to_save=["enc_to_dec_proj"],
        fan_in_fan_out=True,
    )  # fmt: skip
    torch.manual_seed(4)
    base = transformers.VisionEncoderDecoderModel.from_pretrained(model_dir)
    model = peft.get_peft_model(base, settings)
    model.save_pretrained(tmp_path / "adapter")
    options = {
        "learning_rate": 1e-2, "lr_scheduler_type": "linear", "warmup_steps": 4, "weight_decay": 0.1,
        "gradient_accumulation_steps": 1, "max_grad_norm": 1.0, "label_smoothing_factor": 0.0,
    }
    batches = make_batches(STEPS)
    ours_too = options | {"unfreeze": ["enc_to_dec_proj"]}
    found = run_probe(probe, tmp_path, model_dir, batches, ours_too, tmp_path / "adapter")
    compare_curves("adapter", found, reference_curve(model, batches, options))
    merged = model.merge_and_unload()
    merged.save_pretrained(tmp_path / "reference")
    ours, theirs = load_file(tmp_path / "out/model.safetensors"), load_file(tmp_path / "reference/model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], weight, rtol=0, atol=2e-3) for name, weight in theirs.items())
