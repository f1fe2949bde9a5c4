"""What tools/setup.sh says where it cannot help: on a machine played by small scripts in front of PATH."""

import os
import subprocess

import pytest


@pytest.fixture
def setup(repo, tmp_path):
    """setup(kind, dpkg="...", ...): runs the script with each named command replaced by the given shell text."""

    def run(*arguments, env=None, **commands):
        for name, text in {"id": "echo 1000", "sudo": "exit 1", **commands}.items():
            script = tmp_path / name.replace("_", "-")
            script.write_text(f"#!/bin/sh\n{text}\n")
            script.chmod(0o755)
        # lib.sh puts the virtual environment first, which holds none of these names
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **(env or {})}
        return subprocess.run(
            [repo / "tools/setup.sh", *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path
        )

    return run


def test_missing_packages_are_named_with_the_one_command(setup):
    present = 'case "$*" in *libhdf5-dev*|*ccache*) exit 1;; esac; echo installed'
    result = setup("build", dpkg_query=present)
    assert result.returncode == 1
    assert "these system packages are missing: ccache libhdf5-dev\n" in result.stderr
    assert "sudo apt-get install -y --no-install-recommends ccache libhdf5-dev\n" in result.stderr


def test_package_that_was_removed_but_left_its_settings_counts_as_missing(setup):
    result = setup(
        "build", dpkg_query='case "$*" in *libfmt-dev*) echo config-files; exit;; esac; echo installed'
    )
    assert result.returncode == 1
    assert "missing: libfmt-dev\n" in result.stderr


def test_kinds_and_flavours_that_do_not_exist_are_refused(setup):
    result = setup("everything")
    assert result.returncode == 1
    assert "'everything'" in result.stderr and "build, quickstart or test" in result.stderr
    result = setup("build", env={"CAPSTAN_TORCH": "tpu"}, dpkg_query="echo installed")
    assert result.returncode == 1
    assert "'tpu'" in result.stderr and "cpu, cuda or skip" in result.stderr


def test_second_call_changes_nothing_and_needs_no_network(setup):
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    result = setup("build", env=unreachable, dpkg_query="echo installed")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
