// ViT in TorchScript source, with the numerics of transformers' ViTModel.
#include <fmt/format.h>

#include "export/torchscript/models.h"
#include "export/torchscript/tree.h"

namespace capstan::torchscript {
namespace {

constexpr const char* kLayer = R"(
def heads(self, x: Tensor) -> Tensor:
    return x.reshape([x.size(0), x.size(1), $num_heads, $head_size]).transpose(1, 2)

def forward(self, x: Tensor) -> Tensor:
    normed = torch.layer_norm(x, [$width], self.layernorm_before.weight, self.layernorm_before.bias, $epsilon)
    query = self.heads(torch.linear(normed, self.attention.attention.query.weight, $query_bias))
    key = self.heads(torch.linear(normed, self.attention.attention.key.weight, $key_bias))
    value = self.heads(torch.linear(normed, self.attention.attention.value.weight, $value_bias))
    mixed = torch.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    mixed = mixed.reshape([x.size(0), x.size(1), $width])
    x = torch.linear(mixed, self.attention.output.dense.weight, self.attention.output.dense.bias) + x
    normed = torch.layer_norm(x, [$width], self.layernorm_after.weight, self.layernorm_after.bias, $epsilon)
    inner = torch.linear(normed, self.intermediate.dense.weight, self.intermediate.dense.bias)
    return torch.linear($active, self.output.dense.weight, self.output.dense.bias) + x
)";

constexpr const char* kEncoder = R"(
def forward(self, pixel_values: Tensor) -> Tensor:
    projection = self.embeddings.patch_embeddings.projection
    grid = torch.conv2d(pixel_values, projection.weight, projection.bias, [$patch, $patch])
    patches = grid.flatten(2).transpose(1, 2)
    cls = self.embeddings.cls_token.expand([pixel_values.size(0), 1, $width])
    x = torch.cat([cls, patches], 1) + self.embeddings.position_embeddings
$layers    return torch.layer_norm(x, [$width], self.layernorm.weight, self.layernorm.bias, $epsilon)
)";

}  // namespace

void define_vit(const torch::jit::Module& root, const VisionConfig& config, bool has_qkv_bias) {
  const auto bias = [&](const char* name) {
    return has_qkv_bias ? fmt::format("self.attention.attention.{}.bias", name) : std::string("None");
  };
  const Values values{{"num_heads", std::to_string(config.num_attention_heads)},
                      {"head_size", std::to_string(config.hidden_size / config.num_attention_heads)},
                      {"width", std::to_string(config.hidden_size)},
                      {"epsilon", fmt::format("{:e}", config.layer_norm_eps)},
                      {"query_bias", bias("query")},
                      {"key_bias", bias("key")},
                      {"value_bias", bias("value")},
                      {"active", activation(config.hidden_act, "inner")},
                      {"patch", std::to_string(config.patch_size)}};
  std::string layers;
  for (int i = 0; i < config.num_hidden_layers; ++i) {
    define(module_at(root, fmt::format("encoder.encoder.layer.{}", i)), kLayer, values);
    layers += fmt::format("    x = getattr(self.encoder.layer, \"{}\").forward(x)\n", i);
  }
  Values with_layers = values;
  with_layers["layers"] = layers;
  define(module_at(root, "encoder"), kEncoder, with_layers);
}

}  // namespace capstan::torchscript
