// Tokenizer commands of the probe that the Python tests drive:
//   tokenizer-save TOKENIZER OUTPUT_DIR [OPTIONS.json]         opens, with TokenizerOptions, and saves again
//   tokenizer-train KIND CAPTIONS.txt OPTIONS.json OUTPUT_DIR  one caption a line; OPTIONS are keys of the
//                                                              training configuration of KIND
#include <string_view>

#include "capstan/config/load.h"  // JSON is YAML
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/text/train.h"
#include "support/probe_commands.h"

// Exit code, or -1 when argv[1] is none of these commands.
int probe_text(int argc, char** argv) {
  using namespace capstan;
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "tokenizer-save" && (argc == 4 || argc == 5)) {
    const auto options = argc == 5 ? config::load<TokenizerOptions>(argv[4], {}) : TokenizerOptions{};
    load_tokenizer(argv[2], options)->save(argv[3]);
    return 0;
  }
  if (command != "tokenizer-train" || argc != 6) return -1;
  auto captions = split(read_file(argv[3]), '\n');
  if (!captions.empty() && captions.back().empty()) captions.pop_back();
  if (std::string_view(argv[2]) == "byte_bpe") {
    train_byte_bpe(captions, config::load<ByteBpeTrainingConfig>(argv[4], {}), argv[5]);
  } else {
    train_sentencepiece(captions, config::load<SentencePieceTrainingConfig>(argv[4], {}), argv[5]);
  }
  return 0;
}
