// The operators our graphs are made of, with the shapes of their results derived and checked while the graph grows.
// A shape that cannot fit is our own mistake and stops the export there, with the names of both shapes.
#pragma once
#include <vector>

#include "capstan/export/onnx_graph.h"

namespace capstan::onnx {

// Broadcasting: the element-wise operators and MatMul follow numpy's rules.
Value add(Graph& graph, const Value& a, const Value& b);
Value mul(Graph& graph, const Value& a, const Value& b);
Value div(Graph& graph, const Value& a, const Value& b);
Value pow(Graph& graph, const Value& a, const Value& b);
Value less_or_equal(Graph& graph, const Value& a, const Value& b);
Value where(Graph& graph, const Value& condition, const Value& yes, const Value& no);
Value matmul(Graph& graph, const Value& a, const Value& b);

Value unary(Graph& graph, const std::string& op, const Value& x);  // "Erf", "Tanh", "Relu", "Sigmoid": same shape
Value softmax(Graph& graph, const Value& x);                       // over the last dimension
Value layer_norm(Graph& graph, const Value& x, const Value& weight, const Value& bias, double epsilon);

Value transpose(Graph& graph, const Value& x, const std::vector<std::int64_t>& order);
// 0 keeps the dimension at that place, -1 is what remains.
Value reshape(Graph& graph, const Value& x, const std::vector<std::int64_t>& sizes);
Value unsqueeze(Graph& graph, const Value& x, std::int64_t axis);
Value expand(Graph& graph, const Value& x, const Value& sizes, Shape result);
Value concat(Graph& graph, const std::vector<Value>& parts, std::int64_t axis, const Dim& joined = "");
std::vector<Value> split(Graph& graph, const Value& x, int parts);  // of the last dimension, equal sizes
// x[0:end] along `axis`; `end` is int64 [1].
Value slice_to(Graph& graph, const Value& x, const Value& end, std::int64_t axis, const Dim& result);
Value gather(Graph& graph, const Value& table, const Value& indices, std::int64_t axis);

Value shape_dim(Graph& graph, const Value& x, std::int64_t axis);                      // int64 [1]
Value squeeze(Graph& graph, const Value& x);                                           // [1] -> []
Value range(Graph& graph, const Value& start, const Value& limit, const Dim& length);  // of int64 scalars, step 1
Value cast(Graph& graph, const Value& x, Type type);

}  // namespace capstan::onnx
