// The list of parameters, derived from the config: names as in Hugging Face files, shapes, initialisation, place in the
// flat vector. Allocation, initialisation, optimizer, checkpoint and inspection all walk this list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace r1 {

enum class ParamKind { kMatrix, kNorm, kBias, kRouterBias };

struct ParamSpec {
  std::string name;
  int64_t rows = 0, cols = 0;  // a vector has rows = 1 and is stored with shape [cols]
  ParamKind kind = ParamKind::kMatrix;
  double init_std = 0;  // normal; norms start at 1, biases at 0
  int64_t offset = 0;   // first element in the flat vector
  bool expert = false;  // a routed expert's matrix (for active-parameter counts)
  int64_t count() const { return rows * cols; }
  bool trainable() const { return kind != ParamKind::kRouterBias; }
  bool decayed() const { return kind == ParamKind::kMatrix; }
};

struct ParamList {
  std::vector<ParamSpec> specs;
  int64_t total = 0;  // elements of the flat vector, padding included
  const ParamSpec* Find(const std::string& name) const;
};

// Matrices that one product reads together (q | kv_a, gate | up, q | k | v), and the biases of q, k and v, are adjacent
// without padding; groups start
// at multiples of 16.
ParamList ListParams(const ModelConfig& config);

struct ParamCounts {
  int64_t total = 0;          // all parameters, multi-token prediction left out
  int64_t active = 0;         // used for one token (embedding counted)
  int64_t active_matmul = 0;  // of these, elements of matrices multiplied per token (no embedding)
  int64_t mtp = 0;            // parameters of the prediction modules
};
ParamCounts CountParams(const ModelConfig& config);

}  // namespace r1
