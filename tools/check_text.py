#!/usr/bin/env python3
"""Rules on the text of our files: ASCII, lengths, no output from libraries, no machine's paths, no open ends.

tools/check_text.py [ROOT]   prints "file:line: problem" lines and ends with 1 when there is any.
"""

import os
import pathlib
import re
import sys

SKIPPED_FOLDERS = {".git", ".venv", "build", "__pycache__", ".pytest_cache", ".cache"}
TEXT = {
    ".h",
    ".cpp",
    ".def",
    ".in",
    ".cmake",
    ".txt",
    ".py",
    ".sh",
    ".md",
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".ini",
    ".supp",
}
CODE = {".h", ".cpp", ".def"}
MAX_LINES = {".h": 200, ".cpp": 400}
MAX_COLUMNS = 120
OUTPUT = re.compile(r"std::(cout|cerr|clog)\b|(?<![\w:])(?:std::)?(?:printf|puts|putchar|vprintf)\s*\(|\bstdout\b")
MACHINE_PATH = re.compile(r"(?<![\w.}$])/(?:wor[k]|roo[t]|tm[p]|hom[e])/")
OPEN_END = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")


def files(root):
    for folder, names, leaves in os.walk(root):
        here = pathlib.Path(folder)
        # data/ and checkpoints/ hold what users make; only their README is ours.
        ignored = here in (root / "data", root / "checkpoints")
        names[:] = [] if ignored else sorted(n for n in names if n not in SKIPPED_FOLDERS and not n.startswith(".venv"))
        for leaf in sorted(leaves):
            path = here / leaf
            if (path.suffix in TEXT or path.parent.name == ".ci") and (not ignored or leaf == "README.md"):
                yield path


def line_problems(path, relative, line):
    in_library = relative.parts[0] in ("src", "include")
    if path.suffix in CODE or path.suffix in (".py", ".sh", ".cmake"):
        if not line.isascii():
            yield "is not ASCII"
        if len(line) > MAX_COLUMNS:
            yield f"has {len(line)} columns, the limit is {MAX_COLUMNS}"
        if "\t" in line:
            yield "holds a tab; indent with spaces"
    if line != line.rstrip() and path.suffix != ".md":
        yield "ends in blanks"
    if in_library and path.suffix in CODE and OUTPUT.search(line.split("//")[0]):
        yield "writes to the standard output or error from a library; use capstan/core/log.h"
    if MACHINE_PATH.search(line):
        yield "names a path of one machine"
    if OPEN_END.search(line):
        yield "leaves work open; finish it or write an issue"


def problems(root):
    for path in files(root):
        relative = path.relative_to(root)
        text = path.read_text(errors="replace")
        lines = text.splitlines()
        limit = MAX_LINES.get(path.suffix)
        if limit and len(lines) > limit:
            yield f"{relative}:{limit}: has {len(lines)} lines, the limit is {limit}; split it by responsibility"
        if path.suffix == ".h" and "\n#pragma once\n" not in "\n" + text:
            yield f"{relative}:1: has no #pragma once"
        if lines and not text.endswith("\n"):
            yield f"{relative}:{len(lines)}: does not end in a newline"
        for number, line in enumerate(lines, 1):
            for problem in line_problems(path, relative, line):
                yield f"{relative}:{number}: {problem}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    found = list(problems(root))
    print("\n".join(found) or "text: no problem")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
