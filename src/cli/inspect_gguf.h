// What r1 inspect says of a GGUF file besides its tensors: version, alignment and every key, long arrays shortened.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/inspect_count.h"
#include "store/gguf.h"

namespace r1::cli {

// {"version", "alignment", "keys": [{"key", "type", "value"} or, for an array, {"key", "type", "count", "first"}],
//  "consistent", "why_not"}; first: at most 8 elements; consistent: what CheckGgufModel says.
nlohmann::ordered_json GgufFacts(const GgufFile& file);
std::string GgufText(const nlohmann::ordered_json& facts);

// A name from a file as it may be printed: control bytes are written out.
std::string EscapedName(const std::string& name);

// Layers without those of multi-token prediction, and experts, from the keys; 0 what is absent or of another type.
CountShape GgufCountShape(const GgufFile& file);

}  // namespace r1::cli
