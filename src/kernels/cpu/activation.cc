// SwiGLU: h = silu(gate) · up, and its gradient. Definition: ref/activation.h.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

void swiglu(Bf16* h, int64_t ldh, const float* gu, int64_t ldgu, int64_t t, int64_t f) {
  const int64_t padded = RoundUp(f, 32);
  for (int64_t row = 0; row < t; ++row) {
    const float* gate_row = gu + row * ldgu;
    const float* up_row = gate_row + f;
    Bf16* h_row = h + row * ldh;
    int64_t i = 0;
    for (; i + 16 <= f; i += 16) {
      const F16 gate = Load(gate_row + i);
      StoreBf16(h_row + i, Mul(Mul(gate, Sigmoid(gate)), Load(up_row + i)));
    }
    if (i < f) {
      const F16 gate = LoadN(gate_row + i, f - i, 0);
      StoreBf16(h_row + i, Mul(Mul(gate, Sigmoid(gate)), LoadN(up_row + i, f - i, 0)));
      i += 16;
    }
    for (; i < padded; i += 16) StoreBf16(h_row + i, Zero());
  }
}

namespace {
struct GateUp {
  F16 gate, up;
};
R1_VEC_INLINE GateUp Gradient(F16 dh, F16 gate, F16 up) {
  const F16 sigmoid = Sigmoid(gate);
  const F16 silu = Mul(gate, sigmoid);
  const F16 slope = Fma(silu, Sub(Set(1.0f), sigmoid), sigmoid);  // silu' = s + g s (1 - s)
  return {Mul(Mul(dh, up), slope), Mul(dh, silu)};
}
}  // namespace

void swiglu_backward(Bf16* dgu, int64_t lddgu, const float* dh, int64_t lddh, const float* gu, int64_t ldgu, int64_t t,
                     int64_t f) {
  const int64_t padded = RoundUp(2 * f, 32);
  for (int64_t row = 0; row < t; ++row) {
    const float* gate_row = gu + row * ldgu;
    const float* up_row = gate_row + f;
    const float* dh_row = dh + row * lddh;
    Bf16* out = dgu + row * lddgu;
    int64_t i = 0;
    for (; i + 16 <= f; i += 16) {
      const GateUp d = Gradient(Load(dh_row + i), Load(gate_row + i), Load(up_row + i));
      StoreBf16(out + i, d.gate);
      StoreBf16(out + f + i, d.up);
    }
    if (i < f) {
      const int64_t rest = f - i;
      const GateUp d = Gradient(LoadN(dh_row + i, rest, 0), LoadN(gate_row + i, rest, 0), LoadN(up_row + i, rest, 0));
      StoreBf16N(out + i, d.gate, rest);  // up begins right behind it
      StoreBf16(out + f + i, d.up);       // zero from rest on, and f + i + 16 <= RoundUp(2 f, 32)
    }
    for (i = 2 * f; i < padded; ++i) out[i] = Bf16{};
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
