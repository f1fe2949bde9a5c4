"""tools/bench/train at its tiny size: both sides train the same, and every figure is there."""

import json
import subprocess

import pytest


def test_both_sides_train_the_same_and_are_measured(capstan, repo, tmp_path):
    for name in ("accelerate", "transformers"):
        pytest.importorskip(name, reason=f"{name} is absent; it comes with tools/requirements-bench.txt")
    file = tmp_path / "figures.json"
    command = [repo / "tools/bench/train", "--shape", "tiny", "--batch", "8", "--dtype", "float32", "--steps", "2"]
    command += ["--threads", "1", "--no-build", "--build", capstan.path.parents[1], "--json", file]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    figures = json.loads(file.read_text())
    for row in figures["comparisons"]:
        assert all(rate > 0 for rate in row["medians"].values())
        assert set(row["medians"]) == {"capstan", "transformers"}
        ours, theirs = (figures["values"][f"{row['name']}: {side}, mean loss"] for side in row["medians"])
        assert ours == pytest.approx(theirs, rel=0.05), "both start from the same weights"
        assert all(figures["values"][f"{row['name']}: {side}, peak memory"] > 0 for side in row["medians"])
        assert f"target: {row['name']}: times transformers" in figures["values"]
    known = "`train.captions_per_image`" in capstan("document", check=True).stdout
    assert len(figures["comparisons"]) == (2 if known else 1)
