// Log-probabilities over the vocabulary, their gradient, and the softmax of one row. Definition:
// ref/softmax.h.
//   z = inv_temperature · logit    m = max z    sum = row sum of exp(z - m)    lse = m + log(sum)
// The logarithm is taken once a row in double, of the float sum; logp and lse are rounded once,
// from double. The sampler and the trainer both call logprob, on equal logits: equal bits.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

namespace {

// exp is exactly 0 from here on, so that 0 · kFloor stands for the limit 0 · (-infinity).
constexpr float kFloor = -100.0f;
constexpr float kLowest = -__builtin_inff();

// Sixteen scaled logits of a row, those from column v on -infinity.
R1_VEC_INLINE F16 Scaled(const float* row, int64_t i, int64_t v, F16 inv_temperature) {
  if (i + 16 <= v) return Mul(Load(row + i), inv_temperature);
  return KeepN(Mul(LoadN(row + i, v - i, 0), inv_temperature), v - i, kLowest);
}

// The maximum does not depend on the order; four chains hide the latency.
R1_VEC_INLINE float RowMax(const float* row, int64_t v, F16 inv_temperature) {
  F16 a = Set(kLowest), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 64 <= v; i += 64) {
    a = Max(a, Mul(Load(row + i), inv_temperature));
    b = Max(b, Mul(Load(row + i + 16), inv_temperature));
    c = Max(c, Mul(Load(row + i + 32), inv_temperature));
    d = Max(d, Mul(Load(row + i + 48), inv_temperature));
  }
  for (; i < v; i += 16) a = Max(a, Scaled(row, i, v, inv_temperature));
  return ReduceMax(Max(Max(a, b), Max(c, d)));
}

// The gradient without the one-hot term: p · (g + h · (log p + entropy)); with_entropy false means
// h = 0.
template <bool with_entropy>
R1_VEC_INLINE F16 Pull(F16 z, F16 lse, F16 g, F16 h, F16 entropy) {
  const F16 logp = Sub(z, lse);
  const F16 p = Exp(logp);
  if constexpr (!with_entropy) return Mul(p, g);
  return Mul(p, Fma(h, Add(Max(Set(kFloor), logp), entropy), g));
}

template <bool with_entropy>
void BackwardRow(Bf16* out, const float* row, int32_t target, float lse_row, float g_row, float entropy_row,
                 float h_row, int64_t v, float inv_temperature) {
  const F16 temperature = Set(inv_temperature), minus = Set(-inv_temperature);
  const F16 lse = Set(lse_row), g = Set(g_row), h = Set(h_row), entropy = Set(entropy_row);
  const int64_t padded = RoundUp(v, 32);
  int64_t i = 0;
  for (; i + 16 <= v; i += 16) {
    const F16 z = Mul(Load(row + i), temperature);
    StoreBf16(out + i, Mul(minus, Pull<with_entropy>(z, lse, g, h, entropy)));
  }
  if (i < v) {
    const F16 z = Scaled(row, i, v, temperature);
    StoreBf16(out + i, KeepN(Mul(minus, Pull<with_entropy>(z, lse, g, h, entropy)), v - i, 0));
    i += 16;
  }
  for (; i < padded; i += 16) StoreBf16(out + i, Zero());
  if (g_row == 0) return;
  const int64_t block = target / 16 * 16;  // once more for the target, with its one-hot term
  float pull[16];
  Store(pull, Pull<with_entropy>(Scaled(row, block, v, temperature), lse, g, h, entropy));
  out[target] = ToBf16(inv_temperature * (g_row - pull[target - block]));
}

}  // namespace

void logprob(float* logp_T, float* lse_T, float* entropy_T, const float* logits, int64_t ldl, const int32_t* target_T,
             int64_t t, int64_t v, float inv_temperature) {
  const F16 temperature = Set(inv_temperature);
  for (int64_t row = 0; row < t; ++row) {
    const float* logits_row = logits + row * ldl;
    const float top = RowMax(logits_row, v, temperature);
    const F16 m = Set(top);
    F16 sum = Zero(), weighted = Zero();
    if (entropy_T == nullptr) {
      for (int64_t i = 0; i < v; i += 16) sum = Add(sum, Exp(Sub(Scaled(logits_row, i, v, temperature), m)));
    } else {
      for (int64_t i = 0; i < v; i += 16) {
        const F16 shifted = Sub(Scaled(logits_row, i, v, temperature), m);
        const F16 e = Exp(shifted);
        sum = Add(sum, e);
        weighted = Fma(e, Max(Set(kFloor), shifted), weighted);
      }
    }
    const float total = ReduceSum(sum);
    const double log_total = std::log(static_cast<double>(total));
    const double lse = static_cast<double>(top) + log_total;
    if (lse_T != nullptr) lse_T[row] = static_cast<float>(lse);
    if (logp_T != nullptr)
      logp_T[row] = static_cast<float>(static_cast<double>(inv_temperature * logits_row[target_T[row]]) - lse);
    if (entropy_T != nullptr) {
      entropy_T[row] =
          static_cast<float>(log_total - static_cast<double>(ReduceSum(weighted)) / static_cast<double>(total));
    }
  }
}

void logprob_backward(Bf16* dlogits, int64_t ldd, const float* logits, int64_t ldl, const int32_t* target_T,
                      const float* lse_T, const float* g_T, const float* entropy_T, const float* h_T, int64_t t,
                      int64_t v, float inv_temperature) {
  for (int64_t row = 0; row < t; ++row) {
    Bf16* out = dlogits + row * ldd;
    const float* logits_row = logits + row * ldl;
    const float h = h_T != nullptr ? h_T[row] : 0.0f;
    if (h != 0) {
      BackwardRow<true>(out, logits_row, target_T[row], lse_T[row], g_T[row], entropy_T[row], h, v, inv_temperature);
    } else if (g_T[row] != 0) {
      BackwardRow<false>(out, logits_row, target_T[row], lse_T[row], g_T[row], 0, 0, v, inv_temperature);
    } else {
      for (int64_t i = 0; i < RoundUp(v, 32); i += 16) StoreBf16(out + i, Zero());  // a masked token
    }
  }
}

void softmax_row(float* prob, const float* logits, int64_t v, float inv_temperature) {
  const F16 temperature = Set(inv_temperature);
  const F16 m = Set(RowMax(logits, v, temperature));
  F16 sum = Zero();
  int64_t i = 0;
  for (; i + 16 <= v; i += 16) {
    const F16 e = Exp(Sub(Mul(Load(logits + i), temperature), m));
    Store(prob + i, e);
    sum = Add(sum, e);
  }
  if (i < v) {
    const F16 e = Exp(Sub(Scaled(logits, i, v, temperature), m));
    StoreN(prob + i, e, v - i);
    sum = Add(sum, e);
  }
  scale(prob, 1.0f / ReduceSum(sum), v);
}

}  // namespace r1::kernels::R1_ISA_NAME
