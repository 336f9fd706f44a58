// Definitions over the vocabulary. One row: z = inv_temperature · logit, m = max z,
// sum = row sum of exp(z - m), lse = m + log(sum).
//   logp = z[target] - lse        prob = exp(z - m) · (1 / sum)
//   entropy = log(sum) - (sum of exp(z - m) (z - m)) / sum
// The float version takes the logarithm, logp, lse and entropy in double and rounds each once.
#pragma once

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

template <class S>
S RowMax(const S* logits, int64_t v, float inv_temperature) {
  S top = S(inv_temperature) * logits[0];
  for (int64_t i = 1; i < v; ++i) top = Larger(S(inv_temperature) * logits[i], top);
  return top;
}

// 0 · log 0 = 0: below this, exp is 0 in float.
template <class S>
S Floored(S x) {
  return Larger(S(-100.0f), x);
}

template <class S>
void LogProb(S* logp, S* lse, S* entropy, const S* logits, int32_t target, int64_t v, float inv_temperature) {
  const S scale = S(inv_temperature);
  const S top = RowMax(logits, v, inv_temperature);
  const Wide<S> total = RowSum<S>(v, [&](S sum, int64_t i) { return sum + Exp(scale * logits[i] - top); });
  const Wide<S> weighted = RowSum<S>(v, [&](S sum, int64_t i) {
    const S shifted = scale * logits[i] - top;
    return Fma(Exp(shifted), Floored(shifted), sum);
  });
  const Wide<S> log_total = std::log(total);
  const Wide<S> log_sum = Wide<S>(top) + log_total;
  *logp = S(Wide<S>(scale * logits[target]) - log_sum);
  *lse = S(log_sum);
  *entropy = S(log_total - weighted / total);
}

// The gradient of g · logp + h · entropy, before the kernel's rounding to bf16:
//   d_i = -inv_temperature · u_i,   for the target  inv_temperature · (g - u_i)
//   with u_i = p_i (g + h (log p_i + entropy)) and log p = z - lse.
// If g and h are both 0 the row is 0, and logits and target are not read.
template <class S>
void LogProbBackward(S* dlogits, const S* logits, int32_t target, S lse, S g, S entropy, S h, int64_t v,
                     float inv_temperature) {
  const S scale = S(inv_temperature);
  for (int64_t i = 0; i < v; ++i) {
    dlogits[i] = S(0);
    if (g == S(0) && h == S(0)) continue;
    const S logp = scale * logits[i] - lse;
    const S p = Exp(logp);
    const S pull = h == S(0) ? p * g : p * Fma(h, Floored(logp) + entropy, g);
    dlogits[i] = g != S(0) && i == target ? scale * (g - pull) : -scale * pull;
  }
}

template <class S>
void SoftmaxRow(S* prob, const S* logits, int64_t v, float inv_temperature) {
  const S scale = S(inv_temperature);
  const S top = RowMax(logits, v, inv_temperature);
  for (int64_t i = 0; i < v; ++i) prob[i] = Exp(scale * logits[i] - top);
  const S inverse = S(1) / RowSum<S>(v, [&](S sum, int64_t i) { return sum + prob[i]; });
  for (int64_t i = 0; i < v; ++i) prob[i] = prob[i] * inverse;
}

}  // namespace r1::kernels::ref
