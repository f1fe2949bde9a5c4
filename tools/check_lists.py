#!/usr/bin/env python3
"""A plug-in is one file and one line: every .cpp of a plug-in folder has its line in the .def list beside it.

src/<layer>/<list>.def (and tools/capstan/commands.def) holds lines such as CAPSTAN_METRIC(rouge); the file is
src/<layer>/<folder>/rouge.cpp, and a line without its file is a problem as well.

tools/check_lists.py [ROOT]   prints "file:line: problem" lines and ends with 1 when there is any.
"""

import pathlib
import re
import sys

ENTRY = re.compile(r"^\s*CAPSTAN_[A-Z_]+\((\w+)\)")
FOLDERS = {"metrics": "builtin", "sources": "datasets"}  # lists whose folder is not called as the list
MIXED = ("models", "tokenizers")  # lists whose files lie among others of the layer, so that only lines are checked


def folder_of(definition):
    if definition.stem in MIXED:
        return definition.parent
    return definition.parent / FOLDERS.get(definition.stem, definition.stem)


def list_problems(root, definition):
    folder = folder_of(definition)
    name = definition.relative_to(root)
    lines = {}
    for number, line in enumerate(definition.read_text().splitlines(), 1):
        match = ENTRY.match(line)
        if not match:
            if line.strip() and not line.lstrip().startswith("//"):
                yield f"{name}:{number}: '{line.strip()}' is no CAPSTAN_...(name) line"
        elif match[1] in lines:
            yield f"{name}:{number}: {match[1]} is already in line {lines[match[1]]}"
        else:
            lines[match[1]] = number
    files = {file.stem for file in folder.glob("*.cpp")}
    for stem in sorted(files - lines.keys()) if definition.stem not in MIXED else ():
        yield f"{(folder / stem).relative_to(root)}.cpp:1: has no line in {name}, so the program does not know it"
    for stem in sorted(lines.keys() - files):
        yield f"{name}:{lines[stem]}: {stem} has no file {(folder / stem).relative_to(root)}.cpp"


def problems(root):
    definitions = sorted([*(root / "src").glob("*/*.def"), *(root / "tools").glob("*/*.def")])
    if not definitions:
        yield "src:1: has no .def list"
    known = set()
    for definition in definitions:
        known.add(folder_of(definition))
        yield from list_problems(root, definition)
    for folder in sorted(path for path in (root / "src").glob("*/*/") if path.is_dir()):
        if folder.name in ("datasets", "tokenizers", "transforms", "builtin", "optimizers", "schedules", "exporters"):
            if folder not in known:
                yield f"{folder.relative_to(root)}:1: is a folder of plug-ins without a .def list"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(problems(root))
    print("\n".join(found) or "plug-in lists: no problem")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
