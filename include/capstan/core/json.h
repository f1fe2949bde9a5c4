// JSON in and out with errors that name the file and the place.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace capstan {

// DataError names the file, line and column of the first mistake.
nlohmann::json read_json(const std::filesystem::path& path);
// `name` stands for the file in messages.
nlohmann::json parse_json(std::string_view text, std::string_view name);

// Two-space indentation and a final newline, written atomically. Keys keep their order.
void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& value);

}  // namespace capstan
