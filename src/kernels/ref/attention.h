// Definition of causal attention of one head and of its gradient (formulas in kernels.h). With
// float, inputs that are bf16 values and Rounding = true the bits are those of every kernel table;
// with double or complex numbers and Rounding = false it is the exact function, to measure accuracy
// and to differentiate.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ref/gemm.h"
#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// A value as the input of a product, or as an output that is stored in bf16.
template <bool Rounding, class S>
S AsBf16(S x) {
  if constexpr (Rounding) {
    return ToFloat(ToBf16(x));
  } else {
    return x;
  }
}

// Positions are counted from 0. q [rows, d_qk] are the queries at first_position + row; k
// [first_position + rows, d_qk] and v [.., d_v] all keys and values up to there; out [rows, d_v];
// max and sum [rows].
template <bool Rounding, class S>
void Attention(S* out, S* max, S* sum, const S* q, const S* k, const S* v, int64_t rows, int64_t first_position,
               int64_t d_qk, int64_t d_v, S scale) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t visible = first_position + i + 1;
    std::vector<S> p(static_cast<size_t>(visible));
    for (int64_t j = 0; j < visible; ++j) {
      p[j] = ProductSum<S>(
                 S(0), d_qk, [&](int64_t c) { return q[i * d_qk + c]; }, [&](int64_t c) { return k[j * d_qk + c]; }) *
             scale;
    }
    S m = p[0];
    for (int64_t j = 1; j < visible; ++j) m = Larger(p[j], m);
    for (S& x : p) x = Exp(x - m);
    const S l = RowSum<S>(visible, [&](S lane, int64_t j) { return lane + p[j]; });
    for (int64_t c = 0; c < d_v; ++c) {
      const S y = ProductSum<S>(
          S(0), visible, [&](int64_t j) { return AsBf16<Rounding>(p[j]); }, [&](int64_t j) { return v[j * d_v + c]; });
      out[i * d_v + c] = AsBf16<Rounding>(y / l);
    }
    max[i] = m;
    sum[i] = l;
  }
}

// dq [T, d_qk] written; dk [T, d_qk] and dv [T, d_v] added to. out, max and sum as Attention left
// them.
//   P = exp(s - m)·(1/l);  D_i = sum of dO∘O over the row;  dS = P∘(dP - D)·scale, dO rounded
//   first, P and dS where they enter a product
template <bool Rounding, class S>
void AttentionBackward(S* dq, S* dk, S* dv, const S* q, const S* k, const S* v, const S* out, const S* dout,
                       const S* max, const S* sum, int64_t t, int64_t d_qk, int64_t d_v, S scale) {
  const auto size = static_cast<size_t>(t * t);
  std::vector<S> p(size, S(0)), ds(size, S(0)), g(static_cast<size_t>(t * d_v));
  for (int64_t i = 0; i < t * d_v; ++i) g[i] = AsBf16<Rounding>(dout[i]);
  for (int64_t i = 0; i < t; ++i) {
    const S delta = RowSum<S>(d_v, [&](S lane, int64_t c) { return Fma<S>(g[i * d_v + c], out[i * d_v + c], lane); });
    const S inverse = S(1) / sum[i];
    for (int64_t j = 0; j <= i; ++j) {
      const S s = ProductSum<S>(
          S(0), d_qk, [&](int64_t c) { return k[j * d_qk + c]; }, [&](int64_t c) { return q[i * d_qk + c]; });
      const S dp = ProductSum<S>(
          S(0), d_v, [&](int64_t c) { return v[j * d_v + c]; }, [&](int64_t c) { return g[i * d_v + c]; });
      const S probability = Exp(s * scale - max[i]) * inverse;
      p[i * t + j] = AsBf16<Rounding>(probability);
      ds[i * t + j] = AsBf16<Rounding>(probability * (dp - delta) * scale);
    }
    for (int64_t c = 0; c < d_qk; ++c) {
      dq[i * d_qk + c] = ProductSum<S>(
          S(0), i + 1, [&](int64_t j) { return ds[i * t + j]; }, [&](int64_t j) { return k[j * d_qk + c]; });
    }
  }
  // Reductions over queries start at the block of 32 that holds the key: earlier ones see nothing
  // of it.
  for (int64_t j = 0; j < t; ++j) {
    const int64_t first = j / 32 * 32;
    for (int64_t c = 0; c < d_v; ++c) {
      dv[j * d_v + c] = ProductSum<S>(
          dv[j * d_v + c], t - first, [&](int64_t i) { return p[(first + i) * t + j]; },
          [&](int64_t i) { return g[(first + i) * d_v + c]; });
    }
    for (int64_t c = 0; c < d_qk; ++c) {
      dk[j * d_qk + c] = ProductSum<S>(
          dk[j * d_qk + c], t - first, [&](int64_t i) { return ds[(first + i) * t + j]; },
          [&](int64_t i) { return q[(first + i) * d_qk + c]; });
    }
  }
}

}  // namespace r1::kernels::ref
