// Definition of a product of matrices (kernels.h): for each block of 32 along the reduction an even
// and an odd chain of fused steps start at +0, are added to each other, and the sum is added to the
// accumulator; blocks ascend. This is the order of TDPBF16PS (Intel SDM volume 2). With float and
// bf16-representable inputs the bits are those of every kernel table.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// start + sum over i < k of a(i)·b(i).
template <class S, class A, class B>
S ProductSum(S start, int64_t k, const A& a, const B& b) {
  S sum = start;
  for (int64_t block = 0; block < k; block += 32) {
    S even = 0, odd = 0;
    for (int64_t i = block; i < block + 32 && i < k; i += 2) {
      even = Fma<S>(a(i), b(i), even);
      if (i + 1 < k) odd = Fma<S>(a(i + 1), b(i + 1), odd);
    }
    sum = sum + (even + odd);
  }
  return sum;
}

// C [M, N] (+)= A [M, K] · B [K, N], plain row-major matrices.
template <class S>
void Gemm(S* c, int64_t ldc, const S* a, int64_t lda, const S* b_KN, int64_t ldb, int64_t m, int64_t n, int64_t k,
          bool accumulate) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      c[i * ldc + j] = ProductSum<S>(
          accumulate ? c[i * ldc + j] : S(0), k, [&](int64_t p) { return a[i * lda + p]; },
          [&](int64_t p) { return b_KN[p * ldb + j]; });
    }
  }
}

// Index of element (k, n) in the packed right side.
inline int64_t PackedIndex(int64_t k, int64_t n, int64_t rows_k) {
  return ((n / 16 * (RoundUp(rows_k, 32) / 2) + k / 2) * 16 + n % 16) * 2 + k % 2;
}

}  // namespace r1::kernels::ref
