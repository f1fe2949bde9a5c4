// Files of torch.save: what torch writes is read, whatever asks for more than tensors is refused by name.
#include "capstan/checkpoint/torch_archive.h"

#include <ATen/ATen.h>

#include <fstream>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"
#include "support/torch_archive.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

TensorMap read_bytes(const std::string& bytes) {
  const TempDir folder;
  const fs::path path = folder.path() / "pytorch_model.bin";
  std::ofstream(path, std::ios::binary) << bytes;
  return read_torch_archive(path);
}

std::string complaint(const std::string& bytes) {
  try {
    read_bytes(bytes);
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "no error";
}

// What is said about a pickle that holds `value` under the name "a".
std::string complaint_about(const std::string& value) {
  return complaint(archive_of(pickled_dict(pickled("a"), value)));
}

}  // namespace

TEST_CASE("what torch saves is read in every type and layout", "[checkpoint][torch_archive]") {
  const at::Tensor whole = at::randn({6, 5});
  const TensorMap tensors{{"float", at::randn({3, 4})},
                          {"half", at::randn({5}).to(at::kHalf)},
                          {"brain", at::randn({2, 2}).to(at::kBFloat16)},
                          {"double", at::randn({3}, at::kDouble)},
                          {"long", at::arange(4)},
                          {"int", at::arange(4, at::kInt)},
                          {"short", at::arange(4, at::kShort)},
                          {"char", at::arange(4, at::kChar)},
                          {"byte", at::arange(4, at::kByte)},
                          {"bool", at::randn({5}).gt(0)},
                          {"scalar", at::scalar_tensor(2.5)},
                          {"transposed", whole.t()},
                          {"part", whole.narrow(0, 2, 3).narrow(1, 1, 2)},
                          {"empty", at::empty({0, 3})}};
  const TensorMap back = read_bytes(torch_file(tensors));
  REQUIRE(back.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    CHECK(back.at(name).scalar_type() == tensor.scalar_type());
    CHECK(at::equal(back.at(name), tensor));
  }
}

TEST_CASE("a hand-made archive is read, and changing a tensor does not touch the file", "[checkpoint][torch_archive]") {
  const TempDir folder;
  const fs::path path = folder.path() / "m.bin";
  const std::string bytes = archive_of(pickled_dict(pickled("a"), TensorPickle{}.bytes()));
  std::ofstream(path, std::ios::binary) << bytes;
  at::Tensor tensor = read_torch_archive(path).at("a");
  CHECK(tensor.sizes() == at::IntArrayRef({2, 2}));
  tensor.add_(1);
  CHECK(tensor.sum().item<float>() == 4);
  CHECK(read_file(path) == bytes);
}

TEST_CASE("a pickle that asks for code is refused by the name of it", "[checkpoint][torch_archive]") {
  const std::string call = pickled_global("os", "system") + "(" + pickled("touch owned") + "tR";
  CHECK_THAT(complaint_about(call), ContainsSubstring("asks for \"os.system\"") && ContainsSubstring("was run"));
  // Protocol 4 spells globals another way.
  CHECK_THAT(complaint_about("\x8c\x08"
                             "builtins"
                             "\x8c\x04"
                             "eval"
                             "\x93(" +
                             pickled("1") + "tR"),
             ContainsSubstring("asks for \"builtins.eval\""));
  TensorPickle tensor;
  tensor.rebuild = "_rebuild_sparse_tensor";
  CHECK_THAT(complaint_about(tensor.bytes()), ContainsSubstring("\"torch._utils._rebuild_sparse_tensor\""));
  tensor = {};
  tensor.storage_type = "ComplexFloatStorage";
  CHECK_THAT(complaint_about(tensor.bytes()), ContainsSubstring("\"torch.ComplexFloatStorage\""));
  CHECK_THAT(complaint_about("i" + std::string("os\nsystem\n")), ContainsSubstring("has the opcode 0x69"));
  CHECK_THAT(complaint_about(pickled_global("os", "system") + ")\x81"), ContainsSubstring("has the opcode 0x81"));
  CHECK_THAT(complaint_about(pickled_global("os", "system") + "}b"), ContainsSubstring("sets the state of a global"));
}

TEST_CASE("sizes that leave their storage are refused", "[checkpoint][torch_archive]") {
  const auto with = [](const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides,
                       std::int64_t offset = 0, std::int64_t numel = 4) {
    TensorPickle tensor;
    tensor.sizes = sizes;
    tensor.strides = strides;
    tensor.offset = offset;
    tensor.storage_numel = numel;
    return complaint_about(tensor.bytes());
  };
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  CHECK(with({2, 2}, {2, 1}) == "no error");
  CHECK(with({2, 2}, {1, 2}) == "no error");
  CHECK(with({1}, {kHuge}, 3) == "no error");
  CHECK_THAT(with({5}, {1}), ContainsSubstring("does not fit its storage of 4 elements"));
  CHECK_THAT(with({2, 2}, {2, 1}, 1), ContainsSubstring("offset 1 does not fit"));
  CHECK_THAT(with({2}, {1}, -1), ContainsSubstring("does not fit"));
  CHECK_THAT(with({-2}, {1}), ContainsSubstring("does not fit"));
  CHECK_THAT(with({2}, {-1}, 1), ContainsSubstring("does not fit"));
  CHECK_THAT(with({kHuge, 4}, {0, 0}), ContainsSubstring("does not fit"));
  CHECK_THAT(with({1000}, {0}), ContainsSubstring("does not fit"));  // repeats one number
  CHECK_THAT(with({3, 3}, {kHuge, kHuge}), ContainsSubstring("does not fit"));
  CHECK_THAT(with({2, 2}, {2}), ContainsSubstring("does not fit"));
  CHECK_THAT(with({0, kHuge, kHuge}, {1, 1, 1}), ContainsSubstring("does not fit"));
  CHECK_THAT(with({2, 2}, {2, 1}, 0, 5), ContainsSubstring("has 16 bytes; its pickle says 5 elements of Float"));
  CHECK_THAT(with({2, 2}, {2, 1}, 0, -1), ContainsSubstring("refers to a storage in a way"));
}

TEST_CASE("only a dictionary of tensors is a state_dict", "[checkpoint][torch_archive]") {
  const auto of = [](const std::string& pickle) { return complaint(archive_of(std::string("\x80\x02", 2) + pickle)); };
  CHECK_THAT(of("K\x01."), ContainsSubstring("it holds a whole number; expected a state_dict"));
  CHECK_THAT(complaint_about(pickled(std::int64_t{3})), ContainsSubstring("its entry \"a\" is a whole number"));
  CHECK_THAT(of("}K\x01K\x02s."), ContainsSubstring("a key of its dictionary is a whole number"));
  CHECK_THAT(of("}(" + pickled("a") + TensorPickle{}.bytes() + pickled("a") + TensorPickle{}.bytes() + "u."),
             ContainsSubstring("the name \"a\" appears twice"));
  CHECK_THAT(of("}(" + pickled("a") + "u."), ContainsSubstring("a key without a value"));
  TensorPickle tensor;
  tensor.hooks = "N";
  CHECK_THAT(complaint_about(tensor.bytes()), ContainsSubstring("has hooks"));
  tensor = {};
  tensor.key = "7";
  CHECK_THAT(complaint_about(tensor.bytes()), ContainsSubstring("the entry \"archive/data/7\" is missing"));
  tensor = {};
  tensor.storage_type = "BoolStorage";
  tensor.storage_numel = 16;
  CHECK_THAT(complaint(archive_of(pickled_dict(pickled("a"), tensor.bytes()), std::string(16, '\2'))),
             ContainsSubstring("bytes other than 0 and 1"));
}

TEST_CASE("a broken pickle stops where it breaks", "[checkpoint][torch_archive]") {
  const auto of = [](const std::string& pickle) { return complaint(archive_of(pickle)); };
  CHECK_THAT(of(""), ContainsSubstring("its pickle ends in the middle"));
  CHECK_THAT(of("\x80\x09."), ContainsSubstring("protocol 9"));
  CHECK_THAT(of("."), ContainsSubstring("takes a value where there is none"));
  CHECK_THAT(of("X\xff\xff\xff\xff"), ContainsSubstring("ends in the middle"));
  CHECK_THAT(of("cno newline"), ContainsSubstring("ends in the middle"));
  CHECK_THAT(of("t."), ContainsSubstring("closes a list that was not opened"));
  CHECK_THAT(of("h\x05."), ContainsSubstring("recalls 5, which it never stored"));
  CHECK_THAT(of("K\x01K\x02K\x03s."), ContainsSubstring("sets items of something that is no dictionary"));
  CHECK_THAT(of("NNa."), ContainsSubstring("appends to something that is no list"));
  CHECK_THAT(of("\x8a\x09" + std::string(9, '\1')), ContainsSubstring("beyond 64 bits"));
  CHECK_THAT(of(std::string(3'000'000, 'N')), ContainsSubstring("makes more than 2000000 values"));
  // A million levels, and a knot: freeing either must not recurse.
  CHECK_THAT(of(")" + std::string(1'000'000, '\x85') + "."), ContainsSubstring("it holds a list or tuple"));
  CHECK_THAT(of("]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a."), ContainsSubstring("it holds a list"));
}

TEST_CASE("a zip archive that lies about itself is refused", "[checkpoint][torch_archive]") {
  const std::string good = archive_of(pickled_dict(pickled("a"), TensorPickle{}.bytes()));
  CHECK(complaint(good) == "no error");
  CHECK_THAT(complaint("PK"), ContainsSubstring("2 bytes, fewer than an empty archive"));
  CHECK_THAT(complaint(good.substr(0, good.size() - 30)), ContainsSubstring("the end of its zip directory is missing"));
  CHECK_THAT(complaint(good.substr(0, 40) + good.substr(60)), ContainsSubstring("zip directory"));
  CHECK_THAT(complaint(stored_zip({{"archive/version", "3"}})), ContainsSubstring("it holds no data.pkl"));
  CHECK_THAT(complaint(stored_zip({{"a/data.pkl", "."}, {"b/data.pkl", "."}})), ContainsSubstring("more than one"));
  CHECK_THAT(complaint(stored_zip({{"a/data.pkl", "."}, {"a/data.pkl", "."}})), ContainsSubstring("there twice"));
  CHECK_THAT(complaint(stored_zip({{"a/data.pkl", "."}, {"a/byteorder", "big"}})),
             ContainsSubstring("its byte order is \"big\""));
  const std::string record = "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2);
  std::string encrypted = good;
  encrypted[encrypted.rfind(record) + 8] = 1;
  CHECK_THAT(complaint(encrypted), ContainsSubstring("is encrypted"));
  std::string compressed = good;
  compressed[compressed.rfind(record) + 10] = 8;
  CHECK_THAT(complaint(compressed), ContainsSubstring("is compressed"));
  std::string longer = good;  // the last entry claims one byte more
  for (const std::size_t at : {20u, 24u}) ++longer[longer.rfind(record) + at];
  CHECK_THAT(complaint(longer), ContainsSubstring("more than the file has"));
  std::string overlapping = good;  // the first entry, data.pkl, reaches into the content of the second
  for (const std::size_t at : {20u, 24u}) {
    char& low = overlapping[overlapping.find(record) + at];
    low = static_cast<char>(low + 48);
  }
  CHECK_THAT(complaint(overlapping), ContainsSubstring("overlap"));
}

TEST_CASE("a file in the format before torch 1.6 comes with the command that converts it",
          "[checkpoint][torch_archive]") {
  CHECK_THAT(complaint(std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 14)),
             ContainsSubstring("format of torch before 1.6") && ContainsSubstring("python -c") &&
                 ContainsSubstring("weights_only=True") && ContainsSubstring("model.safetensors"));
  CHECK_THAT(complaint("hello"), ContainsSubstring("it is no zip archive"));
  CHECK_THAT(complaint(""), ContainsSubstring("it is no zip archive"));
  CHECK_THROWS_WITH(read_torch_archive("no/such.bin"), ContainsSubstring("cannot be read"));
}
