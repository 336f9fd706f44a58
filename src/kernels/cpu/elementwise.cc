// Sums, scaling and reductions over plain float arrays. Definitions: ref/elementwise.h.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

void add(float* y, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) Store(y + i, Add(Load(y + i), Load(x + i)));
  if (i < n) StoreN(y + i, Add(LoadN(y + i, n - i, 0), LoadN(x + i, n - i, 0)), n - i);
}

void add_to(float* y, const float* a, const float* b, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) Store(y + i, Add(Load(a + i), Load(b + i)));
  if (i < n) StoreN(y + i, Add(LoadN(a + i, n - i, 0), LoadN(b + i, n - i, 0)), n - i);
}

void scale(float* y, float s, int64_t n) {
  const F16 factor = Set(s);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) Store(y + i, Mul(Load(y + i), factor));
  if (i < n) StoreN(y + i, Mul(LoadN(y + i, n - i, 0), factor), n - i);
}

// Four rows a pass, so that the sums are read and written a quarter as often; each column is still
// one chain over the rows.
void column_sum(float* out_N, const float* x, int64_t ldx, int64_t t, int64_t n) {
  int64_t row = 0;
  for (; row + 4 <= t; row += 4) {
    const float* x0 = x + row * ldx;
    const float* x1 = x0 + ldx;
    const float* x2 = x1 + ldx;
    const float* x3 = x2 + ldx;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
      const F16 sum = Add(Add(Add(Load(out_N + i), Load(x0 + i)), Load(x1 + i)), Load(x2 + i));
      Store(out_N + i, Add(sum, Load(x3 + i)));
    }
    if (i < n) {
      const int64_t rest = n - i;
      F16 sum = Add(LoadN(out_N + i, rest, 0), LoadN(x0 + i, rest, 0));
      sum = Add(Add(sum, LoadN(x1 + i, rest, 0)), LoadN(x2 + i, rest, 0));
      StoreN(out_N + i, Add(sum, LoadN(x3 + i, rest, 0)), rest);
    }
  }
  for (; row < t; ++row) add(out_N, x + row * ldx, n);
}

// Blocks are independent chains; four run side by side.
double sum_squares(const float* x, int64_t n) {
  constexpr int64_t kBlock = 4096;
  double total = 0;
  int64_t done = 0;
  for (; done + 4 * kBlock <= n; done += 4 * kBlock) {
    F16 a = Zero(), b = Zero(), c = Zero(), d = Zero();
    const float* p = x + done;
    for (int64_t i = 0; i < kBlock; i += 16) {
      const F16 xa = Load(p + i), xb = Load(p + kBlock + i), xc = Load(p + 2 * kBlock + i),
                xd = Load(p + 3 * kBlock + i);
      a = Fma(xa, xa, a);
      b = Fma(xb, xb, b);
      c = Fma(xc, xc, c);
      d = Fma(xd, xd, d);
    }
    total += static_cast<double>(ReduceSum(a));
    total += static_cast<double>(ReduceSum(b));
    total += static_cast<double>(ReduceSum(c));
    total += static_cast<double>(ReduceSum(d));
  }
  for (; done < n; done += kBlock) {
    const float* p = x + done;
    const int64_t size = n - done < kBlock ? n - done : kBlock;
    F16 sum = Zero();
    int64_t i = 0;
    for (; i + 16 <= size; i += 16) {
      const F16 v = Load(p + i);
      sum = Fma(v, v, sum);
    }
    if (i < size) {
      const F16 v = LoadN(p + i, size - i, 0);
      sum = Fma(v, v, sum);
    }
    total += static_cast<double>(ReduceSum(sum));
  }
  return total;
}

}  // namespace r1::kernels::R1_ISA_NAME
