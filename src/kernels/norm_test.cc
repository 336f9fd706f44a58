// Norm, SwiGLU and rope: bits against the definitions on every table, accuracy against double,
// gradients by complex step.
#include "kernels/ref/norm.h"
#include "kernels/op_test_util.h"
#include "kernels/ref/activation.h"
#include "kernels/ref/rope.h"

namespace r1::kernels {
namespace {

constexpr float kEps = 1e-5f;
const int64_t kWidths[] = {1, 7, 15, 16, 17, 31, 32, 33, 64, 100, 128, 130, 352};
const int64_t kHeights[] = {0, 1, 3};

std::string Shape(const KernelTable* table, int64_t t, int64_t d) {
  return std::string(table->isa) + " T=" + std::to_string(t) + " D=" + std::to_string(d);
}

using NormTest = OpTest;

TEST_F(NormTest, ForwardAndBackwardAreTheDefinitionBitForBit) {
  for (int64_t d : kWidths) {
    for (int64_t t : kHeights) {
      const Floats x = RandomFloats(t * d, 1, 3.0), w = RandomFloats(d, 2), dy = RandomFloats(t * d, 3),
                   dx0 = RandomFloats(t * d, 4);
      const Floats dw0 = RandomFloats(d, 5);
      Floats y(x.size()), r(static_cast<size_t>(t)), dx_added = dx0, dx_written = dx0, dw = dw0, dw_again = dw0;
      ref::RmsNorm(y.data(), d, r.data(), x.data(), d, w.data(), t, d, kEps);
      ref::RmsNormBackward(dx_added.data(), d, true, dw.data(), dy.data(), d, x.data(), d, w.data(), r.data(), t, d);
      ref::RmsNormBackward(dx_written.data(), d, false, dw_again.data(), dy.data(), d, x.data(), d, w.data(), r.data(),
                           t, d);
      const int64_t padded = RoundUp(d, 32);
      for (const KernelTable* table : AllTables()) {
        const std::string what = Shape(table, t, d);
        Rows<float> xs(t, d, d + 5, x), dys(t, d, d + 2, dy), rs(1, t, t + 1);
        Rows<Bf16> ys(t, padded, padded + 32);
        table->rms_norm(ys.data(), ys.ld(), rs.data(), xs.data(), xs.ld(), w.data(), t, d, kEps);
        Floats y_padded(static_cast<size_t>(t * padded));
        for (int64_t row = 0; row < t; ++row) std::copy_n(y.data() + row * d, d, y_padded.data() + row * padded);
        ExpectBits(what + " y", ys.Packed(), RoundAll(y_padded));
        ExpectBits(what + " r", rs.Packed(), r);
        ys.ExpectUntouched(what);
        rs.ExpectUntouched(what);
        // In float, beside its input and over it.
        Rows<float> yf(t, d, d + 4), over(t, d, d + 5, x), rf(1, t, t + 1);
        table->rms_norm_float(yf.data(), yf.ld(), rf.data(), xs.data(), xs.ld(), w.data(), t, d, kEps);
        table->rms_norm_float(over.data(), over.ld(), nullptr, over.data(), over.ld(), w.data(), t, d, kEps);
        ExpectBits(what + " float y", yf.Packed(), y);
        ExpectBits(what + " float y in place", over.Packed(), y);
        ExpectBits(what + " float r", rf.Packed(), r);
        yf.ExpectUntouched(what);
        over.ExpectUntouched(what);
        rf.ExpectUntouched(what);
        for (bool accumulate : {false, true}) {
          Rows<float> dxs(t, d, d + 3, dx0), dws(1, d, d + 1, dw0);
          table->rms_norm_backward(dxs.data(), dxs.ld(), accumulate, dws.data(), dys.data(), dys.ld(), xs.data(),
                                   xs.ld(), w.data(), r.data(), t, d);
          ExpectBits(what + " dx", dxs.Packed(), accumulate ? dx_added : dx_written);
          ExpectBits(what + " dw", dws.Packed(), dw);
          dxs.ExpectUntouched(what);
          dws.ExpectUntouched(what);
        }
        Rows<float> in_place(t, d, d + 2, dy), dws(1, d, d + 1, dw0);
        table->rms_norm_backward(in_place.data(), in_place.ld(), false, dws.data(), in_place.data(), in_place.ld(),
                                 xs.data(), xs.ld(), w.data(), r.data(), t, d);
        ExpectBits(what + " dx over dy", in_place.Packed(), dx_written);
        ExpectBits(what + " dw beside dx over dy", dws.Packed(), dw);
      }
    }
  }
}

TEST_F(NormTest, WithoutStatisticsTheOutputIsTheSame) {
  const int64_t t = 2, d = 40;
  const Floats x = RandomFloats(t * d, 1), w = RandomFloats(d, 2);
  for (const KernelTable* table : AllTables()) {
    Rows<Bf16> with(t, 64, 64), without(t, 64, 64);
    Floats r(static_cast<size_t>(t));
    table->rms_norm(with.data(), 64, r.data(), x.data(), d, w.data(), t, d, kEps);
    table->rms_norm(without.data(), 64, nullptr, x.data(), d, w.data(), t, d, kEps);
    ExpectBits(table->isa, without.Packed(), with.Packed());
  }
}

TEST_F(NormTest, FloatIsNearDouble) {
  const int64_t t = 4, d = 130;
  const Floats x = RandomFloats(t * d, 1, 3.0), w = RandomFloats(d, 2), dy = RandomFloats(t * d, 3);
  const Doubles xd = Cast<double>(x), wd = Cast<double>(w), dyd = Cast<double>(dy);
  Floats y(x.size()), r(4), dx(x.size()), dw(w.size());
  Doubles yd(x.size()), rd(4), dxd(x.size()), dwd(w.size());
  ref::RmsNorm(y.data(), d, r.data(), x.data(), d, w.data(), t, d, kEps);
  ref::RmsNorm(yd.data(), d, rd.data(), xd.data(), d, wd.data(), t, d, kEps);
  ref::RmsNormBackward(dx.data(), d, false, dw.data(), dy.data(), d, x.data(), d, w.data(), r.data(), t, d);
  ref::RmsNormBackward(dxd.data(), d, false, dwd.data(), dyd.data(), d, xd.data(), d, wd.data(), rd.data(), t, d);
  ExpectClose("y", y, yd, 3e-7);
  ExpectClose("r", r, rd, 3e-7);
  ExpectClose("dx", dx, dxd, 5e-7);
  ExpectClose("dw", dw, dwd, 5e-7);
}

TEST_F(NormTest, GradientIsTheComplexStep) {
  const int64_t t = 2, d = 19;
  const Doubles x = Cast<double>(RandomFloats(t * d, 1, 2.0)), w = Cast<double>(RandomFloats(d, 2)),
                dy = Cast<double>(RandomFloats(t * d, 3));
  const auto loss = [&](const std::vector<Complex>& xs, const std::vector<Complex>& ws) {
    std::vector<Complex> y(xs.size()), r(static_cast<size_t>(t));
    ref::RmsNorm(y.data(), d, r.data(), xs.data(), d, ws.data(), t, d, kEps);
    Complex sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += dy[i] * y[i];
    return sum;
  };
  Doubles y(x.size()), r(static_cast<size_t>(t)), dx(x.size()), dw(w.size());
  ref::RmsNorm(y.data(), d, r.data(), x.data(), d, w.data(), t, d, kEps);
  ref::RmsNormBackward(dx.data(), d, false, dw.data(), dy.data(), d, x.data(), d, w.data(), r.data(), t, d);
  ExpectClose("dx", dx, ComplexGradient([&](const auto& z) { return loss(z, Cast<Complex>(w)); }, x), 1e-14);
  ExpectClose("dw", dw, ComplexGradient([&](const auto& z) { return loss(Cast<Complex>(x), z); }, w), 1e-14);
}

TEST_F(NormTest, ARowOfZerosStaysZero) {
  const Floats x(48, 0.0f), w(48, 1.0f);
  for (const KernelTable* table : AllTables()) {
    Rows<Bf16> y(1, 64, 64);
    Floats r(1);
    table->rms_norm(y.data(), 64, r.data(), x.data(), 48, w.data(), 1, 48, kEps);
    ExpectBits(table->isa, y.Packed(), std::vector<Bf16>(64));
    EXPECT_FLOAT_EQ(r[0], 1.0f / std::sqrt(kEps));
  }
}

using SwiGluTest = OpTest;

TEST_F(SwiGluTest, ForwardAndBackwardAreTheDefinitionBitForBit) {
  for (int64_t f : kWidths) {
    for (int64_t t : kHeights) {
      Floats gu = RandomFloats(t * 2 * f, 1, 4.0);
      const Floats dh = RandomFloats(t * f, 2);
      if (t > 0) gu[0] = 200.0f;
      if (t > 1) gu[static_cast<size_t>(2 * f)] = -200.0f;
      Floats h(dh.size()), dgu(gu.size());
      ref::SwiGlu(h.data(), f, gu.data(), 2 * f, t, f);
      ref::SwiGluBackward(dgu.data(), 2 * f, dh.data(), f, gu.data(), 2 * f, t, f);
      const int64_t padded = RoundUp(f, 32), padded2 = RoundUp(2 * f, 32);
      Floats h_padded(static_cast<size_t>(t * padded)), dgu_padded(static_cast<size_t>(t * padded2));
      for (int64_t row = 0; row < t; ++row) {
        std::copy_n(h.data() + row * f, f, h_padded.data() + row * padded);
        std::copy_n(dgu.data() + row * 2 * f, 2 * f, dgu_padded.data() + row * padded2);
      }
      for (const KernelTable* table : AllTables()) {
        const std::string what = Shape(table, t, f);
        Rows<float> gus(t, 2 * f, 2 * f + 3, gu), dhs(t, f, f + 1, dh);
        Rows<Bf16> hs(t, padded, padded + 32), dgus(t, padded2, padded2 + 32);
        table->swiglu(hs.data(), hs.ld(), gus.data(), gus.ld(), t, f);
        ExpectBits(what + " h", hs.Packed(), RoundAll(h_padded));
        hs.ExpectUntouched(what);
        table->swiglu_backward(dgus.data(), dgus.ld(), dhs.data(), dhs.ld(), gus.data(), gus.ld(), t, f);
        ExpectBits(what + " dgu", dgus.Packed(), RoundAll(dgu_padded));
        dgus.ExpectUntouched(what);
      }
    }
  }
}

TEST_F(SwiGluTest, FloatIsNearDoubleAndTheGradientIsTheComplexStep) {
  const int64_t t = 3, f = 21;
  const Floats gu = RandomFloats(t * 2 * f, 1, 4.0), dh = RandomFloats(t * f, 2);
  const Doubles gud = Cast<double>(gu), dhd = Cast<double>(dh);
  Floats h(dh.size()), dgu(gu.size());
  Doubles hd(dh.size()), dgud(gu.size());
  ref::SwiGlu(h.data(), f, gu.data(), 2 * f, t, f);
  ref::SwiGlu(hd.data(), f, gud.data(), 2 * f, t, f);
  ref::SwiGluBackward(dgu.data(), 2 * f, dh.data(), f, gu.data(), 2 * f, t, f);
  ref::SwiGluBackward(dgud.data(), 2 * f, dhd.data(), f, gud.data(), 2 * f, t, f);
  ExpectClose("h", h, hd, 3e-7);
  ExpectClose("dgu", dgu, dgud, 4e-7);
  const auto loss = [&](const std::vector<Complex>& z) {
    std::vector<Complex> out(dh.size());
    ref::SwiGlu(out.data(), f, z.data(), 2 * f, t, f);
    Complex sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += dhd[i] * out[i];
    return sum;
  };
  ExpectClose("complex step", dgud, ComplexGradient(loss, gud), 1e-14);
}

using RopeTest = OpTest;

Floats Angles(int64_t positions, int64_t dim) {
  Floats table(static_cast<size_t>(positions * dim));
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < dim / 2; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
      table[static_cast<size_t>(p * dim + i)] = static_cast<float>(std::cos(angle));
      table[static_cast<size_t>(p * dim + dim / 2 + i)] = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

TEST_F(RopeTest, IsTheDefinitionBitForBitAndTheInverseUndoesIt) {
  const int32_t position[] = {0, 9, 4, 31};
  for (int64_t dim : {2, 4, 8, 16, 20, 32, 34, 64, 128}) {
    const Floats cos_sin = Angles(32, dim);
    for (int64_t heads : {1, 3}) {
      for (int64_t t : {0, 1, 4}) {
        for (bool interleaved : {false, true}) {
          const int64_t stride = dim + 6, width = (heads - 1) * stride + dim;
          const Floats x = RandomFloats(t * width, 1);
          for (bool inverse : {false, true}) {
            Floats want = x;
            ref::Rope(want.data(), width, heads, stride, dim, position, cos_sin.data(), t, interleaved, inverse);
            for (const KernelTable* table : AllTables()) {
              const std::string what =
                  Shape(table, t, dim) + (interleaved ? " interleaved" : " halves") + (inverse ? " inverse" : "");
              Rows<float> xs(t, width, width + 7, x);
              table->rope(xs.data(), xs.ld(), heads, stride, dim, position, cos_sin.data(), t, interleaved, inverse);
              ExpectBits(what, xs.Packed(), want);
              xs.ExpectUntouched(what);
              table->rope(xs.data(), xs.ld(), heads, stride, dim, position, cos_sin.data(), t, interleaved, !inverse);
              ExpectClose(what + " back", xs.Packed(), x, 3e-7);
            }
          }
        }
      }
    }
  }
}

// A rotated query times a rotated key depends on the distance only, whichever pairing is used;
// position 0 changes nothing.
TEST_F(RopeTest, ScoresDependOnDistanceOnly) {
  const int64_t dim = 16;
  const Floats cos_sin = Angles(64, dim), q = RandomFloats(dim, 1), k = RandomFloats(dim, 2);
  for (bool interleaved : {false, true}) {
    const auto score = [&](int32_t at_q, int32_t at_k) {
      Doubles a = Cast<double>(q), b = Cast<double>(k);
      ref::Rope(a.data(), dim, 1, dim, dim, &at_q, cos_sin.data(), 1, interleaved, false);
      ref::Rope(b.data(), dim, 1, dim, dim, &at_k, cos_sin.data(), 1, interleaved, false);
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
      return sum;
    };
    EXPECT_NEAR(score(7, 3), score(50, 46), 1e-5);
    EXPECT_GT(std::fabs(score(7, 3) - score(7, 5)), 1e-3);
  }
}

}  // namespace
}  // namespace r1::kernels
