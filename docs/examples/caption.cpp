// Captions pictures with a model folder: ./caption MODEL_DIR PICTURE...
// First the simple way, one picture in one thread; then many pictures, opened by several threads and drawn together.
#include <capstan/core/error.h>
#include <capstan/generate/captioner.h>
#include <capstan/generate/stream.h>
#include <capstan/image/decode.h>

#include <atomic>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

void caption_one(capstan::Captioner& captioner, const std::string& path) {
  std::cout << path << ": " << captioner.caption(capstan::read_image(path)) << '\n';
}

using Captions = std::future<std::vector<capstan::Caption>>;

// For any thread. A file that is no picture is known when the future is asked.
Captions submit(capstan::CaptionStream& stream, const capstan::Captioner& captioner, const std::string& path) {
  try {
    return stream.submit(captioner.pixels(capstan::read_image(path)));
  } catch (const capstan::Error&) {
    std::promise<std::vector<capstan::Caption>> failed;
    failed.set_exception(std::current_exception());
    return failed.get_future();
  }
}

void print(const std::string& path, Captions& captions) {
  try {
    for (const capstan::Caption& caption : captions.get())
      std::cout << path << ": " << caption.text << " (" << caption.score << ")\n";
  } catch (const capstan::Error& error) {
    std::cerr << error.what() << '\n';
  }
}

void caption_many(const std::shared_ptr<capstan::Captioner>& captioner, const std::vector<std::string>& paths) {
  std::vector<Captions> captions(paths.size());
  capstan::CaptionStream stream(captioner);
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (std::size_t mine = next++; mine < paths.size(); mine = next++)
        captions[mine] = submit(stream, *captioner, paths[mine]);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < paths.size(); ++i) print(paths[i], captions[i]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: caption MODEL_DIR PICTURE...\n";
    return 2;
  }
  try {
    capstan::CaptionerOptions options;
    options.generation = [](capstan::GenerationConfig& generation) {
      generation.num_beams = 4;
      generation.num_return_sequences = 2;
    };
    const auto captioner = std::make_shared<capstan::Captioner>(argv[1], options);
    caption_one(*captioner, argv[2]);
    caption_many(captioner, {argv + 2, argv + argc});
  } catch (const capstan::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
