// A table of a TOML or JSON file put onto the fields of a config struct, and back. Nested tables are dotted names:
// [model] with layers = 4 sets "model.layers". Ranges are checked by the config's own validation.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/fields.h"
#include "base/result.h"

namespace r1 {

// Unknown key: error with the nearest name. Wrong type: error with file, key and the type wanted. A whole number is
// accepted for a double. Nothing is set if there is an error.
Status ApplyTable(const nlohmann::ordered_json& table, std::string_view where, const FieldList& list);
Status ApplyTable(const nlohmann::json& table, std::string_view where, const FieldList& list);
// By its name: .json is JSON, anything else TOML.
Status ApplyConfigFile(const std::string& path, const FieldList& list);

// Nested objects, in list order.
nlohmann::ordered_json FieldsToJson(const FieldList& list);
// Sections with one "name = value  # help" a line; reads back to the same values.
std::string FieldsToToml(const FieldList& list, bool with_help);

}  // namespace r1
