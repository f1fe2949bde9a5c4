// The facade: a folder in, captions out, and what it says about folders and options that do not fit.
#include "capstan/generate/captioner.h"

#include <thread>

#include "capstan/core/error.h"
#include "capstan/generate/decode.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

CaptionerOptions with(std::function<void(GenerationConfig&)> generation, std::string dtype = "float32") {
  return {.device = "cpu", .dtype = std::move(dtype), .generation = std::move(generation)};
}

std::vector<Image> tiny_images(int count) {
  std::vector<Image> images;
  for (int i = 0; i < count; ++i) images.push_back(tiny_image(16 + i % 5, 1 + 2 * i));
  return images;
}

}  // namespace

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

TEST_CASE("pixels by table are those of the processor, bit for bit", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  ImageProcessorConfig config;
  config.size = 16;
  config.do_center_crop = true;
  config.image_mean = {0.485, 0.456, 0.406};
  config.image_std = {0.229, 0.224, 0.225};
  ImageProcessor(config).save_pretrained(folder.path());
  const Captioner captioner(folder.path(), {.device = "cpu"});
  Image image = tiny_image(31, 7);
  image.height = 21;
  image.rgb.resize(21 * 31 * 3);
  REQUIRE(at::equal(captioner.pixels(image), captioner.processor()(image)));
}

TEST_CASE("more pictures than one batch keep their order", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config(), 3);
  Captioner captioner(folder.path(), {.device = "cpu"});
  const std::vector<Image> images = tiny_images(39);
  const auto captions = captioner.caption(images);
  REQUIRE(captions.size() == 39);
  for (const std::size_t i : {0U, 17U, 38U}) REQUIRE(captions[i] == captioner.caption(images[i]));
  REQUIRE(captioner.caption(std::vector<Image>{}).empty());
}

TEST_CASE("several captions of a picture come best first, and the first is what caption() gives", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  Captioner captioner(folder.path(), with([](GenerationConfig& generation) {
                        generation.num_beams = 4;
                        generation.num_return_sequences = 3;
                      }));
  const std::vector<Image> images = tiny_images(5);
  const auto all = captioner.captions(images);
  REQUIRE(all.size() == images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    REQUIRE(all[i].size() == 3);
    REQUIRE(all[i][0].score >= all[i][1].score);
    REQUIRE(all[i][1].score >= all[i][2].score);
    REQUIRE(all[i][0].text == captioner.caption(images[i]));
  }
}

TEST_CASE("the caller changes what generation_config.json says", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  const auto shorter = [](GenerationConfig& generation) {
    REQUIRE(generation.max_new_tokens == 12);
    generation.max_new_tokens = 5;
  };
  REQUIRE(Captioner(folder.path(), with(shorter)).generation().max_new_tokens == 5);
}

TEST_CASE("options that contradict each other are refused before the weights are read", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  std::filesystem::remove(folder.path() / "model.safetensors");
  const auto contradiction = [](GenerationConfig& generation) { generation.num_return_sequences = 2; };
  REQUIRE_THROWS_WITH(Captioner(folder.path(), with(contradiction)), ContainsSubstring("num_return_sequences is 2"));
  REQUIRE_THROWS_AS(Captioner(folder.path(), with(contradiction)), ConfigError);
  REQUIRE_THROWS_WITH(Captioner(folder.path(), with(nullptr, "float16")), ContainsSubstring("on a CPU use bfloat16"));
  REQUIRE_THROWS_WITH(Captioner(folder.path(), with(nullptr, "int4")), ContainsSubstring("int4"));
}

TEST_CASE("a captioner runs in bfloat16 and with int8 weights", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  Captioner captioner(folder.path(), {.device = "cpu", .dtype = "bfloat16"});
  REQUIRE(captioner.model().parameters().front().scalar_type() == at::kBFloat16);
  REQUIRE_NOTHROW(captioner.caption(tiny_image(16, 3)));
  Captioner small(folder.path(), {.device = "cpu", .dtype = "int8"});
  REQUIRE_NOTHROW(small.caption(tiny_image(16, 3)));
}

TEST_CASE("pixels and decoding are for any thread while captions are drawn", "[generate][unit]") {
  const TempDir folder;
  write_tiny_folder(folder.path(), tiny_config());
  Captioner captioner(folder.path(), {.device = "cpu"});
  const std::vector<Image> images = tiny_images(12);
  const at::Tensor expected = captioner.pixels(images[3]);
  const auto alone = captioner.caption(images);
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i)
    others.emplace_back([&] {
      while (!done) wrong += at::equal(captioner.pixels(images[3]), expected) ? 0 : 1;
    });
  const auto beside = captioner.caption(images);
  done = true;
  for (std::thread& other : others) other.join();
  REQUIRE(wrong == 0);
  REQUIRE(beside == alone);
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
