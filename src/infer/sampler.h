// The next token of one row of logits. Temperature first, then top-k, min-p and top-p on the probabilities, then the
// inverse of the cumulative distribution at one uniform number, in token order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/kernels.h"

namespace r1 {

struct SamplingConfig {
  double temperature = 1.0;  // 0: greedy
  int64_t top_k = 0;         // 0: all
  double top_p = 1.0;
  double min_p = 0.0;

  template <class V>
  void Fields(V& v) {
    v("temperature", temperature, "sampling temperature; 0 takes the most likely token");
    v("top_k", top_k, "only the k most likely tokens; 0: all");
    v("top_p", top_p, "smallest set of tokens with this total probability");
    v("min_p", min_p, "tokens with at least this share of the likeliest token's probability");
  }
};
Status ValidateSamplingConfig(const SamplingConfig& config, const std::string& where);
// Factor on logits: 1 / temperature, and 1 for greedy.
inline float InverseTemperature(const SamplingConfig& c) {
  return c.temperature > 0 ? static_cast<float>(1.0 / c.temperature) : 1.0f;
}

class Sampler {
 public:
  explicit Sampler(const SamplingConfig& config) : config_(config) {}
  // uniform in [0, 1). Tokens >= limit (padding of the vocabulary) are never chosen.
  int32_t Sample(const kernels::KernelTable& k, const float* logits_V, int64_t v, int64_t limit, float uniform);

 private:
  void Truncate(int64_t limit);
  SamplingConfig config_;
  std::vector<float> prob_;
  std::vector<int32_t> order_;
};

}  // namespace r1
