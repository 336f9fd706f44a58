// Definition of one AdamW step (Loshchilov and Hutter 2019); bias1 = 1 - beta1^t,
// bias2 = 1 - beta2^t:
//   g' = g · grad_scale;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'²
//   w -= lr · ((m / bias1) / (sqrt(v / bias2) + eps) + weight_decay · w)
#pragma once

#include "kernels/kernels.h"
#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// Hyperparameters from args (its pointers and n are not used).
template <class S>
void AdamW(S* w, S* m, S* v, const S* g, int64_t n, const AdamWArgs& args) {
  for (int64_t i = 0; i < n; ++i) {
    const S gradient = g[i] * S(args.grad_scale);
    m[i] = Fma(S(args.beta1), m[i], (S(1) - S(args.beta1)) * gradient);
    v[i] = Fma(S(args.beta2), v[i], (S(1) - S(args.beta2)) * (gradient * gradient));
    const S step = m[i] * (S(1) / S(args.bias1)) / (std::sqrt(v[i] * (S(1) / S(args.bias2))) + S(args.eps));
    w[i] = Fma(S(-args.lr), Fma(S(args.weight_decay), w[i], step), w[i]);
  }
}

}  // namespace r1::kernels::ref
