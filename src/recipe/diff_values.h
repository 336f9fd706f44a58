// The parts of comparing runs that look inside one pair of files: JSON values, lines of records, tensors.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "recipe/diff_runs.h"
#include "store/safetensors.h"

namespace r1 {

// The first place (keys ascending) where two values differ, volatile fields left out; name, a and b are filled in.
std::optional<RunDifference> FirstJsonDifference(const nlohmann::json& a, const nlohmann::json& b);

// Bits decide: +0 and -0 differ, equal NaNs do not. Fills in name, index, a, b, elements and max_abs.
std::optional<RunDifference> TensorDifference(const StoredTensor& a, const StoredTensor& b);

// Element `index` as a number.
double TensorValue(const StoredTensor& tensor, int64_t index);

struct CompareCounts {
  int64_t records = 0, tensors = 0, numbers = 0;
};

// Each of these compares one pair of files. The paths are of the files themselves; `file`, `stage` and `kind` are left
// to the caller.
Result<std::optional<RunDifference>> CompareJsonFiles(const std::string& path_a, const std::string& path_b);
Result<std::optional<RunDifference>> CompareRecordFiles(const std::string& path_a, const std::string& path_b,
                                                        CompareCounts* counts);
Result<std::optional<RunDifference>> CompareTensorFiles(const std::string& path_a, const std::string& path_b,
                                                        CompareCounts* counts);
Result<std::optional<RunDifference>> CompareBytes(const std::string& path_a, const std::string& path_b);

}  // namespace r1
