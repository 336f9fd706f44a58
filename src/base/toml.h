// TOML text to a JSON value, keys in the order of the file. Dates and non-finite numbers are refused: nothing here uses
// them.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace r1 {

// Messages begin "WHERE:LINE:COLUMN: ".
Result<nlohmann::ordered_json> ParseToml(std::string_view text, std::string_view where);
Result<nlohmann::ordered_json> ReadTomlFile(const std::string& path);

}  // namespace r1
