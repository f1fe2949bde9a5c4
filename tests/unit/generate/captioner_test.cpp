// The facade: a folder in, captions out, and what it says about folders that do not fit.
#include "capstan/generate/captioner.h"

#include "capstan/core/error.h"
#include "capstan/generate/decode.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

TEST_CASE("a captioner gives the decoded greedy caption of each picture", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  Captioner captioner(folder.path(), {.device = "cpu"});
  REQUIRE(captioner.generation().max_new_tokens == 12);

  const std::vector<Image> images{tiny_image(20, 3), tiny_image(40, 5), tiny_image(16, 11)};
  const auto captions = captioner.caption(images);
  REQUIRE(captions.size() == 3);
  for (std::size_t i = 0; i < images.size(); ++i) {
    REQUIRE(captioner.caption(images[i]) == captions[i]);
    const auto ids = generate(captioner.model(), captioner.processor()(images[i]), captioner.generation())[0];
    REQUIRE(captioner.tokenizer().decode(ids).find(captions[i]) != std::string::npos);
  }
}

TEST_CASE("more pictures than one batch keep their order", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config(), 3);
  Captioner captioner(folder.path(), {.device = "cpu"});
  std::vector<Image> images;
  for (int i = 0; i < 19; ++i) images.push_back(tiny_image(16, 1 + i));
  const auto captions = captioner.caption(images);
  REQUIRE(captions.size() == 19);
  REQUIRE(captions[18] == captioner.caption(images[18]));
  REQUIRE(captioner.caption(std::vector<Image>{}).empty());
}

TEST_CASE("max_new_tokens of the caller wins and may not be negative", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  REQUIRE(Captioner(folder.path(), {.device = "cpu", .max_new_tokens = 5}).generation().max_new_tokens == 5);
  REQUIRE_THROWS_AS(Captioner(folder.path(), {.device = "cpu", .max_new_tokens = -1}), ConfigError);
}

TEST_CASE("a captioner runs in bfloat16", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  Captioner captioner(folder.path(), {.device = "cpu", .dtype = "bfloat16"});
  REQUIRE(captioner.model().parameters().front().scalar_type() == at::kBFloat16);
  REQUIRE_NOTHROW(captioner.caption(tiny_image(16, 3)));
}

TEST_CASE("a captioner names the folder or file that is missing or does not fit", "[generate][unit]") {
  const TempDir folder;
  REQUIRE_THROWS_WITH(Captioner(folder.path() / "none"), ContainsSubstring("none: no such folder"));
  write_tiny_folder(folder.path(), tiny_config());

  SECTION("pictures of another size") {
    ImageProcessorConfig processor;
    processor.size = 32;
    ImageProcessor(processor).save_pretrained(folder.path());
    REQUIRE_THROWS_WITH(Captioner(folder.path()), ContainsSubstring("32 pixels") && ContainsSubstring("expects 16"));
  }
  SECTION("a tokenizer of another model") {
    auto smaller = tiny_config();
    smaller.decoder.vocab_size = 100;
    save_pretrained(*tiny_model(smaller), folder.path());
    REQUIRE_THROWS_WITH(Captioner(folder.path()),
                        ContainsSubstring("tokenizer has 258 tokens") && ContainsSubstring("100"));
  }
  SECTION("no weights") {
    std::filesystem::remove(folder.path() / "model.safetensors");
    REQUIRE_THROWS_AS(Captioner(folder.path()), CheckpointError);
  }
  SECTION("no preprocessor_config.json") {
    std::filesystem::remove(folder.path() / "preprocessor_config.json");
    REQUIRE_THROWS_WITH(Captioner(folder.path()), ContainsSubstring("preprocessor_config.json"));
  }
}
