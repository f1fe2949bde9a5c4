// libjpeg with the settings that Pillow leaves at their defaults: accurate inverse DCT, smooth chroma upsampling.
// libjpeg reports errors by longjmp, so functions that call it hold no objects with destructors.
#include "image/jpeg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <memory>

#include <jpeglib.h>  // after cstdio, which it needs

#include <jerror.h>

namespace capstan::image_io {
namespace {

constexpr int kRowsAtOnce = 16;  // libjpeg hands over as many as one block row gives

struct ErrorHandler {
  jpeg_error_mgr manager{};
  std::jmp_buf resume{};
  std::array<char, JMSG_LENGTH_MAX> text{};
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* handler = reinterpret_cast<ErrorHandler*>(info->err);  // `manager` is its first member
  info->err->format_message(info, handler->text.data());
  std::longjmp(handler->resume, 1);
}

// Warnings mean damaged data that libjpeg knows to go on from, as Pillow does.
void ignore(j_common_ptr, int) {}

class JpegReader {
 public:
  JpegReader() {
    info_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = fail;
    errors_.manager.emit_message = ignore;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // These three return false after an error; what() says which.
  bool open(Bytes bytes) {
    if (setjmp(errors_.resume) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  // CMYK of a picture with four components, else RGB. All of a progressive file is read here.
  bool start(int shrink, std::int64_t max_bytes) {
    if (setjmp(errors_.resume) != 0) return false;
    info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(shrink);
    info_.mem->max_memory_to_use = static_cast<long>(max_bytes);
    jpeg_start_decompress(&info_);
    return true;
  }
  // Rows from the next one on; `num_rows` at most are left.
  bool read(std::uint8_t* out, std::size_t row_size, int num_rows) {
    if (setjmp(errors_.resume) != 0) return false;
    const unsigned first = info_.output_scanline;
    const unsigned end = first + static_cast<unsigned>(num_rows);
    while (info_.output_scanline < end) {
      JSAMPROW rows[kRowsAtOnce];
      const unsigned count = std::min<unsigned>(kRowsAtOnce, end - info_.output_scanline);
      for (unsigned i = 0; i < count; ++i) rows[i] = out + (info_.output_scanline - first + i) * row_size;
      jpeg_read_scanlines(&info_, rows, count);
    }
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  std::string what() const { return errors_.text.data(); }
  bool lacks_memory() const {  // a file on disk is what libjpeg would have taken instead
    return errors_.manager.msg_code == JERR_OUT_OF_MEMORY || errors_.manager.msg_code == JERR_NO_BACKING_STORE;
  }

 private:
  jpeg_decompress_struct info_{};
  ErrorHandler errors_;
};

// `value` * `factor` / 255, rounded as Pillow does it.
int times(int value, int factor) {
  const int product = value * factor + 128;
  return ((product >> 8) + product) >> 8;
}

// Four components are taken as Adobe writes them, inverted.
void cmyk_to_rgb(const std::uint8_t* in, int width, std::uint8_t* out) {
  for (int x = 0; x < width; ++x, in += 4, out += 3)
    for (int c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(std::max(0, in[3] - times(255 - in[c], in[3])));
}

[[noreturn]] void corrupt(const std::string& what) { throw HeaderError("corrupt JPEG: " + what); }

}  // namespace

Image decode_jpeg(Bytes bytes, const Header& header, int shrink) {
  JpegReader reader;
  if (!reader.open(bytes)) corrupt(reader.what());
  const auto& info = reader.info();
  if (info.image_width != header.width || info.image_height != header.height)
    corrupt(fmt::format("libjpeg finds {}x{} pixels; its header says {}x{}", info.image_width, info.image_height,
                        header.width, header.height));
  const std::int64_t out_bytes = (header.width / shrink + 1) * (header.height / shrink + 1) * 3;
  if (out_bytes >= kMaxDecodeBytes || !reader.start(shrink, kMaxDecodeBytes - out_bytes)) {
    if (out_bytes < kMaxDecodeBytes && !reader.lacks_memory()) corrupt(reader.what());
    throw HeaderError(fmt::format("decoding its {}x{} pixels would take more than {} MiB", header.width, header.height,
                                  kMaxDecodeBytes >> 20));
  }
  Image image{.height = static_cast<int>(info.output_height), .width = static_cast<int>(info.output_width), .rgb = {}};
  const std::size_t row_size = static_cast<std::size_t>(image.width) * 3;
  image.rgb.resize(row_size * static_cast<std::size_t>(image.height));
  if (info.output_components == 3) {
    if (!reader.read(image.rgb.data(), row_size, image.height)) corrupt(reader.what());
    return image;
  }
  const std::size_t cmyk_size = static_cast<std::size_t>(image.width) * 4;
  const auto cmyk = std::make_unique_for_overwrite<std::uint8_t[]>(cmyk_size);
  for (std::uint8_t* out = image.rgb.data(); out != image.rgb.data() + image.rgb.size(); out += row_size) {
    if (!reader.read(cmyk.get(), cmyk_size, 1)) corrupt(reader.what());
    cmyk_to_rgb(cmyk.get(), image.width, out);
  }
  return image;
}

}  // namespace capstan::image_io
