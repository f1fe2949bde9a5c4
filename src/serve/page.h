// The page at "/": drop a picture, see its caption. Everything is in this one text.
#pragma once
#include <string>

namespace capstan::serve {

const std::string& page();
// What the page may load: itself and the pictures that are dropped on it.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace capstan::serve
