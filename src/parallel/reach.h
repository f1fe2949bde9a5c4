// Waiting until somebody listens at an address, with a reason when nobody does.
#pragma once
#include <chrono>
#include <string>

namespace capstan {

// Tries to connect to host:port until that works ("") or `deadline` has come (the last reason). c10d's store would try
// longer than it was told and log a stack trace for every attempt.
std::string wait_for_port(const std::string& host, int port, std::chrono::steady_clock::time_point deadline);

}  // namespace capstan
