// The one error family. Messages name the file or key, what was found, what was expected and what to do.
#pragma once
#include <stdexcept>
#include <string>

namespace capstan {

// Base of every error this library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // What the program exits with: 1 failed, 2 usage or configuration.
  virtual int exit_code() const { return 1; }
};

// A command line that cannot be carried out.
class UsageError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

// A configuration file or override that is wrong.
class ConfigError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

// Input files: data sets, pictures, caches, tokenizers.
class DataError : public Error {
 public:
  using Error::Error;
};

// Weights, checkpoints and run folders.
class CheckpointError : public Error {
 public:
  using Error::Error;
};

// A valid request for something this build or version does not do.
class UnsupportedError : public Error {
 public:
  using Error::Error;
};

// For our own mistakes only: never reachable from user input.
[[noreturn]] void internal_error(const char* file, int line, const char* what);

}  // namespace capstan

#define CAPSTAN_ASSERT(condition)                                                \
  do {                                                                           \
    if (!(condition)) ::capstan::internal_error(__FILE__, __LINE__, #condition); \
  } while (false)
