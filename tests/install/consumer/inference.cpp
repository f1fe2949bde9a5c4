// Uses the captioner of the installed package: an empty folder must be refused with a message that names it.
#include <capstan/core/error.h>
#include <capstan/core/version.h>
#include <capstan/generate/captioner.h>

#include <iostream>
#include <string>

int main() {
  std::cout << "capstan " << capstan::version() << " on LibTorch " << capstan::torch_version() << '\n';
  try {
    capstan::Captioner captioner("no/such/model");
  } catch (const capstan::Error& error) {
    std::cout << error.what() << '\n';
    return std::string(error.what()).find("no/such/model") != std::string::npos ? 0 : 1;
  }
  return 1;
}
