"""Proves that every style check can fail: each gets a small tree with one fault, and the same tree without it."""

import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
GRAPH = """
    capstan_add_layer(core LIBRARIES XxHash::XxHash)
    capstan_add_layer(text DEPS core)
    capstan_add_layer(models DEPS text)
    capstan_add_layer(image DEPS core LIBRARIES OpenCV::core)
"""


class Check(unittest.TestCase):
    """Runs one script on a tree given as {path: text}."""

    def run_check(self, script, tree):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in tree.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(textwrap.dedent(text))
            result = subprocess.run([sys.executable, str(TOOLS / script), folder], capture_output=True, text=True)
        return result.returncode, result.stdout

    def assert_clean(self, script, tree):
        code, output = self.run_check(script, tree)
        self.assertEqual(code, 0, output)

    def assert_found(self, script, tree, *words):
        code, output = self.run_check(script, tree)
        self.assertEqual(code, 1, output)
        for word in words:
            self.assertIn(word, output)


class Layers(Check):
    def tree(self, path, include):
        return {"src/CMakeLists.txt": GRAPH, path: f"#include {include}\n"}

    def test_downward_includes_pass(self):
        self.assert_clean("check_layers.py", self.tree("src/models/a.cpp", '"capstan/core/log.h"'))
        self.assert_clean("check_layers.py", self.tree("src/image/a.cpp", "<opencv2/core.hpp>"))
        self.assert_clean("check_layers.py", self.tree("include/capstan/core/a.h", "<ATen/core/Tensor.h>"))
        self.assert_clean("check_layers.py", self.tree("include/capstan/core/a.h", "<nlohmann/json_fwd.hpp>"))

    def test_upward_include_is_found(self):
        tree = self.tree("src/text/a.cpp", '"capstan/models/vit.h"')
        self.assert_found("check_layers.py", tree, "src/text/a.cpp:1", "text may not see models")

    def test_sideways_include_is_found_also_when_private(self):
        tree = self.tree("src/text/a.cpp", '"image/orientation.h"')
        self.assert_found("check_layers.py", tree, "text may not see image")

    def test_library_in_a_public_header_is_found(self):
        for include in ("<opencv2/core.hpp>", "<nlohmann/json.hpp>", "<fmt/format.h>", "<xxhash.h>"):
            tree = self.tree("include/capstan/image/a.h", include)
            self.assert_found("check_layers.py", tree, "include/capstan/image/a.h:1", "behind the .cpp")

    def test_library_that_the_layer_does_not_link_is_found(self):
        tree = self.tree("src/text/a.cpp", "<opencv2/core.hpp>")
        self.assert_found("check_layers.py", tree, "does not list OpenCV::")

    def test_unknown_library_is_found(self):
        self.assert_found("check_layers.py", self.tree("src/text/a.cpp", "<boost/any.hpp>"), "does not know")

    def test_private_header_in_a_public_one_is_found(self):
        tree = self.tree("include/capstan/image/a.h", '"image/orientation.h"')
        self.assert_found("check_layers.py", tree, "may not include a private one")

    def test_file_outside_of_every_layer_is_found(self):
        self.assert_found("check_layers.py", self.tree("src/other/a.cpp", "<vector>"), "in no layer")

    def test_layer_declared_before_what_it_needs_is_found(self):
        tree = {"src/CMakeLists.txt": "capstan_add_layer(text DEPS core)\ncapstan_add_layer(core)\n"}
        self.assert_found("check_layers.py", tree, "not declared above")

    def test_no_layer_at_all_is_found(self):
        self.assert_found("check_layers.py", {"src/CMakeLists.txt": "\n"}, "declares no layer")


class Lists(Check):
    def test_matching_files_and_lines_pass(self):
        self.assert_clean(
            "check_lists.py",
            {"src/metrics/metrics.def": "// why\nCAPSTAN_METRIC(rouge)\n", "src/metrics/builtin/rouge.cpp": ""},
        )

    def test_file_without_a_line_is_found(self):
        tree = {
            "src/data/datasets.def": "CAPSTAN_DATASET(a)\n",
            "src/data/datasets/a.cpp": "",
            "src/data/datasets/b.cpp": "",
        }
        self.assert_found("check_lists.py", tree, "src/data/datasets/b.cpp:1", "no line")

    def test_line_without_a_file_is_found(self):
        self.assert_found(
            "check_lists.py", {"src/data/datasets.def": "CAPSTAN_DATASET(a)\n"}, "datasets.def:1", "no file"
        )

    def test_line_given_twice_is_found(self):
        tree = {"src/data/datasets.def": "CAPSTAN_DATASET(a)\nCAPSTAN_DATASET(a)\n", "src/data/datasets/a.cpp": ""}
        self.assert_found("check_lists.py", tree, "already in line 1")

    def test_folder_without_a_list_is_found(self):
        tree = {"src/metrics/metrics.def": "", "src/train/optimizers/adamw.cpp": ""}
        self.assert_found("check_lists.py", tree, "src/train/optimizers", "without a .def list")


class Text(Check):
    def assert_line_found(self, path, line, *words):
        self.assert_clean("check_text.py", {path: "// fine\n#pragma once\n"})
        self.assert_found("check_text.py", {path: f"// fine\n#pragma once\n{line}\n"}, f"{path}:3", *words)

    def test_faulty_lines_are_found(self):
        self.assert_line_found("src/core/a.h", "// na\u00efve", "ASCII")
        self.assert_line_found("src/core/a.h", "// " + "x" * 120, "123 columns")
        self.assert_line_found("src/core/a.h", "int a; ", "blanks")
        self.assert_line_found("src/core/a.h", "\tint a;", "tab")
        self.assert_line_found("README.md", "cd /ho" + "me/me/capstan", "path of one machine")
        self.assert_line_found("src/core/a.h", "// TO" + "DO later", "open")

    def test_output_from_a_library_is_found(self):
        for line in ("std::cout << 1;", 'printf("x");', 'std::printf("x");', "puts(text);", "fwrite(a, 1, 1, stdout);"):
            self.assert_line_found("src/core/a.cpp", line, "standard output")
        self.assert_clean("check_text.py", {"src/core/a.cpp": 'snprintf(buffer, 4, "x");\nfmt::format("x");\n'})
        self.assert_clean("check_text.py", {"tools/capstan/main.cpp": "std::cout << 1;\n"})

    def test_long_files_are_found(self):
        self.assert_clean("check_text.py", {"src/a/a.cpp": "//\n" * 400})
        self.assert_found("check_text.py", {"src/a/a.cpp": "//\n" * 401}, "limit is 400")
        self.assert_found("check_text.py", {"include/a/a.h": "#pragma once\n" * 201}, "limit is 200")

    def test_header_without_a_guard_is_found(self):
        self.assert_found("check_text.py", {"include/a/a.h": "int a;\n"}, "pragma once")


class Summary(Check):
    """The table of tools/test.sh must not make a failure, a skip or an empty run look well."""

    def case(self, body="", kind="unit"):
        properties = f'<properties><property name="cmake_labels" value="{kind}"/></properties>'
        return f'<testsuite><testcase name="a fact" classname="a fact">{properties}{body}</testcase></testsuite>'

    def assert_table(self, tree, code, *words):
        found, output = self.run_check("test_summary.py", tree)
        self.assertEqual(found, code, output)
        for word in words:
            self.assertIn(word, " ".join(output.split()))

    def test_passes_are_counted_by_kind(self):
        self.assert_table({"ctest.xml": self.case(kind="style")}, 0, "style 1 0 0", "all 1 0 0")

    def test_failures_are_named(self):
        self.assert_table({"ctest.xml": self.case("<failure/>")}, 1, "unit 0 1 0", "FAILED unit: a fact")
        self.assert_table({"pytest.xml": self.case("<error/>")}, 1, "unit 0 1 0")

    def test_reasons_of_skips_are_shown(self):
        skipped = '<skipped message="regex"/><system-out>SKIPPED: the photos are absent</system-out>'
        tree = {"a.xml": self.case(skipped), "b.xml": self.case()}
        self.assert_table(tree, 0, "unit 1 0 1", "skipped 1 unit: the photos are absent")

    def test_report_cut_short_by_a_crash_is_a_failure(self):
        self.assert_table({"asan-unit_core.xml": "<testsuites><testsuite>"}, 1, "FAILED asan-unit_core")

    def test_nothing_to_count_is_a_failure(self):
        self.assert_table({}, 1, "no test ran")


class Headers(unittest.TestCase):
    """The header check is CMake's own; here it meets a header that lacks an include."""

    def build(self, folder, header):
        pathlib.Path(folder, "a.h").write_text(header)
        pathlib.Path(folder, "a.cpp").write_text('#include <string>\n#include "a.h"\n')
        pathlib.Path(folder, "CMakeLists.txt").write_text(textwrap.dedent("""
            cmake_minimum_required(VERSION 3.25)
            project(small LANGUAGES CXX)
            set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
            add_library(small STATIC a.cpp)
            target_sources(small PUBLIC FILE_SET HEADERS FILES a.h)
        """))
        subprocess.run(["cmake", "-G", "Ninja", "-S", folder, "-B", f"{folder}/build"], check=True, capture_output=True)
        command = ["cmake", "--build", f"{folder}/build", "--target", "all_verify_interface_header_sets"]
        return subprocess.run(command, capture_output=True, text=True).returncode

    def test_header_that_needs_another_first_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertNotEqual(self.build(folder, "#pragma once\ninline std::string a() { return {}; }\n"), 0)
            self.assertEqual(
                self.build(folder, "#pragma once\n#include <string>\ninline std::string a() { return {}; }\n"), 0
            )


if __name__ == "__main__":
    unittest.main()
