// Definitions of the float32 operations of kernels/float_kernels.h. With float the bits are those of every table.
#pragma once

#include <cstdint>

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// Sum of a(i)·b(i), i < k, in the row-sum order: lane i % 16 of 16 takes fused steps, then l += l + 8, + 4, + 2, + 1.
template <class S>
S LaneDot(const S* a, const S* b, int64_t k) {
  S lane[16] = {};
  for (int64_t i = 0; i < k; ++i) lane[i % 16] = Fma<S>(a[i], b[i], lane[i % 16]);
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) lane[i] = lane[i] + lane[i + step];
  }
  return lane[0];
}

template <class S>
void FloatProduct(S* y, int64_t ldy, const S* x, int64_t ldx, const S* w_NK, int64_t ldw, int64_t m, int64_t n,
                  int64_t k) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) y[i * ldy + j] = LaneDot(x + i * ldx, w_NK + j * ldw, k);
  }
}

template <class S>
void WeightedSum(S* y_N, const S* p_R, const S* w, int64_t ldw, int64_t rows, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    S sum = 0;
    for (int64_t r = 0; r < rows; ++r) sum = Fma<S>(p_R[r], w[r * ldw + j], sum);
    y_N[j] = sum;
  }
}

}  // namespace r1::kernels::ref
