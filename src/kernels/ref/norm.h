// Definition of the root-mean-square norm (Zhang and Sennrich 2019): x [T, D], w [D].
//   r = 1 / sqrt(mean(x²) + eps)    y = (x r) w    (the kernel rounds y to bf16)
//   dx = r (dy∘w - x · r² · mean(dy∘w∘x))    dw += sum over rows of dy∘(x r), rows in order
#pragma once

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

template <class S>
void RmsNorm(S* y, int64_t ldy, S* r_T, const S* x, int64_t ldx, const S* w_D, int64_t t, int64_t d, float eps) {
  for (int64_t row = 0; row < t; ++row) {
    const S* p = x + row * ldx;
    const S squares = RowSum<S>(d, [&](S sum, int64_t i) { return Fma(p[i], p[i], sum); });
    const S r = S(1) / std::sqrt(squares / S(static_cast<float>(d)) + S(eps));
    r_T[row] = r;
    for (int64_t i = 0; i < d; ++i) y[row * ldy + i] = p[i] * r * w_D[i];
  }
}

// dx is written, or added to if accumulate; dw is added to.
template <class S>
void RmsNormBackward(S* dx, int64_t lddx, bool accumulate, S* dw_D, const S* dy, int64_t lddy, const S* x, int64_t ldx,
                     const S* w_D, const S* r_T, int64_t t, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    const S* p = x + row * ldx;
    const S* g = dy + row * lddy;
    const S r = r_T[row];
    const S dot = RowSum<S>(d, [&](S sum, int64_t i) { return Fma(g[i] * w_D[i], p[i], sum); });
    const S pull = -(r * r * (dot / S(static_cast<float>(d))));
    for (int64_t i = 0; i < d; ++i) {
      const S inner = Fma(pull, p[i], g[i] * w_D[i]);
      dw_D[i] = Fma(g[i], p[i] * r, dw_D[i]);
      S& out = dx[row * lddx + i];
      out = accumulate ? Fma(r, inner, out) : r * inner;
    }
  }
}

}  // namespace r1::kernels::ref
