// JSON one record at a time, so that a large file never stands in memory as a tree.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace capstan {

using TakeRecord = std::function<bool(nlohmann::json& record)>;  // may be moved from; false: enough

// Hands the elements of the list `name` of the outermost object to `take`. False when there is no such list. DataError
// names file, line and column of broken JSON.
bool read_json_list(const std::filesystem::path& path, std::string_view name, const TakeRecord& take);

// One record on its own, as in a line of JSONL. False, with the reason in `problem`, when it is broken.
bool parse_json_record(std::string_view text, nlohmann::json& record, std::string& problem);

}  // namespace capstan
