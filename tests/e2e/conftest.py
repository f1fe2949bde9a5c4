"""One small data set, cache, run and export for the tests that only read them."""

import pytest
import tiny


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return tiny.write_dataset(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def cache(capstan, dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepare")
    capstan(
        "prepare", tiny.write_yaml(folder / "prepare.yaml", tiny.prepare_yaml(dataset, folder / "cache")), check=True
    )
    return folder / "cache"


@pytest.fixture(scope="session")
def run(capstan, cache, tmp_path_factory):
    """A finished run of 120 steps, enough for different captions of different pictures."""
    folder = tmp_path_factory.mktemp("train")
    config = tiny.write_yaml(
        folder / "train.yaml",
        tiny.train_yaml(cache, folder / "run", max_steps=120, save_steps=60, eval_strategy="steps", eval_steps=60),
    )
    capstan("train", config, check=True)
    return folder / "run"


@pytest.fixture(scope="session")
def exported(capstan, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    capstan("export", run, f"output={folder}", "formats=[huggingface,torchscript,onnx]", check=True)
    return folder
