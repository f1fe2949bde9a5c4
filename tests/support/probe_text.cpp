// Tokenizer commands of the probe that the Python tests drive:
//   tokenizer-save TOKENIZER OUTPUT_DIR                        opens and saves again
//   tokenizer-train KIND CAPTIONS.txt OPTIONS.json OUTPUT_DIR  one caption a line; OPTIONS are keys of the
//                                                              training configuration of KIND
#include <nlohmann/json.hpp>
#include <string_view>

#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/text/train.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

// Fills a configuration from JSON by the names in its fields().
struct JsonReader {
  const nlohmann::json& json;
  template <class T, class... Rest>
  void operator()(const char* key, T& value, Rest&&...) {
    if (json.contains(key)) value = json.at(key).get<T>();
  }
};

template <class Config>
Config read_config(const fs::path& path) {
  const nlohmann::json options = read_json(path);
  Config config;
  JsonReader reader{options};
  config.fields(reader);
  return config;
}

}  // namespace

// Exit code, or -1 when argv[1] is none of these commands.
int probe_text(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "tokenizer-save" && argc == 4) {
    load_tokenizer(argv[2])->save(argv[3]);
    return 0;
  }
  if (command != "tokenizer-train" || argc != 6) return -1;
  auto captions = split(read_file(argv[3]), '\n');
  if (!captions.empty() && captions.back().empty()) captions.pop_back();
  if (std::string_view(argv[2]) == "byte_bpe") {
    train_byte_bpe(captions, read_config<ByteBpeTrainingConfig>(argv[4]), argv[5]);
  } else {
    train_sentencepiece(captions, read_config<SentencePieceTrainingConfig>(argv[4]), argv[5]);
  }
  return 0;
}
