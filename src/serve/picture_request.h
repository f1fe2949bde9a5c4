// The three ways to hand over a picture: multipart/form-data, the file itself, or JSON with base64.
#pragma once
#include <httplib.h>

#include <cstdint>
#include <string>

#include "serve/http_error.h"

namespace capstan::serve {

struct PictureRequest {
  std::string bytes;
  std::string name = "the picture";  // what messages call it
  int alternatives = 0;              // captions wanted; 0: all there are
};

enum class BodyKind { kMultipart, kPicture, kJson };

HttpError request_too_large(std::int64_t max_bytes);

// HttpError 415 for a Content-Type or Content-Encoding that is not read.
BodyKind body_kind(const httplib::Request& request);

// Reads the body. HttpError 400 for what makes no sense, 413 above `max_bytes`, 415 for a part that is no picture.
// `alternatives` may stand in the query, in a field of the form or in the JSON; above `max_alternatives` it is a 400.
// Returns false when the body did not arrive whole: the connection failed, or its chunks or parts make no sense.
bool read_picture_request(const httplib::Request& request, const httplib::ContentReader& content,
                          std::int64_t max_bytes, int max_alternatives, PictureRequest& result);

}  // namespace capstan::serve
