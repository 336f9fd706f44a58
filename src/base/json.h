// JSON text to and from nlohmann values. Strict: RFC 8259, valid UTF-8, no duplicate keys, bounded depth, no number
// that overflows a double. Include <nlohmann/json.hpp> in the .cc that uses the values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace r1 {

// where names the text in messages, which begin "WHERE:LINE:COLUMN: ".
Result<nlohmann::json> ParseJson(std::string_view text, std::string_view where, int max_depth = 200);
Result<nlohmann::json> ReadJsonFile(const std::string& path, int64_t max_bytes = int64_t{256} << 20);

// Two-space indentation and a final newline; and one line without a newline (for JSONL). Numbers are written so that
// they read back to the same value; a NaN or an infinity becomes null; invalid UTF-8 becomes U+FFFD.
std::string ToPrettyText(const nlohmann::json& value);
std::string ToPrettyText(const nlohmann::ordered_json& value);
std::string ToLineText(const nlohmann::json& value);
std::string ToLineText(const nlohmann::ordered_json& value);

}  // namespace r1
