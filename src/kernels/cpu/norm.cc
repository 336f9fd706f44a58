// Root-mean-square norm over rows, and its gradient. Definition: ref/norm.h.
//   r = 1 / sqrt(mean(x²) + eps)    y = bf16((x r) w)
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

namespace {

// 1 / sqrt(mean(x²) + eps) of d elements.
inline float InverseRms(const float* x, int64_t d, float eps) {
  const int64_t whole = d / 16 * 16;
  const int64_t rest = d - whole;
  F16 squares = Zero();
  for (int64_t i = 0; i < whole; i += 16) {
    const F16 v = Load(x + i);
    squares = Fma(v, v, squares);
  }
  if (rest > 0) {
    const F16 v = LoadN(x + whole, rest, 0);
    squares = Fma(v, v, squares);
  }
  return 1.0f / std::sqrt(ReduceSum(squares) / static_cast<float>(d) + eps);
}

}  // namespace

void rms_norm(Bf16* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t, int64_t d,
              float eps) {
  const int64_t whole = d / 16 * 16;
  const int64_t rest = d - whole;
  const int64_t padded = RoundUp(d, 32);
  for (int64_t row = 0; row < t; ++row) {
    const float* x_row = x + row * ldx;
    Bf16* y_row = y + row * ldy;
    const float r = InverseRms(x_row, d, eps);
    if (r_T != nullptr) r_T[row] = r;
    const F16 factor = Set(r);
    int64_t i = 0;
    for (; i < whole; i += 16) StoreBf16(y_row + i, Mul(Mul(Load(x_row + i), factor), Load(w_D + i)));
    if (rest > 0) {
      const F16 tail = Mul(Mul(LoadN(x_row + i, rest, 0), factor), LoadN(w_D + i, rest, 0));
      StoreBf16(y_row + i, KeepN(tail, rest, 0));
      i += 16;
    }
    for (; i < padded; i += 16) StoreBf16(y_row + i, Zero());
  }
}

void rms_norm_float(float* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t,
                    int64_t d, float eps) {
  const int64_t whole = d / 16 * 16;
  const int64_t rest = d - whole;
  for (int64_t row = 0; row < t; ++row) {
    const float* x_row = x + row * ldx;
    float* y_row = y + row * ldy;
    const float r = InverseRms(x_row, d, eps);
    if (r_T != nullptr) r_T[row] = r;
    const F16 factor = Set(r);
    for (int64_t i = 0; i < whole; i += 16) Store(y_row + i, Mul(Mul(Load(x_row + i), factor), Load(w_D + i)));
    if (rest > 0)
      StoreN(y_row + whole, Mul(Mul(LoadN(x_row + whole, rest, 0), factor), LoadN(w_D + whole, rest, 0)), rest);
  }
}

// One row at a time; the row of dw stays in cache and every column of it is one chain over the
// rows.
void rms_norm_backward(float* dx, int64_t lddx, bool accumulate, float* dw_D, const float* dy, int64_t lddy,
                       const float* x, int64_t ldx, const float* w_D, const float* r_T, int64_t t, int64_t d) {
  const int64_t whole = d / 16 * 16;
  const int64_t rest = d - whole;
  for (int64_t row = 0; row < t; ++row) {
    const float* x_row = x + row * ldx;
    const float* dy_row = dy + row * lddy;
    float* dx_row = dx + row * lddx;
    F16 dot = Zero();
    for (int64_t i = 0; i < whole; i += 16) dot = Fma(Mul(Load(dy_row + i), Load(w_D + i)), Load(x_row + i), dot);
    if (rest > 0) {
      const F16 g = Mul(LoadN(dy_row + whole, rest, 0), LoadN(w_D + whole, rest, 0));
      dot = Fma(g, LoadN(x_row + whole, rest, 0), dot);
    }
    const float r = r_T[row];
    const F16 factor = Set(r);
    const F16 pull = Set(-(r * r * (ReduceSum(dot) / static_cast<float>(d))));
    for (int64_t i = 0; i < whole; i += 16) {
      const F16 g = Load(dy_row + i);
      const F16 v = Load(x_row + i);
      const F16 inner = Fma(pull, v, Mul(g, Load(w_D + i)));
      Store(dw_D + i, Fma(g, Mul(v, factor), Load(dw_D + i)));
      Store(dx_row + i, accumulate ? Fma(factor, inner, Load(dx_row + i)) : Mul(factor, inner));
    }
    if (rest > 0) {
      const F16 g = LoadN(dy_row + whole, rest, 0);
      const F16 v = LoadN(x_row + whole, rest, 0);
      const F16 inner = Fma(pull, v, Mul(g, LoadN(w_D + whole, rest, 0)));
      StoreN(dw_D + whole, Fma(g, Mul(v, factor), LoadN(dw_D + whole, rest, 0)), rest);
      const F16 out = accumulate ? Fma(factor, inner, LoadN(dx_row + whole, rest, 0)) : Mul(factor, inner);
      StoreN(dx_row + whole, out, rest);
    }
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
