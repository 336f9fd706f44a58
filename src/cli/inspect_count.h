// Parameter arithmetic from the tensors of a model file, whatever program wrote it.
//   total   all parameters of the main model (embedding and head included)
//   active  those one token uses: all but the routed experts it is not sent to
//   mtp     parameters of multi-token prediction modules: layers from num_hidden_layers on (counted apart, copies
//   included)
// Scales of 8-bit weights (*.weight_scale_inv) are not parameters. Source: reference arithmetic of the DeepSeek-V3
// release.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/tensors.h"

namespace r1::cli {

struct ParameterCounts {
  int64_t total = 0;
  int64_t active = 0;
  int64_t routed = 0;  // of total: in routed experts
  int64_t mtp = 0;
  int64_t tensors = 0;
};

struct CountShape {
  int64_t layers = 0;          // num_hidden_layers; 0: not known, nothing is an MTP module
  int64_t routed_experts = 0;  // 0: a dense model
  int64_t experts_per_token = 0;
};

ParameterCounts CountParameters(const std::vector<StoredTensor>& tensors, const CountShape& shape);

// The layer of "model.layers.17.mlp…" or "blk.17.ffn…" (GGUF); -1 if the name has none.
int64_t LayerOf(const std::string& name);

}  // namespace r1::cli
