#include "cli/inspect_count.h"

#include <charconv>
#include <string_view>

namespace r1::cli {

int64_t LayerOf(const std::string& name) {
  for (const std::string_view prefix : {std::string_view("model.layers."), std::string_view("blk.")}) {
    if (!name.starts_with(prefix)) continue;
    int64_t layer = -1;
    const char* begin = name.data() + prefix.size();
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(begin, end, layer);
    if (parsed.ec == std::errc() && parsed.ptr != begin && parsed.ptr != end && *parsed.ptr == '.') return layer;
  }
  return -1;
}

ParameterCounts CountParameters(const std::vector<StoredTensor>& tensors, const CountShape& shape) {
  ParameterCounts counts;
  for (const StoredTensor& tensor : tensors) {
    constexpr std::string_view kScale = "_scale_inv";
    ++counts.tensors;
    if (tensor.name.size() > kScale.size() && tensor.name.ends_with(kScale)) continue;
    const int64_t elements = tensor.elements();
    if (shape.layers > 0 && LayerOf(tensor.name) >= shape.layers) {
      counts.mtp += elements;
      continue;
    }
    counts.total += elements;
    if (tensor.name.find(".mlp.experts.") != std::string::npos || tensor.name.find("_exps.") != std::string::npos)
      counts.routed += elements;
  }
  counts.active = counts.total;
  if (shape.routed_experts > 0)
    counts.active -= counts.routed / shape.routed_experts * (shape.routed_experts - shape.experts_per_token);
  return counts;
}

}  // namespace r1::cli
