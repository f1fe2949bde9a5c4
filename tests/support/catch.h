// One include for Catch2 2 (Debian 12) and 3 (Ubuntu 24.04). SKIP(reason) ends the test and is shown by ctest as
// skipped.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
#include <iostream>
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
#define SKIP(reason)                                   \
  do {                                                 \
    std::cout << "SKIPPED: " << (reason) << std::endl; \
    SUCCEED(reason);                                   \
    return;                                            \
  } while (false)
#endif
