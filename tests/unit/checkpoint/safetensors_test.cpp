// Good files come back bit for bit; a lying header is refused with the reason.
#include "capstan/checkpoint/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <string>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

namespace {

using namespace capstan;

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string with_size(std::uint64_t header_bytes, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &header_bytes, 8);
  return bytes + rest;
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return with_size(header.size(), header + std::string(data_bytes, '\1'));
}

// What the reader says about these bytes.
std::string complaint(const std::string& bytes) {
  const TempDir folder;
  write_bytes(folder.path() / "model.safetensors", bytes);
  try {
    read_safetensors(folder.path() / "model.safetensors");
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "no error";
}

const std::string kTwo = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[)";

TensorMap sample() {
  return {{"w", at::randn({3, 4})},
          {"half", at::randn({5}).to(at::kHalf)},
          {"brain", at::randn({7}).to(at::kBFloat16)},
          {"double", at::randn({2}, at::kDouble)},
          {"long", at::arange(-3, 6)},
          {"int", at::arange(4, at::kInt)},
          {"short", at::arange(3, at::kShort)},
          {"char", at::arange(-2, 1, at::kChar)},
          {"byte", at::arange(5, at::kByte)},
          {"bool", at::randn({3}).gt(0)},
          {"scalar", at::scalar_tensor(1.5)},
          {"empty", at::empty({0, 3})}};
}

}  // namespace

TEST_CASE("safetensors files bring every type back bit for bit", "[checkpoint][safetensors]") {
  const TempDir folder;
  const TensorMap tensors = sample();
  write_safetensors(folder.path() / "m.safetensors", tensors, {{"step", "12"}});
  Metadata metadata;
  const TensorMap back = read_safetensors(folder.path() / "m.safetensors", &metadata);
  REQUIRE(back.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    CHECK(back.at(name).scalar_type() == tensor.scalar_type());
    CHECK(at::equal(back.at(name), tensor));
  }
  CHECK(metadata == Metadata{{"format", "pt"}, {"step", "12"}});
}

TEST_CASE("writing the same tensors gives the same file, data aligned to eight bytes", "[checkpoint][safetensors]") {
  const TempDir folder;
  const TensorMap tensors = sample();
  write_safetensors(folder.path() / "a", tensors);
  write_safetensors(folder.path() / "b", tensors);
  const std::string bytes = read_file(folder.path() / "a");
  CHECK(bytes == read_file(folder.path() / "b"));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  CHECK(header_bytes % 8 == 0);
}

TEST_CASE("floating-point tensors can be written in another type, whole numbers stay", "[checkpoint][safetensors]") {
  const TempDir folder;
  const at::Tensor values = at::randn({7});
  write_safetensors(folder.path() / "m", {{"w", values}, {"n", at::arange(3)}}, {}, at::kBFloat16);
  const TensorMap back = read_safetensors(folder.path() / "m");
  CHECK(at::equal(back.at("w"), values.to(at::kBFloat16)));
  CHECK(at::equal(back.at("n"), at::arange(3)));
}

TEST_CASE("a transposed tensor is written in its own order", "[checkpoint][safetensors]") {
  const TempDir folder;
  const at::Tensor tensor = at::arange(6, at::kFloat).view({2, 3}).t();
  write_safetensors(folder.path() / "m", {{"t", tensor}});
  CHECK(at::equal(read_safetensors(folder.path() / "m").at("t"), tensor));
}

TEST_CASE("read tensors outlive the file and may be changed without changing it", "[checkpoint][safetensors]") {
  const TempDir folder;
  const fs::path path = folder.path() / "m";
  write_safetensors(path, {{"t", at::ones({4})}});
  const std::string before = read_file(path);
  at::Tensor tensor = read_safetensors(path).at("t");
  tensor.add_(1);
  CHECK(read_file(path) == before);
  fs::remove(path);
  CHECK(tensor.sum().item<float>() == 8);
}

TEST_CASE("tensors behind an unpadded header are readable", "[checkpoint][safetensors]") {
  const TempDir folder;
  std::string header = R"({"t":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})";
  while (header.size() % 8 != 3) header += ' ';
  write_bytes(folder.path() / "m", file_of(header, 8));
  const at::Tensor tensor = read_safetensors(folder.path() / "m").at("t");
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 8 == 0);
  CHECK(tensor.numel() == 1);
}

TEST_CASE("a failed write leaves the old file and nothing else", "[checkpoint][safetensors]") {
  const TempDir folder;
  const fs::path path = folder.path() / "m";
  write_safetensors(path, {{"t", at::ones({4})}});
  CHECK_THROWS_AS(write_safetensors(path, {{"c", at::zeros({2}, at::kComplexFloat)}}), UnsupportedError);
  CHECK_THROWS_WITH(write_safetensors(folder.path() / "no/such/m", {{"t", at::ones({1})}}),
                    ContainsSubstring("cannot be created"));
  CHECK(read_safetensors(path).contains("t"));
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a header that does not fit the file is refused", "[checkpoint][safetensors]") {
  CHECK_THAT(complaint(""), ContainsSubstring("the file holds 0 bytes"));
  CHECK_THAT(complaint("abc"), ContainsSubstring("the file holds 3 bytes"));
  CHECK_THAT(complaint(with_size(100, "{}")), ContainsSubstring("the header claims 100 bytes, but only 2 follow"));
  CHECK_THAT(complaint(with_size(~std::uint64_t{0}, "{}")), ContainsSubstring("but only 2 follow"));
  CHECK_THAT(complaint(with_size(2, "{]")), ContainsSubstring("the header is not JSON"));
  CHECK_THAT(complaint(with_size(2, "[]")), ContainsSubstring("the header is a list"));
  CHECK_THAT(complaint(with_size(1, "3")), ContainsSubstring("the header is a plain value"));
  CHECK_THAT(complaint(file_of("{\"\xff\":{}}", 0)), ContainsSubstring("the header is not JSON"));
}

TEST_CASE("lying offsets are refused", "[checkpoint][safetensors]") {
  CHECK(complaint(file_of(kTwo + "8,16]}}", 16)) == "no error");
  CHECK_THAT(complaint(file_of(kTwo + "4,12]}}", 16)), ContainsSubstring("it overlaps another tensor"));
  CHECK_THAT(complaint(file_of(kTwo + "12,20]}}", 20)),
             ContainsSubstring("\"b\" starts at byte 12, where 8 was expected"));
  CHECK_THAT(complaint(file_of(kTwo + "8,16]}}", 12)),
             ContainsSubstring("ends at byte 16 of the data, but the file holds only 12"));
  CHECK_THAT(complaint(file_of(kTwo + "8,16]}}", 17)),
             ContainsSubstring("end at byte 16 of the data, but the file holds 17"));
  CHECK_THAT(complaint(file_of(kTwo + "16,8]}}", 16)), ContainsSubstring("expected [begin, end] with begin <= end"));
  CHECK_THAT(complaint(file_of(kTwo + "8]}}", 16)), ContainsSubstring("expected [begin, end]"));
  CHECK_THAT(complaint(file_of(kTwo + "8,12]}}", 12)), ContainsSubstring("\"b\" holds 4 bytes; its shape [2] needs 8"));
  CHECK_THAT(complaint(file_of(kTwo + "-8,16]}}", 16)), ContainsSubstring("holds -8; expected whole numbers"));
  CHECK_THAT(complaint(file_of(kTwo + "8,1e1]}}", 16)), ContainsSubstring("expected whole numbers"));
}

TEST_CASE("impossible shapes are refused", "[checkpoint][safetensors]") {
  const auto shaped = [](const std::string& shape) {
    return complaint(file_of(R"({"a":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,8]}})", 8));
  };
  CHECK(shaped("2") == "no error");
  CHECK_THAT(shaped("4294967296,4294967296"), ContainsSubstring("overflows"));
  CHECK_THAT(shaped("18446744073709551615"), ContainsSubstring("overflows"));
  CHECK_THAT(shaped("18446744073709551616"), ContainsSubstring("expected whole numbers"));
  CHECK_THAT(shaped("0,4611686018427387904,4"), ContainsSubstring("overflows"));
  CHECK_THAT(shaped("-2"), ContainsSubstring("expected whole numbers"));
  CHECK_THAT(shaped("2.0"), ContainsSubstring("expected whole numbers"));
  CHECK_THAT(shaped("[2]"), ContainsSubstring("nested deeper"));
  std::string many = "1";
  for (int i = 0; i < 100; ++i) many += ",1";
  CHECK_THAT(shaped(many), ContainsSubstring("more than 64 numbers"));
}

TEST_CASE("malformed entries are refused", "[checkpoint][safetensors]") {
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  CHECK_THAT(complaint(file_of("{" + a + "," + a + "}", 8)), ContainsSubstring("the name \"a\" appears twice"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8)),
             ContainsSubstring("has the key \"dtype\" twice"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8)),
             ContainsSubstring("has the dtype \"F8_E4M3\"; this version reads I64"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8)),
             ContainsSubstring("the dtype of \"a\" is not a string"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8)),
             ContainsSubstring("has no 'shape'"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8)),
             ContainsSubstring("'shape' of \"a\" is not a list"));
  CHECK_THAT(complaint(file_of(R"({"a":7})", 0)), ContainsSubstring("the entry \"a\" is a plain value"));
  CHECK_THAT(complaint(file_of(R"({"a":[7]})", 0)), ContainsSubstring("the entry \"a\" is a list"));
  CHECK_THAT(complaint(file_of(R"({"__metadata__":{"a":7}})", 0)), ContainsSubstring("\"a\" that is not a string"));
  CHECK_THAT(complaint(file_of(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 0) + "\1\2"),
             ContainsSubstring("bytes other than 0 and 1"));
}

TEST_CASE("deep nesting is refused before it costs anything", "[checkpoint][safetensors]") {
  CHECK_THAT(complaint(file_of("{\"a\":" + std::string(5'000'000, '['), 0)), ContainsSubstring("is a list"));
  std::string objects = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  CHECK_THAT(complaint(file_of(objects, 0)), ContainsSubstring("nested deeper than 3 levels"));
}

TEST_CASE("the file's name is in every message", "[checkpoint][safetensors]") {
  CHECK_THAT(complaint("abc"), ContainsSubstring("model.safetensors: "));
  CHECK_THROWS_WITH(read_safetensors("no/such/file.safetensors"),
                    ContainsSubstring("no/such/file.safetensors: cannot be read (No such file or directory)"));
  const TempDir folder;
  CHECK_THROWS_WITH(read_safetensors(folder.path()), ContainsSubstring("not a regular file"));
}
