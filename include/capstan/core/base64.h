// RFC 4648 base64.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace capstan {

std::string encode_base64(std::string_view bytes);
// The bytes, or nothing when `text` is not base64. Line breaks may stand in it, as MIME writes them; '=' at the end
// may be left out.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace capstan
