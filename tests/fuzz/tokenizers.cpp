// Every file of a byte-level BPE and of a SentencePiece tokenizer, damaged one at a time.
#include <algorithm>

#include "capstan/core/files.h"
#include "capstan/text/tokenizer.h"
#include "capstan/text/train.h"
#include "fuzz/fuzz.h"

namespace capstan::fuzz {
namespace {

const std::vector<std::string>& captions() {
  static const std::vector<std::string> texts = [] {
    const std::vector<std::string> subjects{"a dog", "two cats", "the old man", "some children", "a red bus"};
    const std::vector<std::string> acts{"runs on the beach", "sits by a window", "crosses the street", "eats an apple"};
    std::vector<std::string> list;
    for (const auto& subject : subjects)
      for (const auto& act : acts) list.push_back(subject + " " + act + ".");
    return list;
  }();
  return texts;
}

void use(const fs::path& path) {
  const auto tokenizer = load_tokenizer(path);
  for (const std::string text :
       {"a dog eats an apple.", "\xc3\xa9t\xc3\xa9 \xf0\x9f\x98\x80", "", "  two\n\ncats\xff"}) {
    const auto ids = tokenizer->encode(text);
    tokenizer->decode(ids);
    tokenizer->decode(ids, false);
  }
  const std::int64_t last = tokenizer->vocab_size() - 1;
  if (last >= 0) tokenizer->id_to_token(last);
}

void add_targets(const std::string& kind, const fs::path& folder, std::vector<Target>& targets) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const std::string good = read_file(file);
    const auto open = [folder, file, good](const std::string& bytes) {
      put(file, bytes);
      try {
        use(folder);
      } catch (...) {
        put(file, good);
        throw;
      }
      put(file, good);
    };
    targets.push_back({kind + " " + file.filename().string(), {good}, open});
  }
}

}  // namespace

std::vector<Target> tokenizer_targets(const fs::path& folder) {
  std::vector<Target> targets;
  ByteBpeTrainingConfig bpe;
  bpe.vocab_size = 300;
  train_byte_bpe(captions(), bpe, folder / "bpe");
  add_targets("byte_bpe", folder / "bpe", targets);
  // The two plain files alone are read where there is no tokenizer.json.
  fs::create_directories(folder / "plain");
  for (const char* name : {"vocab.json", "merges.txt"}) fs::copy_file(folder / "bpe" / name, folder / "plain" / name);
  add_targets("plain byte_bpe", folder / "plain", targets);
  SentencePieceTrainingConfig sentencepiece;
  sentencepiece.vocab_size = 60;
  train_sentencepiece(captions(), sentencepiece, folder / "sentencepiece");
  add_targets("sentencepiece", folder / "sentencepiece", targets);
  return targets;
}

}  // namespace capstan::fuzz
