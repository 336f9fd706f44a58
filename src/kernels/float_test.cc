// Float32 operations: bits against the definitions on every table, and the product's accuracy against double.
#include "kernels/float_kernels.h"

#include "kernels/op_test_util.h"
#include "kernels/ref/activation.h"
#include "kernels/ref/float_ops.h"

namespace r1::kernels {
namespace {

using FloatOps = OpTest;

TEST_F(FloatOps, ProductIsTheDefinitionBitForBit) {
  const int64_t shapes[][3] = {{1, 1, 1},  {1, 4, 8},   {2, 3, 16},  {3, 5, 17},  {4, 4, 32}, {5, 9, 33},
                               {7, 6, 31}, {8, 12, 64}, {1, 13, 96}, {9, 1, 100}, {0, 4, 16}, {6, 7, 129}};
  for (const auto& [m, n, k] : shapes) {
    const Floats x = RandomFloats(m * k, 1), w = RandomFloats(n * k, 2);
    Floats want(static_cast<size_t>(m * n));
    ref::FloatProduct(want.data(), n, x.data(), k, w.data(), k, m, n, k);
    Doubles accurate(want.size());
    const Doubles xd = Cast<double>(x), wd = Cast<double>(w);
    ref::FloatProduct(accurate.data(), n, xd.data(), k, wd.data(), k, m, n, k);
    ExpectClose("against double", want, accurate, 1e-6);
    for (const KernelTable* table : AllTables()) {
      const std::string what =
          std::string(table->isa) + " M=" + std::to_string(m) + " N=" + std::to_string(n) + " K=" + std::to_string(k);
      Rows<float> xs(m, k, k + 3, x), ws(n, k, k + 5, w), ys(m, n, n + 2);
      FloatKernelsOf(*table).product({xs.data(), xs.ld(), ws.data(), ws.ld(), ys.data(), ys.ld(), m, n, k});
      ExpectBits(what, ys.Packed(), want);
      ys.ExpectUntouched(what);
    }
  }
}

TEST_F(FloatOps, WeightedSumIsTheDefinitionBitForBit) {
  for (const int64_t n : {1, 8, 16, 31, 64, 77, 130}) {
    for (const int64_t rows : {0, 1, 5, 40}) {
      const Floats p = RandomFloats(rows, 1), w = RandomFloats(rows * n, 2);
      Floats want(static_cast<size_t>(n));
      ref::WeightedSum(want.data(), p.data(), w.data(), n, rows, n);
      for (const KernelTable* table : AllTables()) {
        const std::string what = std::string(table->isa) + " N=" + std::to_string(n) + " R=" + std::to_string(rows);
        Rows<float> ws(rows, n, n + 7, w), ys(1, n, n + 1);
        FloatKernelsOf(*table).weighted_sum(ys.data(), p.data(), ws.data(), ws.ld(), rows, n);
        ExpectBits(what, ys.Packed(), want);
        ys.ExpectUntouched(what);
      }
    }
  }
}

TEST_F(FloatOps, SwiGluIsTheDefinitionBitForBit) {
  for (const int64_t n : {1, 15, 16, 33, 200}) {
    const Floats both = RandomFloats(2 * n, 3, 5.0);
    Floats want(static_cast<size_t>(n));
    ref::SwiGlu(want.data(), n, both.data(), 2 * n, 1, n);
    for (const KernelTable* table : AllTables()) {
      const std::string what = std::string(table->isa) + " N=" + std::to_string(n);
      Rows<float> beside(1, n, n + 4), over(1, n, n + 4, Floats(both.begin(), both.begin() + n));
      FloatKernelsOf(*table).swiglu(beside.data(), both.data(), both.data() + n, n);
      FloatKernelsOf(*table).swiglu(over.data(), over.data(), both.data() + n, n);
      ExpectBits(what, beside.Packed(), want);
      ExpectBits(what + " in place", over.Packed(), want);
      beside.ExpectUntouched(what);
    }
  }
}

}  // namespace
}  // namespace r1::kernels
