// Operations of float32 inference beside those of kernels.h: matrices stay as they are stored, nothing is rounded to
// bf16. One table per ISA with equal bits, as there; the definitions are in ref/float_ops.h.
//   Product and norm-like sums run in the row-sum order of kernels.h (16 fused lanes, then their tree), weighted sums
//   of rows in the order of the rows. So an output element depends on its own inputs only, and whoever splits rows or
//   outputs over threads changes no bit.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace r1::kernels {

struct FloatProductArgs {  // y [M, N] = x [M, K] · w [N, K]ᵀ
  const float* x;
  int64_t ldx;
  const float* w;
  int64_t ldw;
  float* y;
  int64_t ldy;
  int64_t m, n, k;
};

struct FloatKernels {
  void (*product)(const FloatProductArgs&);
  // y_N = sum over rows r of p_R[r] · w[r], w [R, ldw]: one fused chain an element, from +0.
  void (*weighted_sum)(float* y_N, const float* p_R, const float* w, int64_t ldw, int64_t rows, int64_t n);
  // h = silu(gate) · up; h may be gate.
  void (*swiglu)(float* h, const float* gate, const float* up, int64_t n);
};

// Those of a table's instruction set.
const FloatKernels& FloatKernelsOf(const KernelTable& table);

}  // namespace r1::kernels
