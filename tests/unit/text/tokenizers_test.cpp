// The list of tokenizers.
#include "capstan/text/tokenizers.h"

#include "support/catch.h"

TEST_CASE("both tokenizers are registered with a summary", "[text][tokenizers]") {
  CHECK(capstan::tokenizers().names() == std::vector<std::string>{"byte_bpe", "sentencepiece"});
  for (const auto& [name, entry] : capstan::tokenizers().entries()) CHECK_FALSE(entry.summary.empty());
}
