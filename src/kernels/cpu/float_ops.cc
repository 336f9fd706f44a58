// Products, weighted sums and SwiGLU in float32. Definition: ref/float_ops.h, ref/activation.h.
#include "kernels/cpu/vec16.h"
#include "kernels/float_kernels.h"

namespace r1::kernels::R1_ISA_NAME {

const FloatKernels& FloatTable();

namespace {

// Rows i .. i + R of x by rows j .. j + C of w; each element keeps its own 16 lanes.
template <int R, int C>
void Tile(const FloatProductArgs& a, int64_t i, int64_t j) {
  F16 sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = Zero();
  }
  const float* x = a.x + i * a.ldx;
  const float* w = a.w + j * a.ldw;
  int64_t k = 0;
  for (; k + 16 <= a.k; k += 16) {
    F16 left[R];
    for (int r = 0; r < R; ++r) left[r] = Load(x + r * a.ldx + k);
    for (int c = 0; c < C; ++c) {
      const F16 right = Load(w + c * a.ldw + k);
      for (int r = 0; r < R; ++r) sum[r][c] = Fma(left[r], right, sum[r][c]);
    }
  }
  if (const int64_t rest = a.k - k; rest > 0) {
    for (int c = 0; c < C; ++c) {
      const F16 right = LoadN(w + c * a.ldw + k, rest, 0);
      for (int r = 0; r < R; ++r) sum[r][c] = Fma(LoadN(x + r * a.ldx + k, rest, 0), right, sum[r][c]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) a.y[(i + r) * a.ldy + j + c] = ReduceSum(sum[r][c]);
  }
}

template <int R>
void RowsOfProduct(const FloatProductArgs& a, int64_t i) {
  int64_t j = 0;
  for (; j + 4 <= a.n; j += 4) Tile<R, 4>(a, i, j);
  for (; j < a.n; ++j) Tile<R, 1>(a, i, j);
}

void Product(const FloatProductArgs& a) {
  int64_t i = 0;
  for (; i + 4 <= a.m; i += 4) RowsOfProduct<4>(a, i);
  for (; i < a.m; ++i) RowsOfProduct<1>(a, i);
}

void WeightedSum(float* y_N, const float* p_R, const float* w, int64_t ldw, int64_t rows, int64_t n) {
  int64_t j = 0;
  for (; j + 64 <= n; j += 64) {
    F16 a = Zero(), b = a, c = a, d = a;
    for (int64_t r = 0; r < rows; ++r) {
      const F16 p = Set(p_R[r]);
      const float* row = w + r * ldw + j;
      a = Fma(p, Load(row), a);
      b = Fma(p, Load(row + 16), b);
      c = Fma(p, Load(row + 32), c);
      d = Fma(p, Load(row + 48), d);
    }
    Store(y_N + j, a);
    Store(y_N + j + 16, b);
    Store(y_N + j + 32, c);
    Store(y_N + j + 48, d);
  }
  for (; j < n; j += 16) {
    const int64_t lanes = n - j < 16 ? n - j : 16;
    F16 sum = Zero();
    for (int64_t r = 0; r < rows; ++r) sum = Fma(Set(p_R[r]), LoadN(w + r * ldw + j, lanes, 0), sum);
    StoreN(y_N + j, sum, lanes);
  }
}

void SwiGlu(float* h, const float* gate, const float* up, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t lanes = n - i < 16 ? n - i : 16;
    const F16 g = LoadN(gate + i, lanes, 0);
    StoreN(h + i, Mul(Mul(g, Sigmoid(g)), LoadN(up + i, lanes, 0)), lanes);
  }
}

}  // namespace

const FloatKernels& FloatTable() {
  static constexpr FloatKernels kTable = {.product = Product, .weighted_sum = WeightedSum, .swiglu = SwiGlu};
  return kTable;
}

}  // namespace r1::kernels::R1_ISA_NAME
