// The only calls that the interpreter knows, and what each may be given.
#include <fmt/format.h>

#include <array>
#include <string_view>

#include "capstan/core/error.h"
#include "checkpoint/pickle_machine.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

struct StorageType {
  std::string_view name;
  c10::ScalarType dtype;
};

constexpr std::array<StorageType, 10> kStorageTypes{{{"torch.FloatStorage", c10::ScalarType::Float},
                                                     {"torch.HalfStorage", c10::ScalarType::Half},
                                                     {"torch.BFloat16Storage", c10::ScalarType::BFloat16},
                                                     {"torch.DoubleStorage", c10::ScalarType::Double},
                                                     {"torch.LongStorage", c10::ScalarType::Long},
                                                     {"torch.IntStorage", c10::ScalarType::Int},
                                                     {"torch.ShortStorage", c10::ScalarType::Short},
                                                     {"torch.CharStorage", c10::ScalarType::Char},
                                                     {"torch.ByteStorage", c10::ScalarType::Byte},
                                                     {"torch.BoolStorage", c10::ScalarType::Bool}}};

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kTypeTag = "torch.jit._pickle.restore_type_tag";  // around containers that C++ programs save

std::string refusal(const std::string& global) {
  return fmt::format("its pickle asks for {}, which the weights of a model do not need; nothing of it was run",
                     shown(global));
}

bool is_empty_dict(const PickleValue& value) { return value.kind == PickleKind::kDict && value.items.empty(); }

}  // namespace

// ('storage', torch.FloatStorage, key, location, number of elements)
void PickleMachine::persistent_id() {
  const PickleValue* const id = pop(PickleKind::kSequence, "the reference to a storage");
  const auto is = [&](std::size_t i, PickleKind kind) { return id->items[i]->kind == kind; };
  if (id->items.size() != 5 || !is(0, PickleKind::kString) || id->items[0]->text != "storage" ||
      !is(1, PickleKind::kGlobal) || !is(2, PickleKind::kString) || !is(3, PickleKind::kString) ||
      !is(4, PickleKind::kInt) || id->items[4]->number < 0)
    fail("its pickle refers to a storage in a way that torch.save does not");
  const std::string& type = id->items[1]->text;
  for (const StorageType& known : kStorageTypes) {
    if (known.name != type) continue;
    stack_.push_back(add(PickleKind::kStorage));
    top().dtype = known.dtype;
    top().text = id->items[2]->text;
    top().number = id->items[4]->number;
    return;
  }
  fail(refusal(type));
}

void PickleMachine::reduce() {
  const PickleValue* const arguments = pop(PickleKind::kSequence, "the arguments of a call");
  const PickleValue* const callable = pop(PickleKind::kGlobal, "what its pickle calls");
  if (callable->text == kOrderedDict) {
    if (!arguments->items.empty()) fail("its pickle makes an OrderedDict from arguments");
    stack_.push_back(add(PickleKind::kDict));
  } else if (callable->text == kRebuildTensor) {
    rebuild_tensor(arguments->items);
  } else if (callable->text == kRebuildParameter) {
    if (arguments->items.empty() || arguments->items[0]->kind != PickleKind::kTensor)
      fail("its pickle makes a parameter of something that is no tensor");
    stack_.push_back(arguments->items[0]);
  } else if (callable->text == kTypeTag) {
    if (arguments->items.size() != 2 || arguments->items[1]->kind != PickleKind::kString)
      fail("a type tag of its pickle is not an object and the name of a type");
    stack_.push_back(arguments->items[0]);
  } else {
    fail(refusal(callable->text));
  }
}

// (storage, offset, sizes, strides, requires_grad, hooks[, metadata]); the last two are empty for weights.
void PickleMachine::rebuild_tensor(const std::vector<PickleValue*>& arguments) {
  const auto is = [&](std::size_t i, PickleKind kind) { return arguments[i]->kind == kind; };
  if (arguments.size() < 6 || arguments.size() > 7 || !is(0, PickleKind::kStorage) || !is(1, PickleKind::kInt) ||
      !is(2, PickleKind::kSequence) || !is(3, PickleKind::kSequence) || !is(4, PickleKind::kBool))
    fail("its pickle makes a tensor in a way that torch.save does not");
  if (!is_empty_dict(*arguments[5])) fail("a tensor of its pickle has hooks");
  if (arguments.size() == 7 && !is(6, PickleKind::kNone) && !is_empty_dict(*arguments[6]))
    fail("a tensor of its pickle is conjugated or negated");
  for (const std::size_t i : {2u, 3u})
    for (const PickleValue* const item : arguments[i]->items)
      if (item->kind != PickleKind::kInt) fail("a size or stride of its pickle is no whole number");
  PickleValue* const tensor = add(PickleKind::kTensor);
  tensor->items.assign(arguments.begin(), arguments.begin() + 4);
  stack_.push_back(tensor);
}

// Attributes of a dictionary: state_dict() keeps version numbers there, which nothing needs.
void PickleMachine::build() {
  pop(PickleKind::kDict, "the state of an object");
  if (top().kind != PickleKind::kDict) fail(fmt::format("its pickle sets the state of {}", kind_name(top().kind)));
}

}  // namespace capstan
