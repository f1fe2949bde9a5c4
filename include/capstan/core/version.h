#pragma once
#include <string>

namespace capstan {

std::string version();        // "0.1.0"
std::string torch_version();  // of the LibTorch this program was built with: "2.13.0"

}  // namespace capstan
