// The stream: many threads in, the same captions as one by one out.
#include "capstan/generate/stream.h"

#include <thread>

#include "capstan/core/error.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

std::shared_ptr<Captioner> tiny(const TempDir& folder, std::function<void(GenerationConfig&)> generation = nullptr) {
  write_tiny_folder(folder.path(), tiny_config());
  return std::make_shared<Captioner>(folder.path(),
                                     CaptionerOptions{.device = "cpu", .generation = std::move(generation)});
}

std::vector<at::Tensor> tiny_pixels(const Captioner& captioner, int count) {
  std::vector<at::Tensor> pixels;
  for (int i = 0; i < count; ++i) pixels.push_back(captioner.pixels(tiny_image(16 + i % 7, 1 + 2 * i)));
  return pixels;
}

using Texts = std::vector<std::string>;

Texts texts_of(const std::vector<Caption>& captions) {
  Texts texts;
  for (const Caption& caption : captions) texts.push_back(caption.text);
  return texts;
}

// What each picture gives with nobody beside it.
std::vector<Texts> alone(Captioner& captioner, const std::vector<at::Tensor>& pixels) {
  std::vector<Texts> all;
  for (const at::Tensor& picture : pixels) {
    const auto generator = captioner.generator(1);
    const std::uint64_t ticket = 0;
    generator->add(picture, {&ticket, 1});
    std::vector<Finished> finished;
    while (finished.empty()) finished = generator->step();
    all.push_back(texts_of(captioner.decoded(finished.front())));
  }
  return all;
}

}  // namespace

TEST_CASE("captions from several threads are those of one by one", "[generate][unit]") {
  const TempDir folder;
  const bool beams = GENERATE(false, true);
  const auto captioner = tiny(folder, [&](GenerationConfig& generation) {
    if (beams) generation.num_beams = 3, generation.num_return_sequences = 2;
  });
  const auto pixels = tiny_pixels(*captioner, 60);
  const auto expected = alone(*captioner, pixels);

  const int batch_size = GENERATE(1, 4, 0);
  CaptionStream stream(captioner, {.batch_size = batch_size, .max_waiting = 3});
  std::vector<Texts> found(pixels.size());
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < 5; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < pixels.size(); i += 5) {
        auto one = stream.submit(pixels[i]);
        found[i] = texts_of(one.get());
      }
    });
  for (std::thread& thread : threads) thread.join();
  REQUIRE(found == expected);

  const auto counts = stream.counts();
  REQUIRE(counts.submitted == 60);
  REQUIRE(counts.finished == 60);
  REQUIRE(counts.waiting == 0);
  REQUIRE(counts.running == 0);
  REQUIRE(counts.steps > 0);
  REQUIRE(counts.rows >= counts.steps * (beams ? 3U : 1U));
}

TEST_CASE("pictures that come together share their steps", "[generate][unit]") {
  const TempDir folder;
  const auto captioner = tiny(folder);
  const auto pixels = tiny_pixels(*captioner, 16);
  std::uint64_t one_by_one = 0, together = 0;
  {
    CaptionStream stream(captioner, {.batch_size = 8});
    for (const at::Tensor& picture : pixels) stream.submit(picture).get();
    one_by_one = stream.counts().steps;
  }
  {
    CaptionStream stream(captioner, {.batch_size = 8});
    std::vector<std::future<std::vector<Caption>>> all;
    for (const at::Tensor& picture : pixels) all.push_back(stream.submit(picture));
    for (auto& one : all) one.get();
    together = stream.counts().steps;
  }
  REQUIRE(together * 2 < one_by_one);
}

TEST_CASE("a picture of the wrong shape spoils only its own captions", "[generate][unit]") {
  const TempDir folder;
  const auto captioner = tiny(folder);
  const auto pixels = tiny_pixels(*captioner, 2);
  CaptionStream stream(captioner);
  auto good = stream.submit(pixels[0]);
  auto wide = stream.submit(at::zeros({1, 3, 16, 17}));
  auto none = stream.submit(at::Tensor());
  auto also_good = stream.submit(pixels[1]);
  REQUIRE_THROWS_WITH(wide.get(), ContainsSubstring("1 x 3 x 16 x 16"));
  REQUIRE_THROWS_AS(none.get(), DataError);
  REQUIRE(good.get().size() == 1);
  REQUIRE(also_good.get().size() == 1);
  REQUIRE(stream.counts().finished == 4);
}

TEST_CASE("the end of a stream finishes what was submitted", "[generate][unit]") {
  const TempDir folder;
  const auto captioner = tiny(folder);
  const auto pixels = tiny_pixels(*captioner, 20);
  std::vector<std::future<std::vector<Caption>>> all;
  {
    CaptionStream stream(captioner, {.batch_size = 2, .max_waiting = 32});
    for (const at::Tensor& picture : pixels) all.push_back(stream.submit(picture));
  }
  for (auto& one : all) REQUIRE(one.get().size() == 1);
}

TEST_CASE("a stopped stream finishes what is under way and refuses the rest", "[generate][unit]") {
  const TempDir folder;
  const auto captioner = tiny(folder);
  const auto pixels = tiny_pixels(*captioner, 20);
  CaptionStream stream(captioner, {.batch_size = 1, .max_waiting = 2});
  std::vector<std::future<std::vector<Caption>>> all(pixels.size());
  // The queue is full nearly always, so that stop() must also free a thread that waits for room in it.
  std::thread other([&] {
    for (std::size_t i = 0; i < pixels.size(); ++i) all[i] = stream.submit(pixels[i]);
  });
  while (stream.counts().finished < 1) std::this_thread::yield();
  stream.stop();
  other.join();
  std::size_t captioned = 0, refused = 0;
  for (auto& one : all) {
    try {
      captioned += one.get().size();
      REQUIRE(refused == 0);  // in order: none after the first that was refused
    } catch (const StoppedError&) {
      ++refused;
    }
  }
  REQUIRE(captioned >= 1);
  REQUIRE(captioned + refused == pixels.size());
  REQUIRE_THROWS_AS(stream.submit(pixels[0]).get(), StoppedError);
}

TEST_CASE("a stream refuses sizes that are none", "[generate][unit]") {
  const TempDir folder;
  const auto captioner = tiny(folder);
  REQUIRE_THROWS_AS(CaptionStream(captioner, {.batch_size = -1}), ConfigError);
  REQUIRE_THROWS_AS(CaptionStream(captioner, {.max_waiting = 0}), ConfigError);
  REQUIRE(CaptionStream(captioner).batch_size() == captioner->auto_batch_size());
}
