// What follows from a config.json alone, with the arithmetic: parameters of every part, those one token uses, memory by
// number type and of the keys and values by context. Sources: DeepSeek-V3's report and the counts of its release.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/config.h"

namespace r1::cli {

// {"parts": [{"name", "arithmetic", "count", "times", "total"}], "total", "prediction_module", "prediction_copies",
//  "with_prediction_module", "active", "active_with_embedding", "memory": [{"type", "bits", "bytes"}],
//  "cache": {"values_per_token", "expanded_values_per_token", "bf16_bytes": [{"context", "bytes"}]}}
// active: a token's without its row of the embedding (of a tied model the matrix is the head and counts). copies: the
// published files store embedding and head once more with the module.
nlohmann::ordered_json ConfigFacts(const ModelConfig& config);
std::string ConfigText(const nlohmann::ordered_json& facts);

}  // namespace r1::cli
