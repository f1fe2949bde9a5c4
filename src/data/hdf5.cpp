// HDF5's C API behind values that clean up after themselves.
#include "data/hdf5.h"

#include <fmt/format.h>
#include <hdf5.h>

#include <limits>
#include <mutex>
#include <utility>

#include "capstan/core/error.h"

namespace capstan::hdf5 {
namespace {

static_assert(sizeof(hid_t) == sizeof(std::int64_t), "identifiers fit a Handle");

constexpr std::uint64_t kMapAlignment = 4096;      // pictures begin at a page
constexpr std::uint64_t kAlignedFrom = 64 * 1024;  // smaller arrays are packed
constexpr unsigned kMaxCompactLinks = 64;          // the root's links stay in its header
constexpr std::size_t kMaxAttributeBytes = 1 << 16;

// The library may be built without thread safety, so one call at a time.
std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

using Lock = std::lock_guard<std::recursive_mutex>;

int close_file(std::int64_t id) { return H5Fclose(id); }
int close_plist(std::int64_t id) { return H5Pclose(id); }
int close_space(std::int64_t id) { return H5Sclose(id); }
int close_type(std::int64_t id) { return H5Tclose(id); }
int close_dataset(std::int64_t id) { return H5Dclose(id); }
int close_attribute(std::int64_t id) { return H5Aclose(id); }

// The library prints its errors to standard error unless told not to; they go into our messages instead.
void be_quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

// The innermost entry of the library's error stack: what really went wrong.
std::string last_error() {
  std::string text;
  const auto take = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    auto& result = *static_cast<std::string*>(out);
    if (result.empty() && error->desc != nullptr) result = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &text);
  // Failed reads and writes come with a page of details; the system's own words are what helps.
  constexpr std::string_view kSystemText = "error message = '";
  const std::size_t start = text.find(kSystemText);
  if (start != std::string::npos) {
    const std::size_t first = start + kSystemText.size();
    return text.substr(first, text.find('\'', first) - first);
  }
  return text.empty() ? "no reason given" : text;
}

hid_t native(Type type) {
  switch (type) {
    case Type::kUint8:
      return H5T_STD_U8LE;
    case Type::kInt32:
      return H5T_STD_I32LE;
    case Type::kInt64:
      return H5T_STD_I64LE;
  }
  return H5I_INVALID_HID;
}

Handle make_file_access() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), close_plist);
  // Every metadata block of the newer format carries a checksum, so damage is noticed instead of followed.
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  H5Pset_alignment(access.get(), kAlignedFrom, kMapAlignment);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.get(), false, true);  // locks fail on many network file systems
#endif
  return access;
}

Handle open_dataset(const Handle& file, const std::string& name, const std::string& path) {
  Handle dataset(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), close_dataset);
  if (!dataset.valid()) throw DataError(fmt::format("{}: cannot open '{}': {}", path, name, last_error()));
  return dataset;
}

Type type_of(const Handle& dataset, const std::string& name, const std::string& path) {
  const Handle type(H5Dget_type(dataset.get()), close_type);
  for (const Type known : {Type::kUint8, Type::kInt32, Type::kInt64})
    if (type.valid() && H5Tequal(type.get(), native(known)) > 0) return known;
  throw DataError(
      fmt::format("{}: '{}' has a type that shards do not use; expected uint8, int32 or int64, "
                  "little-endian",
                  path, name));
}

std::vector<std::uint64_t> shape_of(const Handle& dataset, const std::string& name, const std::string& path) {
  const Handle space(H5Dget_space(dataset.get()), close_space);
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 1 || rank > 8)
    throw DataError(fmt::format("{}: '{}' has {} dimensions, expected 1 to 8", path, name, rank));
  std::vector<hsize_t> shape(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr);
  return {shape.begin(), shape.end()};
}

std::uint64_t checked_bytes(const std::vector<std::uint64_t>& shape, Type type, const std::string& name,
                            const std::string& path) {
  std::uint64_t bytes = size_of(type);
  for (const std::uint64_t extent : shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      throw DataError(fmt::format("{}: the size of '{}' overflows", path, name));
  return bytes;
}

Place locate(const Handle& file, const std::string& name, const std::string& path, std::uint64_t file_bytes) {
  const Handle dataset = open_dataset(file, name, path);
  const Handle plist(H5Dget_create_plist(dataset.get()), close_plist);
  if (!plist.valid() || H5Pget_layout(plist.get()) != H5D_CONTIGUOUS || H5Pget_external_count(plist.get()) != 0)
    throw DataError(fmt::format("{}: '{}' is not stored contiguously, so it cannot be mapped", path, name));
  Place place;
  place.type = type_of(dataset, name, path);
  place.shape = shape_of(dataset, name, path);
  place.bytes = checked_bytes(place.shape, place.type, name, path);
  if (place.bytes == 0) return place;
  const haddr_t offset = H5Dget_offset(dataset.get());
  if (offset == HADDR_UNDEF || offset > file_bytes || place.bytes > file_bytes - offset)
    throw DataError(fmt::format("{}: '{}' needs {} bytes that are not in the file of {} bytes; run prepare again", path,
                                name, place.bytes, file_bytes));
  place.offset = offset;
  return place;
}

struct AttributeReader {
  Contents* contents;

  static herr_t visit(hid_t object, const char* name, const H5A_info_t*, void* self) {
    static_cast<AttributeReader*>(self)->read(object, name);
    return 0;
  }

  // Only what Writer writes: a scalar int64 or a fixed-length string. Anything else is passed over.
  void read(hid_t object, const char* name) {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), close_attribute);
    if (!attribute.valid()) return;
    const Handle space(H5Aget_space(attribute.get()), close_space);
    const Handle type(H5Aget_type(attribute.get()), close_type);
    if (!space.valid() || !type.valid() || H5Sget_simple_extent_npoints(space.get()) != 1) return;
    if (H5Tget_class(type.get()) == H5T_INTEGER) {
      std::int64_t value = 0;
      if (H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) >= 0) contents->numbers[name] = value;
    } else if (H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0) {
      const std::size_t size = H5Tget_size(type.get());
      if (size == 0 || size > kMaxAttributeBytes) return;
      std::string text(size, '\0');
      if (H5Aread(attribute.get(), type.get(), text.data()) < 0) return;
      contents->texts[name] = text.substr(0, text.find('\0'));
    }
  }
};

}  // namespace

std::uint64_t size_of(Type type) {
  switch (type) {
    case Type::kUint8:
      return 1;
    case Type::kInt32:
      return 4;
    case Type::kInt64:
      return 8;
  }
  return 0;
}

Handle& Handle::operator=(Handle&& other) noexcept {
  reset();
  id_ = std::exchange(other.id_, -1);
  close_ = other.close_;
  return *this;
}

bool Handle::reset() {
  if (id_ < 0) return true;
  const Lock lock(library_mutex());
  return close_(std::exchange(id_, -1)) >= 0;
}

Writer::Writer(const std::filesystem::path& path) : path_(path) {
  const Lock lock(library_mutex());
  be_quiet();
  const Handle access = make_file_access();
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), close_plist);
  H5Pset_obj_track_times(creation.get(), false);
  H5Pset_link_phase_change(creation.get(), kMaxCompactLinks, kMaxCompactLinks / 2);
  file_ = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), close_file);
  if (!file_.valid()) fail("cannot create the shard");
}

void Writer::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: {}: {}", path_.string(), what, last_error()));
}

Handle Writer::create(const std::string& name, Type type, const std::vector<std::uint64_t>& shape) {
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()),
                                      std::vector<hsize_t>(shape.begin(), shape.end()).data(), nullptr),
                     close_space);
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), close_plist);
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(creation.get(), false);
  Handle dataset(
      H5Dcreate2(file_.get(), name.c_str(), native(type), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
      close_dataset);
  if (!dataset.valid()) fail("cannot create '" + name + "'");
  return dataset;
}

void Writer::write(const std::string& name, Type type, const std::vector<std::uint64_t>& shape, const void* data) {
  const Lock lock(library_mutex());
  const Handle dataset = create(name, type, shape);
  if (checked_bytes(shape, type, name, path_.string()) == 0) return;
  if (H5Dwrite(dataset.get(), native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    fail("cannot write '" + name + "'");
}

void Writer::reserve(const std::string& name, Type type, const std::vector<std::uint64_t>& shape) {
  const Lock lock(library_mutex());
  datasets_[name] = create(name, type, shape);
}

void Writer::write_rows(const std::string& name, std::uint64_t first, std::uint64_t count, const void* data) {
  const Lock lock(library_mutex());
  const Handle& dataset = datasets_.at(name);
  const std::vector<std::uint64_t> shape = shape_of(dataset, name, path_.string());
  std::vector<hsize_t> start(shape.size(), 0), extent(shape.begin(), shape.end());
  start[0] = first;
  extent[0] = count;
  const Handle file_space(H5Dget_space(dataset.get()), close_space);
  const Handle memory_space(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), close_space);
  const Type type = type_of(dataset, name, path_.string());
  if (H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) < 0 ||
      H5Dwrite(dataset.get(), native(type), memory_space.get(), file_space.get(), H5P_DEFAULT, data) < 0)
    fail(fmt::format("cannot write rows {} to {} of '{}'", first, first + count, name));
}

std::uint64_t Writer::offset(const std::string& name) const {
  const Lock lock(library_mutex());
  return H5Dget_offset(datasets_.at(name).get());
}

void Writer::attribute(const std::string& name, const std::string& text) {
  const Lock lock(library_mutex());
  const Handle type(H5Tcopy(H5T_C_S1), close_type);
  H5Tset_size(type.get(), text.empty() ? 1 : text.size());
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const Handle space(H5Screate(H5S_SCALAR), close_space);
  const Handle attribute(H5Acreate2(file_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         close_attribute);
  if (!attribute.valid() || H5Awrite(attribute.get(), type.get(), text.c_str()) < 0)
    fail("cannot write the attribute '" + name + "'");
}

void Writer::attribute(const std::string& name, std::int64_t number) {
  const Lock lock(library_mutex());
  const Handle space(H5Screate(H5S_SCALAR), close_space);
  const Handle attribute(H5Acreate2(file_.get(), name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         close_attribute);
  if (!attribute.valid() || H5Awrite(attribute.get(), H5T_NATIVE_INT64, &number) < 0)
    fail("cannot write the attribute '" + name + "'");
}

void Writer::close() {
  const Lock lock(library_mutex());
  for (auto& [name, dataset] : datasets_)
    if (!dataset.reset()) fail("cannot finish '" + name + "'");
  datasets_.clear();
  if (!file_.reset()) fail("cannot finish the shard");
}

Contents read_contents(const std::filesystem::path& path, std::span<const std::string> names) {
  const Lock lock(library_mutex());
  be_quiet();
  std::error_code error;
  const std::uint64_t file_bytes = std::filesystem::file_size(path, error);
  if (error) throw DataError(fmt::format("{}: cannot read the shard: {}", path.string(), error.message()));
  const Handle access = make_file_access();
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), close_file);
  if (!file.valid())
    throw DataError(fmt::format("{}: not a whole HDF5 file: {}; run prepare again", path.string(), last_error()));
  Contents contents;
  for (const std::string& name : names) {
    H5L_info_t link;
    if (H5Lexists(file.get(), name.c_str(), H5P_DEFAULT) <= 0) continue;
    // A link to another file would be followed wherever it points.
    if (H5Lget_info(file.get(), name.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
      throw DataError(fmt::format("{}: '{}' is a link to elsewhere, expected a dataset", path.string(), name));
    contents.datasets.emplace(name, locate(file, name, path.string(), file_bytes));
  }
  AttributeReader reader{&contents};
  hsize_t position = 0;
  H5Aiterate2(file.get(), H5_INDEX_NAME, H5_ITER_INC, &position, &AttributeReader::visit, &reader);
  return contents;
}

}  // namespace capstan::hdf5
