// The part of HDF5 that shards need: contiguous arrays and a few attributes, written once, located for mapping.
// Only hdf5.cpp sees the library; its calls are serialised, so every class here may be used from any thread.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace capstan::hdf5 {

enum class Type { kUint8, kInt32, kInt64 };
std::uint64_t size_of(Type type);

// An open identifier of the library, closed with the object.
class Handle {
 public:
  using Close = int (*)(std::int64_t);
  Handle() = default;
  Handle(std::int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(other.id_), close_(other.close_) { other.id_ = -1; }
  Handle& operator=(Handle&& other) noexcept;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }
  std::int64_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  // False when the library could not close it (a full disk shows here).
  bool reset();

 private:
  std::int64_t id_ = -1;
  Close close_ = nullptr;
};

// A new file, overwritten if it exists. The same calls give the same bytes: no times are stored.
// DataError when the disk refuses; the half-written file is the caller's to remove.
class Writer {
 public:
  explicit Writer(const std::filesystem::path& path);
  void write(const std::string& name, Type type, const std::vector<std::uint64_t>& shape, const void* data);
  // Takes the space of a dataset whose rows are filled by write_rows().
  void reserve(const std::string& name, Type type, const std::vector<std::uint64_t>& shape);
  void write_rows(const std::string& name, std::uint64_t first, std::uint64_t count, const void* data);
  // Byte of the file at which the dataset begins.
  std::uint64_t offset(const std::string& name) const;
  void attribute(const std::string& name, const std::string& text);
  void attribute(const std::string& name, std::int64_t number);
  // Must be called; a file that was not closed is not complete.
  void close();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  Handle create(const std::string& name, Type type, const std::vector<std::uint64_t>& shape);

  std::filesystem::path path_;
  Handle file_;
  std::map<std::string, Handle> datasets_;
};

// Where a contiguous dataset lies. offset + bytes is within the file.
struct Place {
  Type type = Type::kUint8;
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct Contents {
  std::map<std::string, Place> datasets;
  std::map<std::string, std::int64_t> numbers;  // attributes of the root
  std::map<std::string, std::string> texts;
};

// Finds those of `names` that are datasets of the root, and the root's attributes. DataError when the file is no
// HDF5 file, is cut short, or keeps a dataset in a way that cannot be mapped (chunks, filters, other files).
Contents read_contents(const std::filesystem::path& path, std::span<const std::string> names);

}  // namespace capstan::hdf5
