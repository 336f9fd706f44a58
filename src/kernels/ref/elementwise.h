// Definitions of the reductions over plain arrays (cpu/elementwise.cc). y += x, a + b and y *= s
// need none.
#pragma once

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// out [N] += sum over the T rows of x, rows in order.
template <class S>
void ColumnSum(S* out_N, const S* x, int64_t ldx, int64_t t, int64_t n) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < n; ++i) out_N[i] = out_N[i] + x[row * ldx + i];
  }
}

// Sum of x²: row sums of blocks of 4,096 elements, added in double.
template <class S>
Wide<S> SumSquares(const S* x, int64_t n) {
  Wide<S> total = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    const int64_t size = n - begin < 4096 ? n - begin : 4096;
    const S* p = x + begin;
    total += Wide<S>(RowSum<S>(size, [&](S sum, int64_t i) { return Fma(p[i], p[i], sum); }));
  }
  return total;
}

}  // namespace r1::kernels::ref
