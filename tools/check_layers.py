#!/usr/bin/env python3
"""Holds the sources to the layer graph: a file includes its own layer and those below it, and nothing else of ours.

The graph is read from src/CMakeLists.txt, so that graph and check cannot disagree. Libraries from outside stay in the
.cpp files of the layers that link them; public headers may show torch and nlohmann/json_fwd.hpp only.

tools/check_layers.py [ROOT]   prints "file:line: problem" lines and ends with 1 when there is any.
"""

import pathlib
import re
import sys

LAYER_LINE = re.compile(r"^\s*capstan_add_layer\(([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TORCH = ("torch/", "ATen/", "c10/")
PUBLIC_EXTRA = ("nlohmann/json_fwd.hpp",)
EVERYWHERE = ("fmt/", "nlohmann/")  # every layer links these two
SYSTEM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/")
# First characters of an include -> what the layer must have in LIBRARIES.
LIBRARIES = {
    "jpeglib.h": "JPEG::",
    "jerror.h": "JPEG::",
    "opencv2/": "OpenCV::",
    "hdf5": "hdf5::",
    "H5": "hdf5::",
    "yaml-cpp/": "yaml-cpp::",
    "xxhash": "XxHash::",
    "sentencepiece": "SentencePiece::",
    "protozero/": "Protozero::",
    "httplib.h": "Httplib::",
    "CLI/": "CLI11::",
    "curl/": "CURL::",
    "openssl/": "OpenSSL::",
    "archive": "LibArchive::",
}


def read_graph(cmake):
    """name -> (direct dependencies, text of the LIBRARIES), in the order of the file."""
    graph = {}
    for arguments in LAYER_LINE.findall(cmake):
        words = arguments.split()
        section, deps, libraries = "", [], []
        for word in words[1:]:
            if word in ("DEPS", "LIBRARIES", "TORCH_PCH"):
                section = word
            elif section == "DEPS":
                deps.append(word)
            elif section == "LIBRARIES":
                libraries.append(word)
        graph[words[0]] = (deps, " ".join(libraries))
    return graph


def reachable(graph, name):
    """The layer and everything below it."""
    found, waiting = set(), [name]
    while waiting:
        layer = waiting.pop()
        if layer not in found:
            found.add(layer)
            waiting += graph[layer][0]
    return found


def graph_problems(graph):
    """A dependency must be declared earlier, which also rules out cycles."""
    seen = set()
    for name, (deps, _) in graph.items():
        for dep in deps:
            if dep not in seen:
                yield f"src/CMakeLists.txt:1: layer {name} depends on {dep}, which is not declared above it"
        seen.add(name)


def include_problem(graph, layer, public, bracket, name):
    """What is wrong with one include, or None."""
    ours = name.removeprefix("capstan/")
    target = ours.split("/")[0]
    if bracket == '"' and target in graph and "/" in ours:
        if target not in reachable(graph, layer):
            allowed = ", ".join(sorted(reachable(graph, layer)))
            return f"includes {name}: layer {layer} may not see {target} (it sees {allowed})"
        if public and not name.startswith("capstan/"):
            return f"includes {name}: a public header may not include a private one"
        return None
    if bracket == '"' or name.startswith(TORCH):
        return None
    for prefix, library in LIBRARIES.items():
        if name.startswith(prefix):
            if public:
                return f"includes <{name}>: public headers show torch only; move this behind the .cpp"
            if library not in graph[layer][1]:
                return f"includes <{name}>: layer {layer} does not list {library}* in its LIBRARIES"
            return None
    if public and "/" in name and name not in PUBLIC_EXTRA and not name.startswith(SYSTEM_FOLDERS):
        return f"includes <{name}>: public headers show torch and {PUBLIC_EXTRA[0]} only; move this behind the .cpp"
    if "/" in name and not name.startswith(EVERYWHERE + SYSTEM_FOLDERS):
        return f"includes <{name}>, a library that tools/check_layers.py does not know; add it to LIBRARIES there"
    return None


def problems(root):
    graph = read_graph((root / "src/CMakeLists.txt").read_text())
    if not graph:
        yield "src/CMakeLists.txt:1: declares no layer"
    yield from graph_problems(graph)
    for base, public in ((root / "src", False), (root / "include/capstan", True)):
        for file in sorted(base.rglob("*")):
            if file.suffix not in (".h", ".cpp") or file.parent == base:
                continue
            layer = file.relative_to(base).parts[0]
            if layer not in graph:
                yield f"{file.relative_to(root)}:1: is in no layer that src/CMakeLists.txt declares"
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                problem = match and include_problem(graph, layer, public, *match.groups())
                if problem:
                    yield f"{file.relative_to(root)}:{number}: {problem}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(problems(root))
    print("\n".join(found) or "layers: no problem")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
