// Layers of a trained model as ONNX nodes, from its parameters under Hugging Face's names. Every use of a weight goes
// through matmul() and the tied table: other number formats replace these and leave the emitters as they are.
#pragma once
#include <string>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/export/onnx_graph.h"

namespace capstan::onnx {

class Weights {
 public:
  // Names given to the methods continue `prefix` ("encoder."). Both references must outlive this object and the
  // writing of the graph.
  Weights(Graph& graph, const TensorMap& state, std::string prefix);

  Graph& graph() { return graph_; }
  bool has(const std::string& name) const;
  // CheckpointError when the model has no such parameter.
  const at::Tensor& tensor(const std::string& name) const;
  // The parameter as it is stored: biases, positions.
  Value parameter(const std::string& name);

  // x [..., in] times a weight [in, out], or, per head, x [B, N, T, in] times [N, in, out]. `name` is that of the
  // initializer.
  Value matmul(const Value& x, const std::string& name, const at::Tensor& weight);

  // x W + b: linear() for weights stored [out, in] (torch.nn.Linear), conv1d() for [in, out] (transformers' Conv1D).
  // The bias is left out where the model has none.
  Value linear(const Value& x, const std::string& layer);
  Value conv1d(const Value& x, const std::string& layer);
  Value layer_norm(const Value& x, const std::string& layer, double epsilon);

  // A token table [V, D] that is also the output layer is stored once, as [D, V]: rows of ids [B, T] -> [B, T, D],
  // and hidden states [B, T, D] -> logits [B, T, V].
  Value embed_tied(const Value& ids, const std::string& table);
  Value project_tied(const Value& hidden, const std::string& table);

 private:
  Value biased(const Value& x, const std::string& layer);

  Graph& graph_;
  const TensorMap& state_;
  std::string prefix_;
};

// The activations of transformers' ACT2FN that our models know, as primitive operators (the Gelu operator needs
// operator set 20). UnsupportedError for other names.
Value activation(Graph& graph, const std::string& name, const Value& x);

}  // namespace capstan::onnx
