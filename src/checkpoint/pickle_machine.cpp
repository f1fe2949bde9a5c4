// One opcode at a time. The numbers of the opcodes are those of Python's pickletools.
#include "checkpoint/pickle_machine.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "capstan/core/error.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

constexpr std::size_t kMaxValues = 2'000'000;  // a weight takes about a dozen

enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

}  // namespace

void PickleMachine::fail(const std::string& what) const {
  throw CheckpointError(
      fmt::format("{}: {} (byte {} of its pickle). Save the plain state_dict again, or take "
                  "safetensors files.",
                  path_, what, at_));
}

const PickleValue& PickleMachine::run() {
  while (step()) {
  }
  return *pop();
}

bool PickleMachine::step() {
  const auto opcode = take<unsigned char>();
  if (opcode == kStop) return false;
  if (constant(opcode) || container(opcode) || memo(opcode)) return true;
  switch (opcode) {
    case kProto:
      if (const auto version = take<unsigned char>(); version < 2 || version > 5)
        fail(fmt::format("it is a pickle of protocol {}; 2 to 5 are read", version));
      return true;
    case kFrame:
      take<std::uint64_t>();
      return true;
    case kGlobal: {
      const std::string_view module = take_line();
      push_global(module, take_line());
      return true;
    }
    case kStackGlobal: {
      const PickleValue* const name = pop(PickleKind::kString, "the name of a global");
      push_global(pop(PickleKind::kString, "the module of a global")->text, name->text);
      return true;
    }
    case kBinPersId:
      persistent_id();
      return true;
    case kReduce:
      reduce();
      return true;
    case kBuild:
      build();
      return true;
    default:
      fail(fmt::format("its pickle has the opcode 0x{:02x}, which no state_dict needs; it is not carried out", opcode));
  }
}

bool PickleMachine::constant(unsigned char opcode) {
  switch (opcode) {
    case kNone:
      stack_.push_back(add(PickleKind::kNone));
      return true;
    case kNewTrue:
    case kNewFalse:
      stack_.push_back(add(PickleKind::kBool));
      top().number = opcode == kNewTrue ? 1 : 0;
      return true;
    case kBinInt:
      push_int(take<std::int32_t>());
      return true;
    case kBinInt1:
      push_int(take<unsigned char>());
      return true;
    case kBinInt2:
      push_int(take<std::uint16_t>());
      return true;
    case kLong1:
      push_int(take_long());
      return true;
    case kBinFloat:  // only in places that are not looked at
      take<std::uint64_t>();
      stack_.push_back(add(PickleKind::kFloat));
      return true;
    case kBinUnicode:
      push_text(PickleKind::kString, take_text(take<std::uint32_t>()));
      return true;
    case kShortBinUnicode:
      push_text(PickleKind::kString, take_text(take<unsigned char>()));
      return true;
    case kBinUnicode8:
      push_text(PickleKind::kString, take_text(take<std::uint64_t>()));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::container(unsigned char opcode) {
  switch (opcode) {
    case kMark:
      marks_.push_back(stack_.size());
      return true;
    case kEmptyTuple:
    case kEmptyList:
      push_sequence(0);
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3:
      push_sequence(opcode - kTuple1 + 1u);
      return true;
    case kTuple: {
      auto items = pop_to_mark();
      push_sequence(0);
      top().items = std::move(items);
      return true;
    }
    case kAppend:
    case kAppends: {
      const auto items = opcode == kAppend ? std::vector<PickleValue*>{pop()} : pop_to_mark();
      if (top().kind != PickleKind::kSequence) fail("its pickle appends to something that is no list");
      top().items.insert(top().items.end(), items.begin(), items.end());
      return true;
    }
    case kEmptyDict:
      stack_.push_back(add(PickleKind::kDict));
      return true;
    case kSetItem: {
      PickleValue* const value = pop();
      PickleValue* const key = pop();
      set_items({key, value});
      return true;
    }
    case kSetItems:
      set_items(pop_to_mark());
      return true;
    default:
      return false;
  }
}

bool PickleMachine::memo(unsigned char opcode) {
  switch (opcode) {
    case kBinPut:
      remember(take<unsigned char>());
      return true;
    case kLongBinPut:
      remember(take<std::uint32_t>());
      return true;
    case kMemoize:
      remember(static_cast<std::uint32_t>(memo_.size()));
      return true;
    case kBinGet:
      recall(take<unsigned char>());
      return true;
    case kLongBinGet:
      recall(take<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

template <class T>
T PickleMachine::take() {
  if (pickle_.size() - at_ < sizeof(T)) fail("its pickle ends in the middle");
  T value;
  std::memcpy(&value, pickle_.data() + at_, sizeof value);
  at_ += sizeof value;
  return value;
}

std::string_view PickleMachine::take_text(std::uint64_t length) {
  if (pickle_.size() - at_ < length) fail("its pickle ends in the middle");
  const std::string_view text(reinterpret_cast<const char*>(pickle_.data()) + at_, static_cast<std::size_t>(length));
  at_ += text.size();
  return text;
}

std::string_view PickleMachine::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(pickle_.data()) + at_, pickle_.size() - at_);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) fail("its pickle ends in the middle");
  at_ += end + 1;
  return rest.substr(0, end);
}

// Little-endian two's complement of a given number of bytes.
std::int64_t PickleMachine::take_long() {
  const auto length = take<unsigned char>();
  if (length > 8) fail("its pickle holds a whole number beyond 64 bits");
  const std::string_view bytes = take_text(length);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  if (length > 0 && length < 8 && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0)
    value |= ~std::uint64_t{0} << (8 * length);
  return static_cast<std::int64_t>(value);
}

PickleValue* PickleMachine::add(PickleKind kind) {
  if (arena_.size() >= kMaxValues) fail(fmt::format("its pickle makes more than {} values", kMaxValues));
  arena_.emplace_back().kind = kind;
  return &arena_.back();
}

void PickleMachine::push_int(std::int64_t number) {
  stack_.push_back(add(PickleKind::kInt));
  top().number = number;
}

void PickleMachine::push_text(PickleKind kind, std::string_view text) {
  stack_.push_back(add(kind));
  top().text = text;
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  push_text(PickleKind::kGlobal, fmt::format("{}.{}", module, name));
}

PickleValue* PickleMachine::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("its pickle takes a value where there is none");
  PickleValue* const value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleValue* PickleMachine::pop(PickleKind kind, const char* what) {
  PickleValue* const value = pop();
  if (value->kind != kind) fail(fmt::format("{} is {}; expected {}", what, kind_name(value->kind), kind_name(kind)));
  return value;
}

PickleValue& PickleMachine::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("its pickle takes a value where there is none");
  return *stack_.back();
}

std::vector<PickleValue*> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("its pickle closes a list that was not opened");
  std::vector<PickleValue*> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void PickleMachine::push_sequence(std::size_t length) {
  std::vector<PickleValue*> items(length);
  for (std::size_t i = length; i-- > 0;) items[i] = pop();
  stack_.push_back(add(PickleKind::kSequence));
  top().items = std::move(items);
}

void PickleMachine::set_items(const std::vector<PickleValue*>& items) {
  if (top().kind != PickleKind::kDict) fail("its pickle sets items of something that is no dictionary");
  if (items.size() % 2 != 0) fail("its pickle has a key without a value");
  top().items.insert(top().items.end(), items.begin(), items.end());
}

void PickleMachine::remember(std::uint32_t key) { memo_[key] = &top(); }

void PickleMachine::recall(std::uint32_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) fail(fmt::format("its pickle recalls {}, which it never stored", key));
  stack_.push_back(found->second);
}

}  // namespace capstan
