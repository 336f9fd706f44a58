#include "infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace r1 {

Status ValidateSamplingConfig(const SamplingConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (!(c.temperature >= 0) || c.temperature > 100) return fail("temperature must be in 0 .. 100");
  if (c.top_k < 0) return fail("top_k must not be negative");
  if (!(c.top_p > 0 && c.top_p <= 1)) return fail("top_p must be in (0, 1]");
  if (!(c.min_p >= 0 && c.min_p <= 1)) return fail("min_p must be in 0 .. 1");
  return {};
}

void Sampler::Truncate(int64_t limit) {
  order_.resize(static_cast<size_t>(limit));
  std::iota(order_.begin(), order_.end(), 0);
  // Likeliest first; equal probabilities in token order.
  std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
    const float pa = prob_[static_cast<size_t>(a)], pb = prob_[static_cast<size_t>(b)];
    return pa != pb ? pa > pb : a < b;
  });
  size_t keep = config_.top_k > 0 ? std::min<size_t>(static_cast<size_t>(config_.top_k), order_.size()) : order_.size();
  const double least = config_.min_p * static_cast<double>(prob_[static_cast<size_t>(order_[0])]);
  double kept = 0, total = 0;
  for (size_t i = 0; i < keep; ++i) total += static_cast<double>(prob_[static_cast<size_t>(order_[i])]);
  for (size_t i = 0; i < keep; ++i) {
    const double p = static_cast<double>(prob_[static_cast<size_t>(order_[i])]);
    if (i > 0 && (p < least || kept >= config_.top_p * total)) {
      keep = i;
      break;
    }
    kept += p;
  }
  for (size_t i = keep; i < order_.size(); ++i) prob_[static_cast<size_t>(order_[i])] = 0;
}

int32_t Sampler::Sample(const kernels::KernelTable& k, const float* logits_V, int64_t v, int64_t limit, float uniform) {
  limit = std::min(limit, v);
  if (config_.temperature == 0) return static_cast<int32_t>(std::max_element(logits_V, logits_V + limit) - logits_V);
  prob_.resize(static_cast<size_t>(v));
  k.softmax_row(prob_.data(), logits_V, v, InverseTemperature(config_));
  if (config_.top_k > 0 || config_.top_p < 1 || config_.min_p > 0) Truncate(limit);
  double total = 1.0;
  if (limit < v || config_.top_k > 0 || config_.top_p < 1 || config_.min_p > 0)
    total = std::accumulate(prob_.begin(), prob_.begin() + limit, 0.0);
  const double want = static_cast<double>(uniform) * total;
  double seen = 0;
  int32_t last = 0;
  for (int64_t i = 0; i < limit; ++i) {
    const float p = prob_[static_cast<size_t>(i)];
    if (p <= 0) continue;
    seen += static_cast<double>(p);
    last = static_cast<int32_t>(i);
    if (seen > want) break;
  }
  return last;
}

}  // namespace r1
