#include "report/crc32c.h"

#include "support/catch.h"

using namespace capstan::report;

TEST_CASE("checksums are those of RFC 3720", "[report][crc32c]") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  CHECK(crc32c(ascending) == 0x46DD794E);
}

TEST_CASE("masked checksums can be unmasked as tensorflow does", "[report][crc32c]") {
  const std::uint32_t rotated = masked_crc32c("123456789") - 0xA282EAD8;
  CHECK((rotated >> 17 | rotated << 15) == 0xE3069283);
}
