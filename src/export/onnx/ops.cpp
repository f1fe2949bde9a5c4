// One node per function; the work is in deriving the shape of what comes out.
#include "export/onnx/ops.h"

#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"

namespace capstan::onnx {
namespace {

[[noreturn]] void misfit(const char* op, const Shape& a, const Shape& b) {
  throw Error(fmt::format("internal error while building an ONNX graph: {} of {} and {}; please report it", op,
                          to_string(a), to_string(b)));
}

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()), Dim(1));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Dim left = i < a.size() ? a[a.size() - 1 - i] : Dim(1);
    const Dim right = i < b.size() ? b[b.size() - 1 - i] : Dim(1);
    Dim& out = result[result.size() - 1 - i];
    if (left == Dim(1))
      out = right;
    else if (right == Dim(1) || left == right || !right.fixed())
      out = left;
    else if (!left.fixed())
      out = right;
    else
      misfit(op, a, b);
  }
  return result;
}

Value one(Graph& graph, const std::string& op, const std::vector<Value>& inputs, Type type, Shape shape,
          std::vector<Attribute> attributes = {}) {
  return graph.node(op, inputs, std::move(attributes), {{type, std::move(shape)}})[0];
}

Value elementwise(Graph& graph, const char* op, const Value& a, const Value& b) {
  if (a.type != b.type) misfit(op, a.shape, b.shape);
  return one(graph, op, {a, b}, a.type, broadcast(op, a.shape, b.shape));
}

}  // namespace

Value add(Graph& graph, const Value& a, const Value& b) { return elementwise(graph, "Add", a, b); }
Value mul(Graph& graph, const Value& a, const Value& b) { return elementwise(graph, "Mul", a, b); }
Value div(Graph& graph, const Value& a, const Value& b) { return elementwise(graph, "Div", a, b); }
Value pow(Graph& graph, const Value& a, const Value& b) { return elementwise(graph, "Pow", a, b); }

Value less_or_equal(Graph& graph, const Value& a, const Value& b) {
  return one(graph, "LessOrEqual", {a, b}, Type::kBool, broadcast("LessOrEqual", a.shape, b.shape));
}

Value where(Graph& graph, const Value& condition, const Value& yes, const Value& no) {
  const Shape shape = broadcast("Where", condition.shape, broadcast("Where", yes.shape, no.shape));
  return one(graph, "Where", {condition, yes, no}, yes.type, shape);
}

Value matmul(Graph& graph, const Value& a, const Value& b) {
  const std::size_t rank_a = a.shape.size(), rank_b = b.shape.size();
  if (rank_a < 2 || rank_b < 2) misfit("MatMul", a.shape, b.shape);
  const Dim& inner_a = a.shape[rank_a - 1];
  const Dim& inner_b = b.shape[rank_b - 2];
  if (inner_a.fixed() && inner_b.fixed() && inner_a != inner_b) misfit("MatMul", a.shape, b.shape);
  Shape shape =
      broadcast("MatMul", Shape(a.shape.begin(), a.shape.end() - 2), Shape(b.shape.begin(), b.shape.end() - 2));
  shape.push_back(a.shape[rank_a - 2]);
  shape.push_back(b.shape[rank_b - 1]);
  return one(graph, "MatMul", {a, b}, a.type, std::move(shape));
}

Value unary(Graph& graph, const std::string& op, const Value& x) { return one(graph, op, {x}, x.type, x.shape); }

Value softmax(Graph& graph, const Value& x) {
  return one(graph, "Softmax", {x}, x.type, x.shape, {{"axis", std::int64_t{-1}}});
}

Value layer_norm(Graph& graph, const Value& x, const Value& weight, const Value& bias, double epsilon) {
  if (x.shape.back() != weight.shape.at(0) || weight.shape != bias.shape) misfit("LayerNorm", x.shape, weight.shape);
  return one(graph, "LayerNormalization", {x, weight, bias}, x.type, x.shape,
             {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(epsilon)}});
}

Value transpose(Graph& graph, const Value& x, const std::vector<std::int64_t>& order) {
  CAPSTAN_ASSERT(order.size() == x.shape.size());
  Shape shape;
  for (const auto axis : order) shape.push_back(x.shape.at(static_cast<std::size_t>(axis)));
  return one(graph, "Transpose", {x}, x.type, std::move(shape), {{"perm", order}});
}

Value reshape(Graph& graph, const Value& x, const std::vector<std::int64_t>& sizes) {
  Shape shape;
  std::int64_t known_in = 1, known_out = 1;
  std::vector<Dim> open;  // sizes of x that only the run knows and that the result does not keep as they are
  for (const Dim& dim : x.shape) {
    if (dim.fixed())
      known_in *= dim.size;
    else
      open.push_back(dim);
  }
  Dim* rest = nullptr;
  shape.reserve(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    shape.push_back(sizes[i] == 0 ? x.shape.at(i) : sizes[i] == -1 ? Dim("") : Dim(sizes[i]));
    if (sizes[i] == -1)
      rest = &shape.back();
    else if (shape.back().fixed())
      known_out *= shape.back().size;
    else
      std::erase(open, shape.back());
  }
  const bool fits = !open.empty()     ? rest != nullptr
                    : rest != nullptr ? known_in % known_out == 0
                                      : known_in == known_out;
  if (!fits) misfit("Reshape", x.shape, shape);
  if (rest != nullptr && open.empty()) *rest = Dim(known_in / known_out);
  if (rest != nullptr && open.size() == 1 && known_in == known_out) *rest = open[0];
  return one(graph, "Reshape", {x, graph.constant(sizes)}, x.type, std::move(shape));
}

Value unsqueeze(Graph& graph, const Value& x, std::int64_t axis) {
  Shape shape = x.shape;
  shape.insert(shape.begin() + axis, Dim(1));
  return one(graph, "Unsqueeze", {x, graph.constant({axis})}, x.type, std::move(shape));
}

Value expand(Graph& graph, const Value& x, const Value& sizes, Shape result) {
  return one(graph, "Expand", {x, sizes}, x.type, std::move(result));
}

Value concat(Graph& graph, const std::vector<Value>& parts, std::int64_t axis, const Dim& joined) {
  const auto at = static_cast<std::size_t>(axis);
  Shape shape = parts.at(0).shape;
  std::int64_t total = 0;
  bool fixed = true;
  for (const Value& part : parts) {
    if (part.shape.size() != shape.size() || part.type != parts[0].type) misfit("Concat", shape, part.shape);
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (i != at && shape[i].fixed() && part.shape[i].fixed() && shape[i] != part.shape[i])
        misfit("Concat", shape, part.shape);
    fixed = fixed && part.shape[at].fixed();
    total += part.shape[at].size;
  }
  shape[at] = fixed ? Dim(total) : joined;
  return one(graph, "Concat", parts, parts[0].type, std::move(shape), {{"axis", axis}});
}

std::vector<Value> split(Graph& graph, const Value& x, int parts) {
  Shape shape = x.shape;
  if (!shape.back().fixed() || shape.back().size % parts != 0) misfit("Split", shape, {parts});
  shape.back() = Dim(shape.back().size / parts);
  const auto sizes = graph.constant(std::vector<std::int64_t>(static_cast<std::size_t>(parts), shape.back().size));
  return graph.node("Split", {x, sizes}, {{"axis", std::int64_t{-1}}},
                    std::vector<ValueType>(static_cast<std::size_t>(parts), ValueType{x.type, shape}));
}

Value slice_to(Graph& graph, const Value& x, const Value& end, std::int64_t axis, const Dim& result) {
  Shape shape = x.shape;
  shape.at(static_cast<std::size_t>(axis)) = result;
  return one(graph, "Slice", {x, graph.constant({0}), end, graph.constant({axis})}, x.type, std::move(shape));
}

Value gather(Graph& graph, const Value& table, const Value& indices, std::int64_t axis) {
  Shape shape = table.shape;
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, indices.shape.begin(), indices.shape.end());
  return one(graph, "Gather", {table, indices}, table.type, std::move(shape), {{"axis", axis}});
}

Value shape_dim(Graph& graph, const Value& x, std::int64_t axis) {
  return one(graph, "Shape", {x}, Type::kInt64, {1}, {{"start", axis}, {"end", axis + 1}});
}

Value squeeze(Graph& graph, const Value& x) { return one(graph, "Squeeze", {x, graph.constant({0})}, x.type, {}); }

Value range(Graph& graph, const Value& start, const Value& limit, const Dim& length) {
  return one(graph, "Range", {start, limit, graph.scalar(std::int64_t{1})}, Type::kInt64, {length});
}

Value cast(Graph& graph, const Value& x, Type type) {
  return one(graph, "Cast", {x}, type, x.shape, {{"to", static_cast<std::int64_t>(type)}});
}

}  // namespace capstan::onnx
