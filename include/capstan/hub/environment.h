// The variables that huggingface_hub reads, with the same meaning and the same defaults.
#pragma once
#include <filesystem>
#include <string>

namespace capstan::hub {

struct Environment {
  std::string endpoint;         // HF_ENDPOINT, without a slash at the end
  std::string token;            // never shown; empty: none
  std::string token_source;     // where it came from, for messages: "HF_TOKEN"
  std::filesystem::path cache;  // HF_HUB_CACHE, else HF_HOME/hub
  bool offline = false;         // HF_HUB_OFFLINE
};

// `token` goes before HF_TOKEN, which goes before the file HF_TOKEN_PATH or HF_HOME/token. ConfigError when the
// endpoint is no address or the token has characters that no header may hold.
Environment read_environment(const std::string& token = "");

}  // namespace capstan::hub
