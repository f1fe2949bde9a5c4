"""The program's manners: help, version, exit codes, and what it says to wrong input."""

import json
import shutil

import pytest
import tiny

COMMANDS = ("prepare", "train", "evaluate", "caption", "export", "score", "tokenize", "inspect", "compare", "report",
            "list", "document")  # fmt: skip


def assert_empty(folder):
    """Nothing of a refused preparation stays behind; the folder itself may."""
    assert not folder.exists() or not any(folder.iterdir())


def assert_refused(result, code, *words):
    """The exit code, one line of error, and every word a reader needs in it."""
    text = result.stdout + result.stderr
    assert result.returncode == code, text
    for word in words:
        assert str(word) in text, f"'{word}' is not in:\n{text}"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(capstan, command):
    result = capstan(command, "--help", check=True)
    assert "Example" in result.stdout
    assert f"capstan {command}" in result.stdout


def test_help_names_every_command(capstan):
    result = capstan("--help", check=True)
    for command in COMMANDS:
        assert f"  {command} " in result.stdout


def test_version_names_program_and_libtorch(capstan):
    result = capstan("--version", check=True)
    assert result.stdout.startswith("capstan 0.1.0 (LibTorch 2.1")


def test_list_names_the_plug_ins(capstan):
    output = capstan("list", check=True).stdout
    for name in ("coco", "scenes", "rouge", "adamw", "cosine", "linear", "huggingface", "torchscript", "onnx"):
        assert f"\n  {name} " in output, name


def test_document_is_what_the_repository_holds(capstan, repo):
    assert (
        capstan("document", check=True).stdout == (repo / "docs/configuration.md").read_text()
    ), "docs/configuration.md is out of date; run: capstan document docs/configuration.md"


def test_no_command_is_a_usage_error(capstan):
    assert_refused(capstan(), 2)


def test_unknown_command_is_a_usage_error(capstan):
    assert_refused(capstan("tran"), 2)


def test_missing_arguments_are_a_usage_error(capstan):
    assert_refused(capstan("caption", "only-a-model"), 2, "MODEL_DIR IMAGE", "capstan caption --help")


def test_missing_configuration_file_is_named(capstan, tmp_path):
    assert_refused(capstan("train", tmp_path / "none.yaml"), 2, tmp_path / "none.yaml")


def test_dump_config_shows_overrides_and_runs_nothing(capstan, cache, tmp_path):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(cache, tmp_path / "run"))
    result = capstan("train", config, "train.learning_rate=0.125", "--dump-config", check=True)
    assert "learning_rate: 0.125" in result.stdout
    assert not (tmp_path / "run").exists()


def test_dry_run_writes_nothing(capstan, cache, dataset, tmp_path):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(cache, tmp_path / "run"))
    capstan("train", config, "--dry-run", check=True)
    assert not (tmp_path / "run").exists()
    config = tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache"))
    capstan("prepare", config, "--dry-run", check=True)
    assert not (tmp_path / "cache").exists()


def test_unknown_keys_and_wrong_values_are_reported_together(capstan, cache, tmp_path):
    document = tiny.train_yaml(cache, tmp_path / "run", learning_rat=0.1, max_steps="many", adam_beta1=7)
    config = tiny.write_yaml(tmp_path / "train.yaml", document)
    lines = config.read_text().splitlines()
    result = capstan("train", config)
    assert_refused(result, 2)
    text = result.stdout + result.stderr
    for key, words in {
        "learning_rat": ("learning_rate",),
        "max_steps": ("many", "integer"),
        "adam_beta1": ("7", "1"),
    }.items():
        number = next(i for i, line in enumerate(lines, 1) if f'"{key}"' in line)
        message = next((line for line in text.splitlines() if f"train.yaml:{number}" in line), None)
        assert message, f"no message for line {number} ({key}) in:\n{text}"
        for word in (key, *words):
            assert word in message


def test_unknown_key_of_a_source_is_named(capstan, dataset, tmp_path):
    document = tiny.prepare_yaml(dataset, tmp_path / "cache")
    document["sources"][0]["config"]["train_image"] = "x"
    result = capstan("prepare", tiny.write_yaml(tmp_path / "prepare.yaml", document))
    assert_refused(result, 2, "train_image", "train_images", "prepare.yaml:")


def test_unknown_override_is_refused(capstan, tmp_path):
    assert_refused(
        capstan("train", "train.learning_rat=1", f"output={tmp_path}/run"), 2, "learning_rat", "learning_rate"
    )


def test_wrong_type_of_an_override_is_refused(capstan, tmp_path):
    assert_refused(capstan("train", "train.bf16=perhaps", f"output={tmp_path}/run"), 2, "train.bf16", "perhaps")


def test_missing_image_folder_is_named(capstan, dataset, tmp_path):
    document = tiny.prepare_yaml(dataset, tmp_path / "cache")
    document["sources"][0]["config"]["train_images"] = str(tmp_path / "nowhere")
    result = capstan("prepare", tiny.write_yaml(tmp_path / "prepare.yaml", document))
    assert_refused(result, 1, tmp_path / "nowhere")
    assert_empty(tmp_path / "cache")


def test_broken_json_is_named(capstan, dataset, tmp_path):
    copy = tmp_path / "pictures"
    shutil.copytree(dataset, copy)
    annotations = copy / "annotations/captions_train.json"
    annotations.write_text(annotations.read_text()[:-40])
    result = capstan("prepare", tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(copy, tmp_path / "cache")))
    assert_refused(result, 1, annotations)


def test_empty_data_set_is_refused(capstan, tmp_path):
    dataset = tiny.write_dataset(tmp_path / "pictures", train=0, validation=0)
    result = capstan(
        "prepare", tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache"))
    )
    assert_refused(result, 1)
    assert_empty(tmp_path / "cache")


def test_corrupt_jpeg_goes_to_the_ledger(capstan, tmp_path):
    dataset = tiny.write_dataset(tmp_path / "pictures")
    (dataset / "train/000003.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    config = tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache"))
    capstan("prepare", config, check=True)
    entries = [json.loads(line) for line in (tmp_path / "cache/errors.jsonl").read_text().splitlines()]
    assert len(entries) == 1
    assert "000003.jpg" in entries[0]["file"]
    assert entries[0]["reason"]


def test_corrupt_jpeg_does_not_keep_others_from_their_captions(capstan, run, dataset, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    good = dataset / "validation/000001.jpg"
    result = capstan("caption", run, bad, good)
    assert_refused(result, 1, bad)
    assert result.stdout.startswith(f"{good}\t")


def test_too_many_errors_stop_the_preparation(capstan, tmp_path):
    dataset = tiny.write_dataset(tmp_path / "pictures")
    for name in ("000003.jpg", "000005.jpg"):
        (dataset / "train" / name).write_bytes(b"nothing")
    config = tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache", max_errors=1))
    assert_refused(capstan("prepare", config), 1, "max_errors")
    assert not (tmp_path / "cache/manifest.json").exists()
    capstan("prepare", config, "max_errors=2", check=True)  # goes on with what was finished
    assert len((tmp_path / "cache/errors.jsonl").read_text().splitlines()) == 2


def test_output_that_holds_something_is_kept(capstan, dataset, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/thesis.txt").write_text("mine")
    config = tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache"))
    assert_refused(capstan("prepare", config), 1, tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["thesis.txt"]


def test_export_into_a_folder_that_holds_something_is_refused(capstan, run, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert_refused(capstan("export", run, f"output={tmp_path}"), 1, tmp_path, "overwrite")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_truncated_shard_is_named(capstan, cache, tmp_path):
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    shard = max(copy.rglob("*.h5"), key=lambda file: file.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-1000])
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(copy, tmp_path / "run"))
    assert_refused(capstan("train", config), 1, shard.name)


def test_folder_that_is_no_cache_is_refused(capstan, tmp_path):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(tmp_path, tmp_path / "run"))
    assert_refused(capstan("train", config), 1, tmp_path, "capstan prepare")


@pytest.mark.parametrize("name", ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"))
def test_checkpoint_that_misses_a_file_is_refused(capstan, run, dataset, tmp_path, name):
    copy = tmp_path / "model"
    shutil.copytree(tiny.checkpoint(run, 120), copy)
    (copy / name).unlink()
    if name == "tokenizer.json":  # the older pair of files would do as well
        for other in ("vocab.json", "merges.txt"):
            (copy / other).unlink(missing_ok=True)
    assert_refused(capstan("caption", copy, dataset / "validation/000001.jpg"), 1, copy, name)


def test_safetensors_with_lying_offsets_are_refused(capstan, run, dataset, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(tiny.checkpoint(run, 120), copy)
    file = copy / "model.safetensors"
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    name = next(key for key in header if key != "__metadata__")
    header[name]["data_offsets"][1] += 1 << 40
    text = json.dumps(header, separators=(",", ":")).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    assert_refused(capstan("caption", copy, dataset / "validation/000001.jpg"), 1, file, name)


def test_run_without_a_checkpoint_is_refused(capstan, dataset, tmp_path):
    assert_refused(capstan("caption", tmp_path, dataset / "validation/000001.jpg"), 1, tmp_path)


def test_inspect_explains_every_kind_of_output(capstan, cache, run, exported):
    shard = next(cache.rglob("*.h5"))
    for path in (cache, shard, run, tiny.checkpoint(run, 120), exported):
        assert len(capstan("inspect", path, check=True).stdout.splitlines()) >= 2
    assert_refused(capstan("inspect", run / "nothing"), 1, run / "nothing")
