// preprocessor_config.json is read as transformers reads it, and what is not supported is said.
#include "capstan/image/processor.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "support/catch.h"

using namespace capstan;

namespace {

ImageProcessor from_text(const std::string& text) {
  const TempDir dir;
  write_file_atomic(dir.path() / "preprocessor_config.json", text);
  return ImageProcessor::from_pretrained(dir.path());
}

template <class E>
std::string message(const std::string& text) {
  try {
    from_text(text);
  } catch (const E& error) {
    const std::string what = error.what();
    return what.substr(what.find(".json: ") + 7);
  }
  return "accepted";
}

}  // namespace

TEST_CASE("an image processor survives saving and loading", "[image][processor]") {
  ImageProcessorConfig config;
  config.size = 64;
  config.resample = 3;
  config.rescale_factor = 1.0 / 256;
  config.image_mean = {0.485, 0.456, 0.406};
  config.image_std = {0.229, 0.224, 0.225};
  const TempDir dir;
  ImageProcessor(config).save_pretrained(dir.path());
  const ImageProcessorConfig back = ImageProcessor::from_pretrained(dir.path()).config();
  CHECK(back.size == 64);
  CHECK(back.resample == 3);
  CHECK(back.rescale_factor == config.rescale_factor);
  CHECK(back.image_mean == config.image_mean);
  CHECK(back.image_std == config.image_std);
}

TEST_CASE("the file has the keys that Transformers.js and transformers look for", "[image][processor]") {
  const TempDir dir;
  ImageProcessor().save_pretrained(dir.path());
  CHECK(read_json(dir.path() / "preprocessor_config.json") == nlohmann::json::parse(R"({
    "image_processor_type": "ViTImageProcessor", "do_resize": true, "size": {"height": 224, "width": 224},
    "resample": 2, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})"));
}

TEST_CASE("sizes are read as a number or as height and width", "[image][processor]") {
  CHECK(from_text(R"({"size": 96, "image_processor_type": "ViTFeatureExtractor"})").config().size == 96);
  CHECK(from_text(R"({"size": {"height": 32, "width": 32}})").config().size == 32);
  CHECK(from_text("{}").config().size == 224);
  CHECK(message<UnsupportedError>(R"({"size": {"height": 32, "width": 48}})") ==
        R"("size" is {"height":32,"width":48}; only square pictures are supported.)");
  CHECK(message<UnsupportedError>(R"({"size": {"shortest_edge": 224}})") ==
        R"("size" is {"shortest_edge":224}; only {"height": H, "width": W} is supported without "do_center_crop".)");
}

TEST_CASE("steps that are switched off become neutral numbers", "[image][processor]") {
  const auto config = from_text(R"({"do_rescale": false, "do_normalize": false})").config();
  CHECK(config.rescale_factor == 1);
  CHECK(config.image_mean == std::vector<double>{0, 0, 0});
  CHECK(config.image_std == std::vector<double>{1, 1, 1});
  CHECK(message<UnsupportedError>(R"({"do_resize": false})") ==
        R"("do_resize" is false; the encoder needs one fixed size.)");
}

TEST_CASE("a processor that cuts out the middle is saved as CLIPImageProcessor and read back", "[image][processor]") {
  ImageProcessorConfig config;
  config.size = 96;
  config.do_center_crop = true;
  const TempDir dir;
  ImageProcessor(config).save_pretrained(dir.path());
  CHECK(read_json(dir.path() / "preprocessor_config.json") == nlohmann::json::parse(R"({
    "image_processor_type": "CLIPImageProcessor", "do_resize": true, "size": {"shortest_edge": 96},
    "do_center_crop": true, "crop_size": {"height": 96, "width": 96}, "do_convert_rgb": true,
    "resample": 2, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})"));
  CHECK(ImageProcessor::from_pretrained(dir.path()).config().shortest_edge == 0);
  config.shortest_edge = 128;
  ImageProcessor(config).save_pretrained(dir.path());
  const ImageProcessor back = ImageProcessor::from_pretrained(dir.path());
  CHECK(back.config().do_center_crop);
  CHECK(back.config().size == 96);
  CHECK(back.config().shortest_edge == 128);
  CHECK(back.wanted_size().height == 128);
}

TEST_CASE("what a file for CLIP leaves out has the defaults of CLIPImageProcessor", "[image][processor]") {
  const auto config = from_text(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 256})").config();
  CHECK(config.do_center_crop);
  CHECK(config.size == 224);
  CHECK(config.shortest_edge == 256);
  CHECK(config.resample == 3);
  CHECK(config.image_mean == std::vector<double>{0.48145466, 0.4578275, 0.40821073});
  CHECK(from_text(R"({"image_processor_type": "CLIPImageProcessorFast"})").config().shortest_edge == 0);
}

TEST_CASE("cutting is read where it makes a square of a picture's middle", "[image][processor]") {
  const auto config =
      from_text(R"({"do_center_crop": true, "size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}})")
          .config();
  CHECK(config.do_center_crop);
  CHECK(config.size == 64);
  CHECK(config.shortest_edge == 72);
  // A square picture loses nothing when the same square is cut out of it.
  const std::string square = R"("size": {"height": 64, "width": 64}, "do_center_crop": true, "crop_size": )";
  CHECK_FALSE(from_text("{" + square + "64}").config().do_center_crop);
  CHECK(message<UnsupportedError>("{" + square + "32}") ==
        R"("size" is {"height":64,"width":64} and "do_center_crop" is true; )"
        "cutting a squashed picture is not supported.");
  CHECK(message<UnsupportedError>(
            R"({"do_center_crop": true, "size": {"shortest_edge": 64, "longest_edge": 96}, "crop_size": 64})") ==
        R"("size" is {"longest_edge":96,"shortest_edge":64}; )"
        R"(only {"shortest_edge": S} is supported with "do_center_crop".)");
  CHECK(message<DataError>(R"({"do_center_crop": true, "size": {"shortest_edge": 0}})") ==
        R"("size.shortest_edge" is 0; expected a whole number from 1 to 4096.)");
  ImageProcessorConfig alone;
  alone.shortest_edge = 64;
  CHECK_THROWS_WITH(ImageProcessor(alone),
                    "image processor: shortest_edge is 64, but do_center_crop is false; set it to "
                    "true or leave shortest_edge out.");
}

TEST_CASE("cutting keeps the middle and fills what is missing with black", "[image][processor]") {
  // Four columns of grey levels 10, 20, 30, 40 and two rows.
  Image image{.height = 2, .width = 4, .rgb = {}};
  for (int y = 0; y < 2; ++y)
    for (const std::uint8_t grey : {10, 20, 30, 40}) image.rgb.insert(image.rgb.end(), 3, grey);
  ImageProcessorConfig config;
  config.do_center_crop = true;
  config.resample = 0;
  config.shortest_edge = 2;
  config.size = 8;
  const Image filled = ImageProcessor(config).resize(image);
  REQUIRE(filled.rgb.size() == 8 * 8 * 3);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x) {
      const bool inside = y >= 3 && y < 5 && x >= 2 && x < 6;
      CHECK(int{filled.rgb[static_cast<std::size_t>((y * 8 + x) * 3)]} == (inside ? 10 * (x - 1) : 0));
    }
  config.shortest_edge = 16;  // 16 x 32, of which rows 4 to 11 and columns 12 to 19 stay
  const Image cut = ImageProcessor(config).resize(image);
  CHECK(int{cut.rgb[0]} == 20);
  CHECK(int{cut.rgb[7 * 3]} == 30);
  const Image line{.height = 1, .width = 60000, .rgb = std::vector<std::uint8_t>(60000 * 3, 7)};
  config.shortest_edge = 4096;
  CHECK_THROWS_WITH(ImageProcessor(config).resize(line),
                    "a picture of 60000x1 pixels is too narrow to make its shorter side 4096");
  config.shortest_edge = 500;  // 30 million pixels long, of which only the middle is computed
  CHECK(ImageProcessor(config).resize(line).rgb == std::vector<std::uint8_t>(8 * 8 * 3, 7));
}

TEST_CASE("wrong values of preprocessor_config.json are named", "[image][processor]") {
  CHECK(message<DataError>(R"({"size": "big"})") == R"("size" is "big"; expected a whole number from 8 to 4096.)");
  CHECK(message<DataError>(R"({"resample": 9})") == R"("resample" is 9; expected a whole number from 0 to 5.)");
  CHECK(message<DataError>(R"({"image_mean": [0.5, "x", 0.5]})") ==
        R"("image_mean" is [0.5,"x",0.5]; expected a list of 3 numbers.)");
  CHECK(message<DataError>(R"({"image_std": [0.5, 0.5]})") ==
        "image_mean has 3 and image_std 2 numbers; expected 3 each.");
  CHECK(message<DataError>(R"({"image_std": [0.5, 0, 0.5]})") == "image_std holds 0; expected numbers above 0.");
  CHECK(message<DataError>(R"({"do_rescale": 1})") == R"("do_rescale" is 1; expected true or false.)");
  CHECK(message<DataError>("[]") == "found no JSON object; expected an image processor's settings.");
  const TempDir dir;
  CHECK_THROWS_AS(ImageProcessor::from_pretrained(dir.path()), DataError);
  ImageProcessorConfig config;
  config.image_std = {1};
  CHECK_THROWS_AS(ImageProcessor(config), ConfigError);
}

TEST_CASE("normalising maps grey levels to the encoder's range, channels first", "[image][processor]") {
  at::Tensor pixels_BHWC = at::zeros({2, 4, 6, 3}, at::kByte);
  pixels_BHWC[1][2][5][0] = 255;
  pixels_BHWC[0][0][0][2] = 51;
  const at::Tensor out_BCHW = ImageProcessor().normalize(pixels_BHWC);
  CHECK(out_BCHW.sizes().vec() == std::vector<std::int64_t>{2, 3, 4, 6});
  CHECK(out_BCHW.is_contiguous());
  CHECK(out_BCHW[0][0][0][0].item<float>() == -1.0F);
  CHECK(out_BCHW[1][0][2][5].item<float>() == 1.0F);
  CHECK(out_BCHW[0][2][0][0].item<float>() == Approx(-0.6).margin(1e-6));
  ImageProcessorConfig config;
  config.image_mean = {0.1, 0.2, 0.3};
  config.image_std = {1, 2, 4};
  const at::Tensor one_BCHW = ImageProcessor(config).normalize(at::full({1, 1, 3}, 102, at::kByte));
  CHECK(one_BCHW.sizes().vec() == std::vector<std::int64_t>{1, 3, 1, 1});
  CHECK(one_BCHW[0][0][0][0].item<float>() == Approx(0.3).margin(1e-6));
  CHECK(one_BCHW[0][1][0][0].item<float>() == Approx(0.1).margin(1e-6));
  CHECK(one_BCHW[0][2][0][0].item<float>() == Approx(0.025).margin(1e-6));
}

TEST_CASE("a picture of any size becomes the encoder's input", "[image][processor]") {
  ImageProcessorConfig config;
  config.size = 16;
  const Image image{.height = 5, .width = 40, .rgb = std::vector<std::uint8_t>(5 * 40 * 3, 255)};
  const at::Tensor pixels_BCHW = ImageProcessor(config)(image);
  CHECK(pixels_BCHW.sizes().vec() == std::vector<std::int64_t>{1, 3, 16, 16});
  CHECK(pixels_BCHW.min().item<float>() == 1.0F);
}
