// JSONL files: one JSON object a line. Blank lines and a byte order mark are skipped; a line has at most 16 MiB, a file
// 4 GiB. Errors (kBadInput) name file and line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace r1 {

// Calls visit for each object, with its line number (from 1) and "WHERE line N" for its own errors; stops at the first
// error.
Status ForEachJsonLine(
    std::string_view jsonl, std::string_view where,
    const std::function<Status(const nlohmann::json& object, int64_t line, const std::string& where)>& visit);

// The text of a plain file; a .gz file is refused by name.
Result<std::string> ReadJsonl(const std::string& path);

// The string under a key; an error says that it is missing or what it is instead.
Result<std::string> StringAt(const nlohmann::json& object, const char* key, const std::string& where);

}  // namespace r1
