// Sizes of the work of attention_backward, shared by the kernels and by AttentionBackwardScratch.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace r1::kernels {

struct AttentionBackwardShape {
  AttentionBackwardShape(int64_t t, int64_t d_qk, int64_t d_v)
      : t_padded(RoundUp(t, 32)), dk(RoundUp(d_qk, 32)), dv(RoundUp(d_v, 32)) {
    constexpr int64_t kElements = 128 * 1024,
                      kMaxQueries = 256;  // dSᵀ of a block of queries stays within the L2 cache
    queries = t_padded > 0 ? kElements / t_padded / 32 * 32 : 32;
    if (queries > kMaxQueries) queries = kMaxQueries;
    if (queries > t_padded) queries = t_padded;
    if (queries < 32) queries = 32;
  }
  // Floats of scratch.
  int64_t Floats() const {
    const int64_t bf16 = t_padded * (3 * dk + 3 * dv) + 32 * (dk + dv) + queries * (64 + t_padded);
    return bf16 / 2 + 3 * t_padded + 32 * dk;
  }
  int64_t t_padded;  // rows
  int64_t dk, dv;    // columns, both as reductions
  int64_t queries;   // in a block
};

}  // namespace r1::kernels
