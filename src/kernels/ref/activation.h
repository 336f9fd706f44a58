// Definition of SwiGLU (Shazeer 2020): gu [T, 2F] = gate | up, h [T, F] = silu(gate) · up with
// silu(g) = g / (1 + exp(-g)). The kernels round h and dgu to bf16.
#pragma once

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

template <class S>
void SwiGlu(S* h, int64_t ldh, const S* gu, int64_t ldgu, int64_t t, int64_t f) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < f; ++i) {
      const S gate = gu[row * ldgu + i];
      h[row * ldh + i] = gate * Sigmoid(gate) * gu[row * ldgu + f + i];
    }
  }
}

// silu'(g) = s + g s (1 - s).
template <class S>
void SwiGluBackward(S* dgu, int64_t lddgu, const S* dh, int64_t lddh, const S* gu, int64_t ldgu, int64_t t, int64_t f) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < f; ++i) {
      const S gate = gu[row * ldgu + i], up = gu[row * ldgu + f + i], g = dh[row * lddh + i];
      const S sigmoid = Sigmoid(gate);
      const S silu = gate * sigmoid;
      dgu[row * lddgu + i] = g * up * Fma(silu, S(1) - sigmoid, sigmoid);
      dgu[row * lddgu + f + i] = g * silu;
    }
  }
}

}  // namespace r1::kernels::ref
