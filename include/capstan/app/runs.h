// The YAML documents of the program: what `prepare`, `train` and `evaluate` can be told.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/core/fields.h"
#include "capstan/data/prepare.h"
#include "capstan/eval/evaluator.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/adapters.h"
#include "capstan/models/gpt2.h"
#include "capstan/models/vision.h"
#include "capstan/text/train.h"
#include "capstan/train/config.h"

namespace capstan::app {

// Where the tokenizer of a new cache comes from.
struct TokenizerSection {
  std::string path;
  std::string train = "none";
  ByteBpeTrainingConfig byte_bpe;
  SentencePieceTrainingConfig sentencepiece;
  TokenizerOptions options;

  template <class Visitor>
  void fields(Visitor& v) {
    v("path", path, "Folder with a tokenizer's files, or a SentencePiece .model file.");
    v("train", train, "Train a new tokenizer on the training captions instead.",
      one_of({"none", "byte_bpe", "sentencepiece"}));
    v("byte_bpe", byte_bpe, "How to train a byte-level BPE.");
    v("sentencepiece", sentencepiece, "How to train a SentencePiece model.");
    v("options", options, "How the tokenizer is opened.");
  }
  void check(std::vector<std::string>& problems) const;
};

struct PrepareRun {
  std::string output = "data/cache";
  std::vector<config::Component> sources;
  TokenizerSection tokenizer;
  PrepareConfig prepare;

  template <class Visitor>
  void fields(Visitor& v) {
    v("output", output, "Folder of the cache that is written.");
    v("sources", sources, "Data sets to read; `capstan list` names the kinds.");
    v("tokenizer", tokenizer, "Tokenizer of the captions.");
    prepare.fields(v);  // on the same level
  }
  void check(std::vector<std::string>& problems) const;
};

// What a model folder says about dropout, said anew; null keeps it.
struct DropoutSection {
  std::optional<double> hidden_dropout_prob;
  std::optional<double> attention_probs_dropout_prob;
  std::optional<double> resid_pdrop;
  std::optional<double> embd_pdrop;
  std::optional<double> attn_pdrop;

  template <class Visitor>
  void fields(Visitor& v) {
    v("hidden_dropout_prob", hidden_dropout_prob, "Encoder: after embeddings and sub-layers.", between(0, 1));
    v("attention_probs_dropout_prob", attention_probs_dropout_prob, "Encoder: of attention weights.", between(0, 1));
    v("resid_pdrop", resid_pdrop, "Decoder: after sub-layers.", between(0, 1));
    v("embd_pdrop", embd_pdrop, "Decoder: of embeddings.", between(0, 1));
    v("attn_pdrop", attn_pdrop, "Decoder: of attention weights.", between(0, 1));
  }
};

// Which model is trained: a whole one continued, two parts joined, or a fresh one of the given shape.
struct ModelSection {
  std::string from_pretrained;
  std::string encoder_from;
  std::string decoder_from;
  VisionConfig encoder;
  Gpt2Config decoder;
  DropoutSection dropout;
  LoraConfig lora;

  template <class Visitor>
  void fields(Visitor& v) {
    v("from_pretrained", from_pretrained, "Folder of a VisionEncoderDecoderModel to continue from.");
    v("encoder_from", encoder_from, "Folder of a ViT, DeiT or SigLIP to start the encoder from; needs decoder_from.");
    v("decoder_from", decoder_from, "Folder of a GPT-2 to start the decoder from; cross-attention starts fresh.");
    v("encoder", encoder,
      "Shape of a fresh encoder. drop_path_rate, attn_implementation and interpolate_pos_encoding (here: change the "
      "model to the size of the prepared pictures) hold for a loaded one too.");
    v("decoder", decoder,
      "Shape of a fresh decoder; vocab_size is taken from the tokenizer. drop_path_rate and attn_implementation hold "
      "for "
      "a loaded one too.");
    v("dropout", dropout, "Dropout of a loaded model where it shall differ from what its config.json says.");
    v("lora", lora, "Train a low-rank adapter instead of the weights.");
  }
  void check(std::vector<std::string>& problems) const;
};

struct TrainRun {
  std::string data = "data/cache";
  std::string output = "checkpoints/run";
  std::string device = "auto";
  int num_threads = 0;
  std::string resume = "auto";
  ModelSection model;
  TrainerConfig train;
  ParallelConfig parallel;
  GenerationConfig generation;
  std::vector<config::Component> stages;
  // Each stage with what it has from here, in order; filled in by load_train_run. Empty for a run without stages.
  std::vector<TrainRun> resolved_stages;

  template <class Visitor>
  void fields(Visitor& v) {
    v("data", data, "Cache that `capstan prepare` wrote.");
    v("output", output, "Folder of the run: checkpoints, metrics.jsonl, config.yaml.");
    v("device", device, "auto, cpu, cuda or cuda:N.");
    v("num_threads", num_threads, "CPU threads of LibTorch; 0 leaves the choice to it.", between(0, 1024));
    v("resume", resume, "auto continues a run that was cut short, never refuses to, or a checkpoint to go on from.");
    v("model", model, "What is trained.");
    v("train", train, "How it is trained.");
    v("parallel", parallel, "How processes share the work.");
    v("stages", stages,
      "Runs that follow each other, each a name and under `config` the keys in which it differs (data, model.freeze, "
      "train.learning_rate, ...). A stage starts from the best weights of the one before; its folder is "
      "OUTPUT/<number>-<name>.");
    v("generation", generation, "How captions are drawn in evaluations, and the default of the finished model.");
  }
};

struct EvaluateRun {
  std::string model = "checkpoints/run";
  std::string data = "data/cache";
  std::string split = "test";
  std::string output = "evaluation";
  std::vector<std::string> metrics{"rouge"};
  bool use_stemmer = true;
  int batch_size = 32;
  std::int64_t max_images = 0;
  int max_new_tokens = 0;
  std::string device = "auto";
  std::string dtype = "float32";
  int samples = 5;
  bool overwrite = true;

  template <class Visitor>
  void fields(Visitor& v) {
    v("model", model, "Model folder, checkpoint or run; of a run the best checkpoint is taken.");
    v("data", data, "Cache that `capstan prepare` wrote.");
    v("split", split, "Which part of it.");
    v("output", output, "Folder for evaluation.json and config.yaml.");
    v("metrics", metrics, "Scores to compute; `capstan list` names them.");
    v("use_stemmer", use_stemmer, "Compare word stems in ROUGE.");
    v("batch_size", batch_size, "Pictures captioned together.", between(1, 4096));
    v("max_images", max_images, "Only the first so many pictures; 0 means all.", at_least(0));
    v("max_new_tokens", max_new_tokens, "Longest caption; 0 means what the model's generation_config.json says.",
      between(0, 4096));
    v("device", device, "auto, cpu, cuda or cuda:N.");
    v("dtype", dtype, "Number type of the weights.", one_of({"float32", "bfloat16", "float16"}));
    v("samples", samples, "Captions shown in the table.", between(0, 1000));
    v("overwrite", overwrite, "Replace an evaluation that is already there.");
  }
  void check(std::vector<std::string>& problems) const;
};

}  // namespace capstan::app
