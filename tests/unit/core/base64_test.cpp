#include "capstan/core/base64.h"

#include "support/catch.h"

using namespace capstan;

TEST_CASE("base64 has the vectors of RFC 4648", "[core][base64]") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(encode_base64(bytes) == text);
    CHECK(decode_base64(text) == std::string(bytes));
  }
}

TEST_CASE("any bytes come back from base64", "[core][base64]") {
  std::string bytes;
  for (int i = 0; i < 700; ++i) {
    CHECK(decode_base64(encode_base64(bytes)) == bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
}
