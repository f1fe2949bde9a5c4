// The stack machine of pickle protocols 2 to 5, cut down to what torch.save of a state_dict writes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/pickle_value.h"

namespace capstan {

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> pickle, const std::string& path) : pickle_(pickle), path_(path) {}

  const PickleValue& run();  // the value on the stack at STOP; lives as long as the machine
  [[noreturn]] void fail(const std::string& what) const;

 private:
  bool step();  // false at STOP
  bool constant(unsigned char opcode);
  bool container(unsigned char opcode);
  bool memo(unsigned char opcode);

  template <class T>
  T take();
  std::string_view take_text(std::uint64_t length);
  std::string_view take_line();
  std::int64_t take_long();

  PickleValue* add(PickleKind kind);
  void push_int(std::int64_t number);
  void push_text(PickleKind kind, std::string_view text);
  void push_global(std::string_view module, std::string_view name);
  PickleValue* pop();
  PickleValue* pop(PickleKind kind, const char* what);
  PickleValue& top();
  std::vector<PickleValue*> pop_to_mark();
  void push_sequence(std::size_t length);
  void set_items(const std::vector<PickleValue*>& items);
  void remember(std::uint32_t key);
  void recall(std::uint32_t key);

  void persistent_id();
  void reduce();
  void build();
  void rebuild_tensor(const std::vector<PickleValue*>& arguments);

  std::span<const std::byte> pickle_;
  const std::string& path_;
  std::size_t at_ = 0;
  PickleArena arena_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, PickleValue*> memo_;
};

}  // namespace capstan
