// GPT-2 with cross-attention in TorchScript source, with the numerics of transformers' GPT2LMHeadModel. Its linear
// weights are stored [in, out], hence addmm-like products without a transpose.
#include <fmt/format.h>

#include "export/torchscript/models.h"
#include "export/torchscript/tree.h"

namespace capstan::torchscript {
namespace {

constexpr const char* kLayer = R"(
def heads(self, x: Tensor) -> Tensor:
    return x.reshape([x.size(0), x.size(1), $num_heads, $head_size]).transpose(1, 2)

def merged(self, x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape([x.size(0), x.size(2), $width])

def look(self, encoder_hidden: Tensor) -> Tuple[Tensor, Tensor]:
    key_value = torch.matmul(encoder_hidden, self.crossattention.c_attn.weight) + self.crossattention.c_attn.bias
    key, value = key_value.split($width, 2)
    return self.heads(key), self.heads(value)

def forward(self, x: Tensor, past_key: Tensor, past_value: Tensor, seen_key: Tensor,
            seen_value: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    normed = torch.layer_norm(x, [$width], self.ln_1.weight, self.ln_1.bias, $epsilon)
    query, key, value = (torch.matmul(normed, self.attn.c_attn.weight) + self.attn.c_attn.bias).split($width, 2)
    key = torch.cat([past_key, self.heads(key)], 2)
    value = torch.cat([past_value, self.heads(value)], 2)
    mixed = torch.scaled_dot_product_attention(self.heads(query), key, value, None, 0.0, x.size(1) > 1)
    x = torch.matmul(self.merged(mixed), self.attn.c_proj.weight) + self.attn.c_proj.bias + x
    normed = torch.layer_norm(x, [$width], self.ln_cross_attn.weight, self.ln_cross_attn.bias, $epsilon)
    query = torch.matmul(normed, self.crossattention.q_attn.weight) + self.crossattention.q_attn.bias
    mixed = torch.scaled_dot_product_attention(self.heads(query), seen_key, seen_value)
    x = x + (torch.matmul(self.merged(mixed), self.crossattention.c_proj.weight) + self.crossattention.c_proj.bias)
    normed = torch.layer_norm(x, [$width], self.ln_2.weight, self.ln_2.bias, $epsilon)
    inner = torch.matmul(normed, self.mlp.c_fc.weight) + self.mlp.c_fc.bias
    x = x + (torch.matmul($active, self.mlp.c_proj.weight) + self.mlp.c_proj.bias)
    return x, key, value
)";

constexpr const char* kDecoder = R"(
def look(self, encoder_hidden: Tensor) -> List[Tensor]:
    picture: List[Tensor] = []
$look_layers    return picture

def start(self, encoder_hidden: Tensor) -> List[Tensor]:
    past: List[Tensor] = []
    for i in range(2 * $num_layers):
        past.append(encoder_hidden.new_empty([encoder_hidden.size(0), $num_heads, 0, $head_size]))
    return past

def step(self, input_ids: Tensor, past: List[Tensor], picture: List[Tensor]) -> Tuple[Tensor, List[Tensor]]:
    positions = self.transformer.wpe.weight.narrow(0, past[0].size(2), input_ids.size(1))
    x = torch.embedding(self.transformer.wte.weight, input_ids) + positions
    present: List[Tensor] = []
$step_layers    x = torch.layer_norm(x, [$width], self.transformer.ln_f.weight, self.transformer.ln_f.bias, $epsilon)
    return x, present

def head(self, hidden: Tensor) -> Tensor:
    return torch.linear(hidden, self.$table.weight)
)";

}  // namespace

void define_gpt2(const torch::jit::Module& root, const Gpt2Config& config) {
  Values values{{"num_heads", std::to_string(config.n_head)},
                {"head_size", std::to_string(config.n_embd / config.n_head)},
                {"width", std::to_string(config.n_embd)},
                {"num_layers", std::to_string(config.n_layer)},
                {"epsilon", fmt::format("{:e}", config.layer_norm_epsilon)},
                {"active", activation(config.activation_function, "inner")},
                {"table", config.tie_word_embeddings ? "transformer.wte" : "lm_head"}};
  std::string look_layers, step_layers;
  for (int i = 0; i < config.n_layer; ++i) {
    define(module_at(root, fmt::format("decoder.transformer.h.{}", i)), kLayer, values);
    look_layers += fmt::format(
        "    key, value = getattr(self.transformer.h, \"{}\").look(encoder_hidden)\n"
        "    picture.append(key)\n"
        "    picture.append(value)\n",
        i);
    step_layers += fmt::format(
        "    x, key, value = getattr(self.transformer.h, \"{0}\").forward(x, past[{1}], past[{2}], "
        "picture[{1}], picture[{2}])\n"
        "    present.append(key)\n"
        "    present.append(value)\n",
        i, 2 * i, 2 * i + 1);
  }
  values["look_layers"] = look_layers;
  values["step_layers"] = step_layers;
  define(module_at(root, "decoder"), kDecoder, values);
}

}  // namespace capstan::torchscript
