"""capstan fetch against a server that plays the endpoint, its content network, and everything that goes wrong."""

import hashlib
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import zipfile

import hub_server
import pytest
from hub_server import Fault

NAME = "someone/tiny-vit"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def noise(size, seed=0):
    return random.Random(seed).randbytes(size)


def model_files(weights=300_000):
    return {
        "README.md": b"# read me",
        "config.json": b'{"model_type": "vit"}',
        "preprocessor_config.json": b"{}",
        "model.safetensors": noise(weights),
        "pytorch_model.bin": noise(weights, 1),
        "flax_model.msgpack": noise(weights, 2),
        "onnx/model.onnx": noise(weights, 3),
    }


@pytest.fixture
def hub():
    with hub_server.running() as server:
        yield server


@pytest.fixture
def environment(hub, tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def fetch(capstan, environment):
    """fetch("name", "key=value", env={...}): the finished process; pauses are short."""

    def run(*arguments, env=None):
        return capstan("fetch", *arguments, "retry_seconds=0.01", env={**environment, **(env or {})}, timeout=120)

    return run


def folder_of(result):
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.stdout
    return pathlib.Path(lines[0])


def assert_refused(result, *words, code=1):
    text = result.stdout + result.stderr
    assert result.returncode == code, text
    for word in words:
        assert str(word) in text, f"'{word}' is not in:\n{text}"


def parts(folder):
    return [path for path in folder.rglob("*.incomplete*")]


# ---- models


def test_a_folder_gets_what_capstan_needs_and_nothing_else(hub, fetch, tmp_path):
    files = model_files()
    hub.model(NAME, files)
    folder = folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert folder == tmp_path / "vit"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    for path in folder.iterdir():
        assert path.read_bytes() == files[path.name]


def test_pickled_weights_only_without_safetensors(hub, fetch, tmp_path):
    files = model_files()
    del files["model.safetensors"]
    hub.model(NAME, files)
    folder = folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert (folder / "pytorch_model.bin").read_bytes() == files["pytorch_model.bin"]


def test_include_and_exclude_take_patterns(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    folder = folder_of(fetch(NAME, f"to={tmp_path}/a", "include=*.md,onnx/", "exclude=*.bin"))
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "README.md",
        "onnx/model.onnx",
    ]
    misspelt = fetch(NAME, f"to={tmp_path}/b", "include=modle.safetensors")
    assert_refused(misspelt, "modle.safetensors", "model.safetensors")


def test_shards_come_side_by_side(hub, fetch, tmp_path):
    shards = {f"model-{i:05}-of-00006.safetensors": noise(200_000, i) for i in range(1, 7)}
    index = {"weight_map": {f"w{i}": name for i, name in enumerate(shards)}}
    hub.model(NAME, {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(), **shards})
    hub.faults.append(Fault("/cdn/", times=6, pace=0.05))
    folder = folder_of(fetch(NAME, f"to={tmp_path}/vit", "connections=3"))
    for name, data in shards.items():
        assert (folder / name).read_bytes() == data
    assert hub.most_active == 3


def test_the_page_of_a_model_is_as_good_as_its_name(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    folder_of(fetch(f"{hub.endpoint}/{NAME}", f"to={tmp_path}/vit"))


def test_data_set_repositories_come_whole(hub, fetch, tmp_path):
    hub.repos["dataset", "someone/pictures"] = hub_server.Repo({"data/a.parquet": noise(9000), "README.md": b"x"})
    folder = folder_of(fetch("datasets/someone/pictures"))
    assert folder.parts[-3] == "datasets--someone--pictures"
    assert (folder / "data/a.parquet").read_bytes() == noise(9000)


def test_files_that_differ_are_not_replaced_unasked(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit/config.json").write_text("mine")
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "config.json", "overwrite=true")
    assert (tmp_path / "vit/config.json").read_text() == "mine"
    folder_of(fetch(NAME, f"to={tmp_path}/vit", "overwrite=true"))
    assert (tmp_path / "vit/config.json").read_bytes() == model_files()["config.json"]
    hub.forget()
    folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert not hub.asked(match="/resolve/"), "equal files are not fetched again"


# ---- the cache, shared with huggingface_hub


def python(code, env):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_cache_has_the_layout_of_the_hub(hub, fetch, environment, tmp_path):
    files = model_files()
    repo = hub.model(NAME, files)
    folder = folder_of(fetch(NAME))
    base = tmp_path / "home/hub/models--someone--tiny-vit"
    assert folder == base / "snapshots" / repo.commit
    assert (base / "refs/main").read_text() == repo.commit
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert os.readlink(folder / "model.safetensors") == f"../../blobs/{digest}"
    assert os.readlink(folder / "config.json") == f"../../blobs/{hub_server.git_name(files['config.json'])}"
    assert not parts(base)
    code = f"""
import huggingface_hub as h
print(h.hf_hub_download({NAME!r}, "model.safetensors"))
info = h.scan_cache_dir()
assert not info.warnings, info.warnings
assert [r.repo_id for r in info.repos] == [{NAME!r}]
"""
    assert python(code, environment | OFFLINE) == str(folder / "model.safetensors")


def test_what_is_there_is_not_fetched_again(hub, fetch):
    files = model_files()
    hub.model(NAME, files)
    first = folder_of(fetch(NAME))
    hub.forget()
    assert folder_of(fetch(NAME)) == first
    assert not hub.asked(match="/resolve/")
    hub.model(NAME, {**files, "config.json": b'{"changed": true}'})
    second = folder_of(fetch(NAME))
    assert second != first and (second / "config.json").read_bytes() == b'{"changed": true}'
    assert len(hub.asked(match="/resolve/")) == 1, "unchanged files of the new commit are linked"


def test_files_of_huggingface_hub_are_reused(hub, fetch, environment):
    hub.model(NAME, model_files())
    code = f'import huggingface_hub as h; print(h.hf_hub_download({NAME!r}, "model.safetensors"))'
    path = python(code, environment)
    hub.forget()
    folder = folder_of(fetch(NAME))
    assert str(folder / "model.safetensors") == path
    assert not hub.asked(match="model.safetensors")


def test_transformers_opens_the_model_by_name(hub, fetch, environment, tmp_path):
    code = f"""
import torch, transformers
torch.manual_seed(0)
config = transformers.GPT2Config(vocab_size=97, n_positions=16, n_embd=32, n_layer=2, n_head=2)
transformers.GPT2LMHeadModel(config).save_pretrained({str(tmp_path / 'made')!r})
"""
    python(code, {})
    made = tmp_path / "made"
    hub.model(NAME, {path.name: path.read_bytes() for path in made.iterdir()})
    folder = folder_of(fetch(NAME))
    code = f"""
import torch, transformers
ours = transformers.AutoModelForCausalLM.from_pretrained({NAME!r})
theirs = transformers.AutoModelForCausalLM.from_pretrained({str(made)!r})
for (name, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items()):
    assert torch.equal(a, b), name
print("same", len(ours.state_dict()))
"""
    assert python(code, environment | OFFLINE).startswith("same")
    assert (folder / "model.safetensors").exists()


def test_offline_gives_what_is_there(hub, fetch):
    hub.model(NAME, model_files())
    assert_refused(fetch(NAME, env=OFFLINE), "HF_HUB_OFFLINE")
    folder = folder_of(fetch(NAME))
    hub.forget()
    assert folder_of(fetch(NAME, env=OFFLINE)) == folder
    assert not hub.requests


def test_cache_variables(hub, fetch, environment, tmp_path):
    hub.model(NAME, model_files())
    folder = folder_of(fetch(NAME, env={"HF_HUB_CACHE": str(tmp_path / "elsewhere")}))
    assert folder.is_relative_to(tmp_path / "elsewhere/models--someone--tiny-vit")


def test_a_list_without_checksums_is_completed_by_asking(hub, fetch):
    files = model_files()
    hub.model(NAME, files, blobs=False)
    folder = folder_of(fetch(NAME))
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert os.readlink(folder / "model.safetensors").endswith(digest)
    assert {request[1] for request in hub.asked("hub", "/resolve/")} == {"HEAD", "GET"}
    hub.model("someone/other", files, blobs=False)
    hub.faults.append(Fault("/cdn/", change=lambda data: data[:-1] + b"?"))
    assert_refused(fetch("someone/other", f"to={folder}/../other"), digest)


# ---- cut connections, servers with moods


def ranges(hub, role="cdn"):
    return [request[3].get("Range") for request in hub.asked(role)]


def test_a_cut_connection_is_taken_up_where_it_ended(hub, fetch, tmp_path):
    files = model_files(1_000_000)
    hub.model(NAME, files)
    hub.faults += [Fault("/cdn/", cut=300_000), Fault("/cdn/", cut=200_000), Fault("/cdn/", cut=0)]
    result = fetch(NAME, f"to={tmp_path}/vit")
    assert (folder_of(result) / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert ranges(hub) == [None, "bytes=300000-", "bytes=500000-", "bytes=500000-"]
    assert all("If-Range" in request[3] for request in hub.asked("cdn")[1:])
    assert "going on at" in result.stderr


def test_small_files_are_taken_up_too(hub, fetch, tmp_path):
    hub.model(NAME, {**model_files(), "config.json": b" " * 4000})
    hub.faults.append(Fault("/config.json", cut=1000))
    folder = folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert (folder / "config.json").read_bytes() == b" " * 4000
    assert "bytes=1000-" in ranges(hub, "hub")


def test_a_server_without_ranges_starts_again(hub, fetch, tmp_path):
    files = model_files(1_000_000)
    hub.model(NAME, files)
    hub.faults += [Fault("/cdn/", cut=300_000), Fault("/cdn/", ignore_range=True)]
    folder = folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert ranges(hub) == [None, "bytes=300000-"]


def test_always_cut_is_given_up_in_the_end_and_kept(hub, fetch, tmp_path):
    hub.model(NAME, model_files(1_000_000))
    hub.faults += [Fault("/cdn/", cut=400_000), Fault("/cdn/", times=99, cut=0)]
    assert_refused(fetch(NAME, f"to={tmp_path}/vit", "retries=2"), "model.safetensors", "3 tries", "same command")
    assert (tmp_path / "vit/model.safetensors.incomplete").stat().st_size == 400_000
    assert not (tmp_path / "vit/model.safetensors").exists()
    hub.faults.clear()
    hub.forget()
    folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert ranges(hub) == ["bytes=400000-"]


@pytest.mark.parametrize("status", (429, 500, 502, 503, 504))
def test_passing_trouble_is_waited_for(hub, fetch, tmp_path, status):
    hub.model(NAME, model_files())
    hub.faults += [
        Fault("/api/", status=status, headers={"Retry-After": "1"}),
        Fault("/cdn/", status=status, headers={"Retry-After": "1"}),
    ]
    start = time.monotonic()
    folder_of(fetch(NAME, f"to={tmp_path}/vit"))
    assert time.monotonic() - start >= 2, "Retry-After is honoured"


def test_a_far_retry_after_is_said_instead_of_waited_for(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    hub.faults.append(Fault("/api/", status=429, headers={"Retry-After": "7200"}))
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "2 h")


def test_a_silent_connection_counts_as_cut(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    hub.faults.append(Fault("/cdn/", pace=30))
    start = time.monotonic()
    folder_of(fetch(NAME, f"to={tmp_path}/vit", "timeout=1"))
    assert time.monotonic() - start < 20


# ---- wrong bytes


@pytest.mark.parametrize("name, where", (("model.safetensors", "/cdn/"), ("config.json", "config.json")))
def test_a_wrong_checksum_removes_the_file(hub, fetch, tmp_path, name, where):
    files = model_files()
    hub.model(NAME, files)
    wrong = bytes([files[name][0] ^ 1]) + files[name][1:]
    hub.faults.append(Fault(where, change=lambda _: wrong))
    result = fetch(NAME, f"to={tmp_path}/vit", "connections=1")
    digest = (lambda data: hashlib.sha256(data).hexdigest()) if name.startswith("model") else hub_server.git_name
    assert_refused(result, name, digest(files[name]), digest(wrong))
    assert not (tmp_path / "vit" / name).exists()
    assert not (tmp_path / "vit" / f"{name}.incomplete").exists()


def test_wrong_bytes_of_an_earlier_run_are_fetched_again(hub, fetch, tmp_path):
    files = model_files()
    hub.model(NAME, files)
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit/model.safetensors.incomplete").write_bytes(bytes(100_000))
    result = fetch(NAME, f"to={tmp_path}/vit")
    assert (folder_of(result) / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert ranges(hub) == ["bytes=100000-", None]
    assert "earlier run" in result.stderr


@pytest.mark.parametrize("change", (lambda data: data + b"more", lambda data: data[:-10]))
def test_a_file_of_another_size_is_refused(hub, fetch, tmp_path, change):
    hub.model(NAME, model_files())
    hub.faults.append(Fault("/cdn/", times=99, change=change))
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "model.safetensors", "300000")
    assert not (tmp_path / "vit/model.safetensors").exists()


@pytest.mark.parametrize("name", ("../evil", "/etc/evil", "a/../../evil", "a\nb", "a\\b", "", "a//b", "x" * 300))
def test_names_that_lead_elsewhere_are_refused(hub, fetch, tmp_path, name):
    hub.model(NAME, {**model_files(), name: b"evil"})
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "file name")
    assert not (tmp_path / "evil").exists() and not (tmp_path / "vit").exists()


def test_a_server_that_is_no_endpoint_is_named(hub, fetch, environment):
    hub.plain[f"/api/models/{NAME}/revision/main"] = b"<html>hello</html>"
    assert_refused(fetch(NAME), "/api/models/")
    hub.plain[f"/api/models/{NAME}/revision/main"] = b'{"sha": "../../x", "siblings": []}'
    assert_refused(fetch(NAME), "sha")


def test_a_full_disk_is_found_before_the_start(hub, fetch, tmp_path):
    repo = hub.model(NAME, model_files())
    entries = list(repo.siblings())
    for entry in entries:
        if entry["rfilename"] == "model.safetensors":
            entry["lfs"]["size"] = 1 << 60
    repo.siblings = lambda: entries
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "are needed", "are free")
    assert not hub.asked(match="/resolve/")


# ---- who may


def test_the_token_goes_to_the_endpoint_and_nowhere_else(hub, fetch, tmp_path):
    hub.model(NAME, model_files(), access="private")
    result = fetch(NAME, f"to={tmp_path}/vit", env={"HF_TOKEN": hub.token})
    folder_of(result)
    assert hub.asked("cdn"), "the large file came from another origin"
    assert all("Authorization" not in request[3] for request in hub.asked("cdn"))
    assert all(request[3].get("Authorization") == f"Bearer {hub.token}" for request in hub.asked("hub"))
    assert hub.token not in result.stdout + result.stderr


def test_the_token_file_and_its_order(hub, fetch, tmp_path):
    hub.model(NAME, model_files(), access="private")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/token").write_text(hub.token + "\n")
    folder_of(fetch(NAME, f"to={tmp_path}/a"))
    result = fetch(NAME, f"to={tmp_path}/b", env={"HF_TOKEN": "hf_wrong"})
    assert_refused(result, "401", "HF_TOKEN")
    assert "hf_wrong" not in result.stdout + result.stderr
    folder_of(fetch(NAME, f"to={tmp_path}/c", f"token={hub.token}", env={"HF_TOKEN": "hf_wrong"}))
    assert_refused(fetch(NAME, env={"HF_TOKEN": "two words"}), "HF_TOKEN", code=2)


def test_401_says_that_a_token_is_needed(hub, fetch):
    hub.model(NAME, model_files(), access="private")
    assert_refused(fetch(NAME), "401", "does not exist, or is private", "HF_TOKEN")


@pytest.mark.parametrize("token, code", ((None, "401"), ("hf_other", "403")))
def test_gated_says_where_to_ask(hub, fetch, token, code):
    hub.model(NAME, model_files(), access="gated")
    result = fetch(NAME, env={"HF_TOKEN": token} if token else {})
    assert_refused(result, code, f"ask at {hub.endpoint}/{NAME}", "HF_TOKEN", "Access is restricted.")


def test_404_offers_the_nearest(hub, fetch):
    hub.model(NAME, model_files())
    assert_refused(fetch("someone/tiny-vitt"), "404", f"Did you mean '{NAME}'?")
    assert_refused(fetch(NAME, "revision=v1.1"), "v1.1", "Did you mean 'v1.0'?")
    assert_refused(fetch("flickr8"), "flickr8k")
    folder_of(fetch(NAME, "revision=v1.0"))


def test_a_file_that_vanished_is_a_404(hub, fetch, tmp_path):
    hub.model(NAME, model_files())
    hub.faults.append(Fault("/resolve/", times=9, status=404))
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "404", "/resolve/")


@pytest.mark.parametrize("name", ("a/b/c", "../x", "a//b", "a b/c", "a/b--c"))
def test_names_that_can_be_no_repository(fetch, name):
    assert_refused(fetch(name), "OWNER/NAME", code=2)


def test_unreachable_endpoints_are_named(fetch):
    result = fetch(NAME, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert_refused(result, "127.0.0.1:9", "tries")
    assert_refused(fetch(NAME, env={"HF_ENDPOINT": "huggingface.co"}), "HF_ENDPOINT", "https://", code=2)


def test_proxies_are_used(hub, fetch, tmp_path):
    hub.model(NAME, {"config.json": b"{}", "model.safetensors": b"small"})
    env = {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": hub.endpoint, "NO_PROXY": ""}
    folder_of(fetch(NAME, f"to={tmp_path}/vit", env=env))
    assert {request[3]["Host"] for request in hub.asked()} == {"hub.invalid"}


# ---- interruptions


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.mark.crash
@pytest.mark.parametrize("number, code", ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_an_interrupted_fetch_goes_on(hub, fetch, capstan, environment, tmp_path, number, code):
    files = model_files(3_000_000)
    repo = hub.model(NAME, files)
    hub.faults.append(Fault("/cdn/", pace=0.1))
    process = capstan.start("fetch", NAME, env=environment)
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    blobs = tmp_path / "home/hub/models--someone--tiny-vit/blobs"
    part = blobs / f"{digest}.incomplete"
    wait_for(lambda: part.exists() and part.stat().st_size > 500_000)
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == code, output
    assert not (blobs.parent / "refs/main").exists(), "a revision that is named is complete"
    had = part.stat().st_size
    assert 500_000 < had < 3_000_000
    hub.forget()
    folder = folder_of(fetch(NAME))
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert ranges(hub) == [f"bytes={had}-"]
    assert folder.name == repo.commit


def test_two_at_once_do_not_mix_their_bytes(hub, fetch, capstan, environment, tmp_path):
    hub.model(NAME, model_files(2_000_000))
    hub.faults.append(Fault("/cdn/", pace=0.1))
    process = capstan.start("fetch", NAME, f"to={tmp_path}/vit", env=environment)
    part = tmp_path / "vit/model.safetensors.incomplete"
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    assert_refused(fetch(NAME, f"to={tmp_path}/vit"), "another program")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert (tmp_path / "vit/model.safetensors").read_bytes() == model_files(2_000_000)["model.safetensors"]


def test_progress_tells_rate_and_time_left(hub, fetch, tmp_path):
    hub.model(NAME, model_files(3_000_000))
    hub.faults.append(Fault("/cdn/", pace=0.02))
    result = fetch(NAME, f"to={tmp_path}/vit", env={"CAPSTAN_PROGRESS": "1"})
    folder_of(result)
    assert "kB/s" in result.stderr and "left" in result.stderr and "%" in result.stderr


# ---- data sets


def zip_of(entries):
    """entries: {name: bytes}, or a ZipInfo as the name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


COCO = {
    "/annotations/annotations_trainval2017.zip": {
        "annotations/captions_train2017.json": b"{}",
        "annotations/captions_val2017.json": b"[]",
    },
    "/zips/train2017.zip": {f"train2017/{i:012}.jpg": noise(5000, i) for i in range(40)},
    "/zips/val2017.zip": {"val2017/": b"", "val2017/000000000001.jpg": noise(5000)},
}


@pytest.fixture
def coco(hub):
    for path, entries in COCO.items():
        hub.plain[path] = zip_of(entries)
    return hub


def test_coco_is_fetched_and_unpacked(coco, fetch, tmp_path):
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false")
    folder = folder_of(fetch(*arguments))
    for entries in COCO.values():
        for name, data in entries.items():
            if not name.endswith("/"):
                assert (folder / name).read_bytes() == data
    assert not list(folder.glob("*.zip"))
    coco.forget()
    assert folder_of(fetch(*arguments)) == folder
    assert not coco.requests, "what is done is not asked for again"


def test_split_chooses_archives(coco, fetch, tmp_path):
    arguments = (f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "keep_archives=true")
    folder = folder_of(fetch("coco", *arguments, "split=validation"))
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {"val2017", "val2017.zip"}
    assert_refused(fetch("coco", *arguments, "split=vallidation"), "Did you mean 'validation'?", code=2)
    assert_refused(fetch("coco", *arguments, "include=*.json"), "split=", code=2)


def test_published_sizes_and_checksums_are_held_to(coco, fetch, tmp_path):
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "split=annotations")
    assert_refused(fetch(*arguments), "annotations_trainval2017.zip", "252907541")
    (tmp_path / "coco/annotations_trainval2017.zip").write_bytes(b"brought by hand")
    assert_refused(fetch(*arguments), "f4bbac642086de4f52a3fdda2de5fa2c", "verify=false")
    data = zip_of({"Flickr8k.token.txt": b"x"})
    coco.plain["/jbrownlee/Datasets/releases/download/Flickr8k/Flickr8k_text.zip"] = data
    result = fetch("flickr8k", f"to={tmp_path}/flickr", f"mirror={coco.endpoint}", "split=annotations")
    assert_refused(result, "bf6c1abcb8e4a833b7f922104de18627", hashlib.md5(data).hexdigest())
    assert not list((tmp_path / "flickr").iterdir())


def test_a_cut_archive_goes_on_by_its_etag_and_starts_anew_when_changed(coco, fetch, tmp_path):
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "split=train", "retries=0")
    coco.faults.append(Fault("train2017", cut=70_000))
    assert_refused(fetch(*arguments), "train2017.zip", "same command")
    coco.faults.append(Fault("train2017", cut=10_000))
    assert_refused(fetch(*arguments), "train2017.zip")
    last = coco.asked(match="train2017")[-1][3]
    assert last["Range"] == "bytes=70000-" and last["If-Range"].startswith('"')
    coco.plain["/zips/train2017.zip"] = zip_of({"train2017/new.jpg": noise(200_000)})
    folder = folder_of(fetch(*arguments))
    assert [path.name for path in (folder / "train2017").iterdir()] == ["new.jpg"]
    assert not parts(folder)


@pytest.mark.parametrize("name", ("../evil.jpg", "/evil.jpg", "a/../../evil.jpg"))
def test_archives_cannot_write_elsewhere(coco, fetch, tmp_path, name):
    coco.plain["/zips/val2017.zip"] = zip_of({"val2017/a.jpg": b"good", name: b"evil"})
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "split=validation")
    assert_refused(fetch(*arguments), "val2017.zip", "file name")
    assert not list(tmp_path.rglob("evil.jpg"))
    assert not (tmp_path / "coco/val2017").exists(), "refused before anything is written"


def test_links_in_archives_are_refused(coco, fetch, tmp_path):
    link = zipfile.ZipInfo("val2017/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    coco.plain["/zips/val2017.zip"] = zip_of({link: b"../../outside"})
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "split=validation")
    assert_refused(fetch(*arguments), "link or device")


def test_damaged_archives_are_named(coco, fetch, tmp_path):
    good = coco.plain["/zips/val2017.zip"]
    at = good.index(noise(5000)) + 100
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "split=validation")
    for bad in (b"no zip at all", good[: len(good) // 2], good[:at] + b"????" + good[at + 4 :]):
        coco.plain["/zips/val2017.zip"] = bad
        assert_refused(fetch(*arguments), "val2017.zip", "fetch it again")
        (tmp_path / "coco/val2017.zip").unlink()
    assert not (tmp_path / "coco/val2017/000000000001.jpg").exists()


def test_interrupted_unpacking_goes_on(coco, fetch, tmp_path):
    arguments = ("coco", f"to={tmp_path}/coco", f"mirror={coco.endpoint}", "verify=false", "split=train")
    (tmp_path / "coco/train2017").mkdir(parents=True)
    (tmp_path / "coco/train2017/000000000003.jpg").write_bytes(noise(5000, 3))
    (tmp_path / "coco/train2017/000000000004.jpg.incomplete").write_bytes(b"half")
    (tmp_path / "coco/train2017/000000000005.jpg").write_bytes(b"half")
    folder = folder_of(fetch(*arguments))
    for name, data in COCO["/zips/train2017.zip"].items():
        assert (folder / name).read_bytes() == data
    assert not parts(folder)


def test_flickr30k_has_captions_and_says_where_the_pictures_are(hub, fetch, tmp_path):
    hub.plain["/people/karpathy/deepimagesent/caption_datasets.zip"] = zip_of(
        {"dataset_coco.json": b"{}", "dataset_flickr30k.json": b"{}", "dataset_flickr8k.json": b"{}"}
    )
    common = (f"mirror={hub.endpoint}", "verify=false")
    result = fetch("flickr30k", f"to={tmp_path}/flickr30k", *common)
    names = [path.name for path in folder_of(result).iterdir() if not path.name.startswith(".")]
    assert names == ["dataset_flickr30k.json"]
    assert "https://shannon.cs.illinois.edu/DenotationGraph/" in result.stderr
    assert len(list(folder_of(fetch("karpathy", f"to={tmp_path}/karpathy", *common)).glob("dataset_*.json"))) == 3


def test_flickr8k_leaves_resource_forks_out(hub, fetch, tmp_path):
    base = "/jbrownlee/Datasets/releases/download/Flickr8k/"
    hub.plain[base + "Flickr8k_text.zip"] = zip_of({"Flickr8k.token.txt": b"x", "__MACOSX/._Flickr8k": b"y"})
    hub.plain[base + "Flickr8k_Dataset.zip"] = zip_of({"Flicker8k_Dataset/1.jpg": b"x", "__MACOSX/": b""})
    result = fetch("flickr8k", f"to={tmp_path}/flickr8k", f"mirror={hub.endpoint}", "verify=false")
    folder = folder_of(result)
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "Flicker8k_Dataset",
        "Flickr8k.token.txt",
    ]
    assert "research" in result.stderr
