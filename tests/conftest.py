"""Fixtures of all Python tests: the program, the probe, and the data beside the project."""

import os
import pathlib
import subprocess

import pytest

# Waiting threads sleep instead of spinning, so that a busy machine does not bring the tests to a halt.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

REPO = pathlib.Path(__file__).resolve().parents[1]
KINDS = ("crash", "e2e", "parity")


def pytest_collection_modifyitems(items):
    """Marks each test by its folder and hands its kind to the JUnit file, where tools/test_summary.py counts it."""
    for item in items:
        folder = item.path.relative_to(REPO / "tests").parts[0]
        if folder in KINDS:
            item.add_marker(folder)
        kind = next((kind for kind in KINDS if item.get_closest_marker(kind)), None)
        if kind:
            item.user_properties.append(("kind", kind))


def newest(name):
    """The program that was built last, whatever its preset."""
    built = sorted(REPO.glob(f"build/*/bin/{name}"), key=lambda path: path.stat().st_mtime)
    if not built:
        pytest.fail(f"build/*/bin/{name} does not exist; build it first (tools/test.sh does)")
    return built[-1]


class Program:
    """capstan("caption", folder, image, input=...): runs the program, never raises on its exit code."""

    def __init__(self, path):
        self.path = path

    def environment(self, env=None):
        """One thread is the fastest for models this small, above all while other tests run."""
        return {**os.environ, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", **(env or {})}

    def __call__(self, *arguments, input=None, cwd=REPO, env=None, timeout=600, check=False):
        command = [str(self.path), *map(str, arguments)]
        result = subprocess.run(
            command, input=input, capture_output=True, text=True, cwd=cwd, timeout=timeout, env=self.environment(env)
        )
        if check and result.returncode != 0:
            pytest.fail(f"{' '.join(command)}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def start(self, *arguments, cwd=REPO, env=None):
        """The same, still running, for tests that send signals."""
        return subprocess.Popen(
            [str(self.path), *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(env),
        )


@pytest.fixture(scope="session")
def repo():
    return REPO


@pytest.fixture(scope="session")
def capstan():
    return Program(pathlib.Path(os.environ.get("CAPSTAN_BIN") or newest("capstan")))


@pytest.fixture(scope="session")
def probe():
    return pathlib.Path(os.environ.get("CAPSTAN_PROBE") or newest("capstan_probe"))


@pytest.fixture(scope="session")
def shared():
    folder = pathlib.Path(os.environ.get("CAPSTAN_SHARED_DATA") or REPO.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the shared data folder is absent (beside the repository, or CAPSTAN_SHARED_DATA)")
    return folder.resolve()
