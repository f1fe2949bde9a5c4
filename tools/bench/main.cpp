// What every bench program does with an error.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <filesystem>

int run(int argc, char** argv);

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", std::filesystem::path(argv[0]).filename().string(), error.what());
    return 1;
  }
}
