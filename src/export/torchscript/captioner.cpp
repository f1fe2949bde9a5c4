// encode, decode and the greedy loop, on top of the encoder's and decoder's methods.
#include <fmt/format.h>

#include "export/torchscript/models.h"
#include "export/torchscript/tree.h"

namespace capstan::torchscript {
namespace {

// Types stand as numbers of c10::ScalarType: 4 int64, 6 float32, 11 bool.
constexpr const char* kCaptioner = R"(
def encode(self, pixel_values: Tensor) -> Tensor:
    hidden = self.encoder.forward(pixel_values.to(self.encoder.embeddings.cls_token))
    return $projected

def decode(self, input_ids: Tensor, encoder_hidden_states: Tensor) -> Tensor:
    picture = self.decoder.look(encoder_hidden_states)
    hidden, past = self.decoder.step(input_ids, self.decoder.start(encoder_hidden_states), picture)
    return self.decoder.head(hidden)

def generate(self, pixel_values: Tensor, max_new_tokens: int = $max_new_tokens) -> Tensor:
    encoder_hidden = self.encode(pixel_values)
    picture = self.decoder.look(encoder_hidden)
    past = self.decoder.start(encoder_hidden)
    next = torch.full([encoder_hidden.size(0), 1], $start, dtype=4, device=encoder_hidden.device)
    ended = torch.zeros([encoder_hidden.size(0), 1], dtype=11, device=encoder_hidden.device)
    ids = [next]
    running = True
    left = min(max_new_tokens, $n_positions)
    while running and left > 0:
        hidden, past = self.decoder.step(next, past, picture)
        logits = self.decoder.head(hidden).to(6)
        next = torch.masked_fill(torch.argmax(logits, -1), ended, $pad)
        ids.append(next)
        ended = torch.logical_or(ended, torch.eq(next, $end))
        running = not bool(torch.all(ended))
        left -= 1
    return torch.cat(ids, 1)
)";

}  // namespace

torch::jit::Module build_captioner(const VisionEncoderDecoder& model, const GenerationConfig& generation) {
  const VisionEncoderDecoderConfig& config = model.config();
  const TensorMap state = model.state();
  torch::jit::Module root = build_tree(state);
  define_vit(root, config.encoder, config.encoder.qkv_bias);
  define_gpt2(root, config.decoder);
  const bool projects = state.contains("enc_to_dec_proj.weight");
  define(root, kCaptioner,
         {{"projected",
           projects ? "torch.linear(hidden, self.enc_to_dec_proj.weight, self.enc_to_dec_proj.bias)" : "hidden"},
          {"max_new_tokens", std::to_string(generation.max_new_tokens)},
          {"start", std::to_string(generation.decoder_start_token_id)},
          {"pad", std::to_string(generation.pad_token_id)},
          {"end", std::to_string(generation.eos_token_id)},
          {"n_positions", std::to_string(config.decoder.n_positions)}});
  root.eval();
  return root;
}

}  // namespace capstan::torchscript
