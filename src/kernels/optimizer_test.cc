// Element-wise operations, reductions and AdamW: bits against the definitions on every table.
#include "kernels/op_test_util.h"
#include "kernels/ref/adamw.h"
#include "kernels/ref/elementwise.h"

namespace r1::kernels {
namespace {

const int64_t kSizes[] = {0, 1, 15, 16, 17, 100, 128, 257};

using ElementwiseTest = OpTest;

TEST_F(ElementwiseTest, SumsAndScalingAreExact) {
  for (int64_t n : kSizes) {
    const Floats a = RandomFloats(n, 1), b = RandomFloats(n, 2);
    Floats sum, scaled;
    for (size_t i = 0; i < a.size(); ++i) {
      sum.push_back(a[i] + b[i]);
      scaled.push_back(a[i] * 0.3f);
    }
    for (const KernelTable* table : AllTables()) {
      const std::string what = std::string(table->isa) + " n=" + std::to_string(n);
      Rows<float> y(1, n, n + 1, a), z(1, n, n + 1), s(1, n, n + 1, a);
      table->add(y.data(), b.data(), n);
      table->add_to(z.data(), a.data(), b.data(), n);
      table->scale(s.data(), 0.3f, n);
      ExpectBits(what + " add", y.Packed(), sum);
      ExpectBits(what + " add_to", z.Packed(), sum);
      ExpectBits(what + " scale", s.Packed(), scaled);
      y.ExpectUntouched(what);
      z.ExpectUntouched(what);
      s.ExpectUntouched(what);
    }
  }
}

TEST_F(ElementwiseTest, ColumnSumAddsRowsInOrder) {
  for (int64_t n : kSizes) {
    for (int64_t t : {0, 1, 3, 4, 5, 11}) {
      const Floats x = RandomFloats(t * n, 1, 100.0), start = RandomFloats(n, 2);
      Floats want = start;
      ref::ColumnSum(want.data(), x.data(), n, t, n);
      for (const KernelTable* table : AllTables()) {
        const std::string what = std::string(table->isa) + " n=" + std::to_string(n) + " T=" + std::to_string(t);
        Rows<float> xs(t, n, n + 3, x), out(1, n, n + 1, start);
        table->column_sum(out.data(), xs.data(), xs.ld(), t, n);
        ExpectBits(what, out.Packed(), want);
        out.ExpectUntouched(what);
      }
    }
  }
}

TEST_F(ElementwiseTest, SumOfSquaresKeepsItsBlocks) {
  for (int64_t n : {0, 1, 17, 4095, 4096, 4097, 16384, 16385, 5 * 4096, 9 * 4096 + 33}) {
    const Floats x = RandomFloats(n, 1, 10.0);
    const double want = ref::SumSquares(x.data(), n);
    for (const KernelTable* table : AllTables())
      EXPECT_EQ(table->sum_squares(x.data(), n), want) << table->isa << " n=" << n;
    const Doubles xd = Cast<double>(x);
    EXPECT_NEAR(want, ref::SumSquares(xd.data(), n), 2e-7 * want);
  }
}

using AdamWTest = OpTest;

AdamWArgs Arguments() {
  AdamWArgs args = {};
  args.lr = 3e-3f;
  args.beta1 = 0.9f;
  args.beta2 = 0.98f;
  args.eps = 1e-8f;
  args.weight_decay = 0.1f;
  args.bias1 = 1.0f - 0.9f * 0.9f * 0.9f;
  args.bias2 = 1.0f - 0.98f * 0.98f * 0.98f;
  args.grad_scale = 0.25f;
  return args;
}

TEST_F(AdamWTest, IsTheDefinitionBitForBitAndNearDouble) {
  for (int64_t n : kSizes) {
    const Floats w0 = RandomFloats(n, 1), m0 = RandomFloats(n, 2, 0.1), g = RandomFloats(n, 3);
    Floats v0 = RandomFloats(n, 4, 0.1);
    for (float& x : v0) x = x * x;
    Floats w = w0, m = m0, v = v0;
    Doubles wd = Cast<double>(w0), md = Cast<double>(m0), vd = Cast<double>(v0);
    const Doubles gd = Cast<double>(g);
    ref::AdamW(w.data(), m.data(), v.data(), g.data(), n, Arguments());
    ref::AdamW(wd.data(), md.data(), vd.data(), gd.data(), n, Arguments());
    ExpectClose("w", w, wd, 2e-7);
    ExpectClose("m", m, md, 2e-7);
    ExpectClose("v", v, vd, 2e-7);
    for (const KernelTable* table : AllTables()) {
      const std::string what = std::string(table->isa) + " n=" + std::to_string(n);
      Rows<float> ws(1, n, n + 1, w0), ms(1, n, n + 1, m0), vs(1, n, n + 1, v0);
      AdamWArgs args = Arguments();
      args.w = ws.data();
      args.m = ms.data();
      args.v = vs.data();
      args.g = g.data();
      args.n = n;
      table->adamw(args);
      ExpectBits(what + " w", ws.Packed(), w);
      ExpectBits(what + " m", ms.Packed(), m);
      ExpectBits(what + " v", vs.Packed(), v);
      for (Rows<float>* rows : {&ws, &ms, &vs}) rows->ExpectUntouched(what);
    }
  }
}

// The first step of Adam is lr · sign(gradient), whatever the gradient's size; decay pulls towards
// zero by lr · decay · w.
TEST_F(AdamWTest, FirstStepIsTheSignOfTheGradient) {
  for (const KernelTable* table : AllTables()) {
    Floats w = {1.0f, 1.0f, 1.0f}, m(3), v(3);
    const Floats g = {5.0f, -1e-3f, 0.0f};
    AdamWArgs args = Arguments();
    args.w = w.data();
    args.m = m.data();
    args.v = v.data();
    args.g = g.data();
    args.n = 3;
    args.bias1 = 1.0f - args.beta1;
    args.bias2 = 1.0f - args.beta2;
    table->adamw(args);
    const float decayed = 1.0f - 3e-3f * 0.1f;
    EXPECT_NEAR(w[0], decayed - 3e-3f, 1e-6) << table->isa;
    EXPECT_NEAR(w[1], decayed + 3e-3f, 1e-6) << table->isa;
    EXPECT_NEAR(w[2], decayed, 1e-7) << table->isa;
  }
}

}  // namespace
}  // namespace r1::kernels
