// Attention and its gradient: every kernel table against the definition in ref/attention.h, bit for
// bit; decoding against the full sequence; accuracy and gradients against double precision and the
// complex step.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "kernels/ref/attention.h"

namespace r1::kernels {
namespace {

std::vector<const KernelTable*> AllTables() {
  std::vector<const KernelTable*> tables;
  for (const char* const* name = AvailableIsas(); *name != nullptr; ++name) tables.push_back(KernelsFor(*name));
  return tables;
}

template <class T>
::testing::AssertionResult SameBits(const std::vector<T>& got, const std::vector<T>& want) {
  if (got.size() != want.size())
    return ::testing::AssertionFailure() << "sizes " << got.size() << " and " << want.size();
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::memcmp(&got[i], &want[i], sizeof(T)) != 0) return ::testing::AssertionFailure() << "differ first at " << i;
  }
  return ::testing::AssertionSuccess();
}

struct Shape {
  int64_t t, d_qk, d_v;
};
std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "T " << s.t << " d_qk " << s.d_qk << " d_v " << s.d_v;
}

// One head over one sequence: inputs in bf16, rows padded with zeros as the contract asks, and as
// floats.
struct Head {
  Head(Shape s, uint64_t seed, double spread = 1.0)
      : shape(s),
        ldq(RoundUp(s.d_qk, 32) + 32),
        ldv(RoundUp(s.d_v, 32) + 16),
        scale(1.0f / std::sqrt(static_cast<float>(s.d_qk))) {
    Rng rng(seed, Stream::kTest);
    const auto fill = [&](std::vector<Bf16>* bits, std::vector<float>* values, int64_t ld, int64_t d) {
      bits->assign(static_cast<size_t>(s.t * ld), Bf16{});
      for (int64_t i = 0; i < s.t; ++i) {
        for (int64_t c = 0; c < d; ++c) {
          (*bits)[i * ld + c] = ToBf16(static_cast<float>(rng.Normal() * spread));
          values->push_back(ToFloat((*bits)[i * ld + c]));
        }
      }
    };
    fill(&q, &q_float, ldq, s.d_qk);
    fill(&k, &k_float, ldq, s.d_qk);
    fill(&v, &v_float, ldv, s.d_v);
    for (int64_t i = 0; i < s.t * s.d_v; ++i) dout.push_back(static_cast<float>(rng.Normal()));
  }
  int64_t pages() const { return RoundUp(shape.t, kPagePositions) / kPagePositions; }
  // Contiguous pages holding the first `positions` positions.
  std::vector<Bf16> Pages(const KernelTable& table, int64_t positions) const {
    const int64_t stride = PageElements(shape.d_qk, shape.d_v);
    std::vector<Bf16> out(static_cast<size_t>(pages() * stride));
    for (int64_t p = 0; p < positions; ++p) {
      table.append_kv(out.data() + p / kPagePositions * stride, p, &k[p * ldq], &v[p * ldv], shape.d_qk, shape.d_v);
    }
    return out;
  }
  Shape shape;
  int64_t ldq, ldv;
  float scale;
  std::vector<Bf16> q, k, v;
  std::vector<float> q_float, k_float, v_float, dout;
};

struct Outputs {
  std::vector<Bf16> out;  // [rows, d_v]
  std::vector<float> max, sum;
};

Outputs Defined(const Head& h) {
  const auto [t, d_qk, d_v] = h.shape;
  Outputs o;
  std::vector<float> out(static_cast<size_t>(t * d_v));
  o.max.resize(static_cast<size_t>(t));
  o.sum.resize(static_cast<size_t>(t));
  ref::Attention<true, float>(out.data(), o.max.data(), o.sum.data(), h.q_float.data(), h.k_float.data(),
                              h.v_float.data(), t, 0, d_qk, d_v, h.scale);
  for (float x : out) o.out.push_back(ToBf16(x));
  return o;
}

// Rows first .. first + rows of the sequence over the given pages; checks that nothing is written
// beside them.
Outputs Attend(const KernelTable& table, const Head& h, const KvView& kv, int64_t first, int64_t rows) {
  const auto [t, d_qk, d_v] = h.shape;
  const int64_t ldo = d_v + 3;
  const Bf16 mark{0xabcd};
  std::vector<Bf16> padded(static_cast<size_t>((rows + 2) * ldo), mark);
  const int64_t scratch_size = AttentionScratch(rows, first);
  std::vector<float> scratch(static_cast<size_t>(scratch_size + 16),
                             7e33f);  // stale contents must not matter
  Outputs o;
  o.max.resize(static_cast<size_t>(rows));
  o.sum.resize(static_cast<size_t>(rows));
  table.attention({.q = &h.q[first * h.ldq],
                   .ldq = h.ldq,
                   .kv = kv,
                   .rows = rows,
                   .first_position = first,
                   .d_qk = d_qk,
                   .d_v = d_v,
                   .scale = h.scale,
                   .out = padded.data() + ldo,
                   .ldo = ldo,
                   .max = o.max.data(),
                   .sum = o.sum.data(),
                   .scratch = scratch.data()});
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(scratch[scratch_size + i], 7e33f) << "scratch overrun";
  for (int64_t i = 0; i < (rows + 2) * ldo; ++i) {
    const bool inside = i >= ldo && i < (rows + 1) * ldo && i % ldo < d_v;
    if (inside)
      o.out.push_back(padded[i]);
    else
      EXPECT_EQ(padded[i].bits, mark.bits) << "write outside at " << i;
  }
  return o;
}

void ExpectSame(const Outputs& got, const Outputs& want) {
  EXPECT_TRUE(SameBits(got.out, want.out));
  EXPECT_TRUE(SameBits(got.max, want.max));
  EXPECT_TRUE(SameBits(got.sum, want.sum));
}

Outputs Slice(const Outputs& o, int64_t first, int64_t rows, int64_t d_v) {
  return {{o.out.begin() + first * d_v, o.out.begin() + (first + rows) * d_v},
          {o.max.begin() + first, o.max.begin() + first + rows},
          {o.sum.begin() + first, o.sum.begin() + first + rows}};
}

const Shape kShapes[] = {{1, 32, 32},  {2, 16, 16},  {7, 32, 32},   {8, 32, 32},    {9, 24, 16},
                         {31, 48, 32}, {32, 64, 32}, {33, 32, 20},  {64, 32, 32},   {65, 8, 8},
                         {70, 96, 80}, {97, 32, 64}, {150, 48, 32}, {41, 192, 128}, {300, 32, 32}};

class AttentionTest : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
};

TEST_F(AttentionTest, EveryTableEqualsTheDefinitionInEveryBit) {
  uint64_t seed = 1;
  for (const Shape& s : kShapes) {
    const Head h(s, ++seed);
    const Outputs want = Defined(h);
    for (const KernelTable* table : AllTables()) {
      SCOPED_TRACE(::testing::Message() << "isa " << table->isa << " " << s);
      const std::vector<Bf16> pages = h.Pages(*table, s.t);
      ExpectSame(Attend(*table, h, {.base = pages.data(), .stride = PageElements(s.d_qk, s.d_v)}, 0, s.t), want);
    }
  }
}

// Position by position, each page filled only as far as decoding has come, in a table of scattered
// pages.
TEST_F(AttentionTest, DecodingEqualsTheFullSequenceAtEveryPosition) {
  for (const Shape& s : {Shape{100, 32, 32}, Shape{70, 48, 32}, Shape{40, 64, 80}}) {
    const Head h(s, 21);
    const int64_t elements = PageElements(s.d_qk, s.d_v);
    for (const KernelTable* table : AllTables()) {
      SCOPED_TRACE(::testing::Message() << "isa " << table->isa << " " << s);
      const std::vector<Bf16> whole = h.Pages(*table, s.t);
      const Outputs full = Attend(*table, h, {.base = whole.data(), .stride = elements}, 0, s.t);
      std::vector<std::vector<Bf16>> pool(static_cast<size_t>(h.pages() * 2),
                                          std::vector<Bf16>(static_cast<size_t>(elements)));
      std::vector<const Bf16*> pages;
      for (int64_t p = 0; p < h.pages(); ++p) pages.push_back(pool[(p * 7 + 3) % pool.size()].data());
      for (int64_t position = 0; position < s.t; ++position) {
        table->append_kv(const_cast<Bf16*>(pages[position / kPagePositions]), position, &h.k[position * h.ldq],
                         &h.v[position * h.ldv], s.d_qk, s.d_v);
        ExpectSame(Attend(*table, h, {.table = pages.data()}, position, 1), Slice(full, position, 1, s.d_v));
        if (HasFailure()) return;
      }
      for (int64_t p = 0; p < h.pages(); ++p) {
        EXPECT_EQ(0, std::memcmp(pages[p], whole.data() + p * elements, static_cast<size_t>(elements) * sizeof(Bf16)));
      }
    }
  }
}

TEST_F(AttentionTest, ChunksEqualTheFullSequence) {
  const Shape s{150, 48, 32};
  const Head h(s, 22);
  for (const KernelTable* table : AllTables()) {
    const std::vector<Bf16> pages = h.Pages(*table, s.t);
    const KvView kv{.base = pages.data(), .stride = PageElements(s.d_qk, s.d_v)};
    const Outputs full = Attend(*table, h, kv, 0, s.t);
    for (int64_t chunk : {1, 2, 5, 7, 8, 13, 16, 32, 40, 100}) {
      for (int64_t first = 0; first < s.t; first += chunk) {
        const int64_t rows = std::min(chunk, s.t - first);
        SCOPED_TRACE(::testing::Message() << "isa " << table->isa << " rows " << first << " + " << rows);
        ExpectSame(Attend(*table, h, kv, first, rows), Slice(full, first, rows, s.d_v));
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(AttentionTest, ExtremeScoresStayFinite) {
  // Scores in the thousands: all weight on one key, the rest exactly zero.
  const Head h({60, 32, 32}, 23, 40.0);
  const Outputs want = Defined(h);
  for (const KernelTable* table : AllTables()) {
    const std::vector<Bf16> pages = h.Pages(*table, h.shape.t);
    const Outputs got = Attend(*table, h, {.base = pages.data(), .stride = PageElements(32, 32)}, 0, h.shape.t);
    ExpectSame(got, want);
    for (size_t i = 0; i < got.out.size(); ++i) ASSERT_TRUE(std::isfinite(ToFloat(got.out[i]))) << table->isa;
    for (float l : got.sum) ASSERT_GE(l, 1.0f);
  }
}

TEST_F(AttentionTest, IsAccurate) {
  // p is rounded to bf16 (relative 2^-9) on one side of the quotient and the output once more: at
  // most 2^-8 of the largest |v|.
  const Shape s{130, 48, 32};
  const Head h(s, 24);
  std::vector<double> q(h.q_float.begin(), h.q_float.end()), k(h.k_float.begin(), h.k_float.end()),
      v(h.v_float.begin(), h.v_float.end());
  std::vector<double> out(static_cast<size_t>(s.t * s.d_v)), max(static_cast<size_t>(s.t)),
      sum(static_cast<size_t>(s.t));
  ref::Attention<false, double>(out.data(), max.data(), sum.data(), q.data(), k.data(), v.data(), s.t, 0, s.d_qk, s.d_v,
                                h.scale);
  double largest = 0;
  for (double x : v) largest = std::max(largest, std::abs(x));
  for (const KernelTable* table : AllTables()) {
    const std::vector<Bf16> pages = h.Pages(*table, s.t);
    const Outputs got = Attend(*table, h, {.base = pages.data(), .stride = PageElements(s.d_qk, s.d_v)}, 0, s.t);
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_NEAR(ToFloat(got.out[i]), out[i], largest / 256) << table->isa << " at " << i;
    for (size_t i = 0; i < max.size(); ++i) {
      ASSERT_NEAR(got.max[i], max[i], 1e-5 * (1 + std::abs(max[i])));
      ASSERT_NEAR(got.sum[i], sum[i], 2e-5 * sum[i]);
    }
  }
}

// ---- Gradient
// -------------------------------------------------------------------------------------------------------------

struct Gradients {
  std::vector<float> dq, dk, dv;  // [T, d]
};

Gradients RunBackward(const KernelTable& table, const Head& h, const Outputs& forward, float start) {
  const auto [t, d_qk, d_v] = h.shape;
  const int64_t extra = 5, ld_qk = d_qk + extra, ld_v = d_v + extra;
  std::vector<float> dq(static_cast<size_t>(t * ld_qk), 77.0f), dk(dq.size(), start),
      dv(static_cast<size_t>(t * ld_v), start);
  const int64_t scratch_size = AttentionBackwardScratch(t, d_qk, d_v);
  std::vector<float> scratch(static_cast<size_t>(scratch_size + 16), 7e33f);
  table.attention_backward({.q = h.q.data(),
                            .k = h.k.data(),
                            .v = h.v.data(),
                            .ldq = h.ldq,
                            .ldk = h.ldq,
                            .ldv = h.ldv,
                            .out = forward.out.data(),
                            .ldo = d_v,
                            .dout = h.dout.data(),
                            .lddo = d_v,
                            .max = forward.max.data(),
                            .sum = forward.sum.data(),
                            .t = t,
                            .d_qk = d_qk,
                            .d_v = d_v,
                            .scale = h.scale,
                            .dq = dq.data(),
                            .dk = dk.data(),
                            .dv = dv.data(),
                            .lddq = ld_qk,
                            .lddk = ld_qk,
                            .lddv = ld_v,
                            .scratch = scratch.data()});
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(scratch[scratch_size + i], 7e33f) << "scratch overrun";
  Gradients g;
  for (int64_t i = 0; i < t * ld_qk; ++i) {
    if (i % ld_qk < d_qk) {
      g.dq.push_back(dq[i]);
      g.dk.push_back(dk[i]);
    } else {
      EXPECT_TRUE(dq[i] == 77.0f && dk[i] == start) << "write outside at " << i;
    }
  }
  for (int64_t i = 0; i < t * ld_v; ++i) {
    if (i % ld_v < d_v)
      g.dv.push_back(dv[i]);
    else
      EXPECT_EQ(dv[i], start) << "write outside at " << i;
  }
  return g;
}

TEST_F(AttentionTest, BackwardOfEveryTableEqualsTheDefinitionInEveryBit) {
  std::vector<Shape> shapes(std::begin(kShapes), std::end(kShapes));
  shapes.push_back({700, 32, 16});  // several blocks of queries
  uint64_t seed = 100;
  for (const Shape& s : shapes) {
    const Head h(s, ++seed);
    const Outputs forward = Defined(h);
    std::vector<float> out;
    for (Bf16 x : forward.out) out.push_back(ToFloat(x));
    Gradients want;
    want.dq.resize(static_cast<size_t>(s.t * s.d_qk));
    want.dk.assign(want.dq.size(), 0.25f);
    want.dv.assign(static_cast<size_t>(s.t * s.d_v), 0.25f);
    ref::AttentionBackward<true, float>(want.dq.data(), want.dk.data(), want.dv.data(), h.q_float.data(),
                                        h.k_float.data(), h.v_float.data(), out.data(), h.dout.data(),
                                        forward.max.data(), forward.sum.data(), s.t, s.d_qk, s.d_v, h.scale);
    for (const KernelTable* table : AllTables()) {
      SCOPED_TRACE(::testing::Message() << "isa " << table->isa << " " << s);
      const Gradients got = RunBackward(*table, h, forward, 0.25f);
      EXPECT_TRUE(SameBits(got.dq, want.dq));
      EXPECT_TRUE(SameBits(got.dk, want.dk));
      EXPECT_TRUE(SameBits(got.dv, want.dv));
    }
  }
}

// The exact gradient in double precision, from the complex step of the exact function: d/dx of
// sum(dout∘out) for one element of q, k or v at a time, error about 1e-15.
double ComplexStep(const Head& h, int which, int64_t element) {
  using C = std::complex<double>;
  const auto [t, d_qk, d_v] = h.shape;
  std::vector<C> in[3] = {
      {h.q_float.begin(), h.q_float.end()}, {h.k_float.begin(), h.k_float.end()}, {h.v_float.begin(), h.v_float.end()}};
  constexpr double kStep = 1e-100;
  in[which][element] += C(0, kStep);
  std::vector<C> out(static_cast<size_t>(t * d_v)), max(static_cast<size_t>(t)), sum(static_cast<size_t>(t));
  ref::Attention<false, C>(out.data(), max.data(), sum.data(), in[0].data(), in[1].data(), in[2].data(), t, 0, d_qk,
                           d_v, C(h.scale));
  C loss = 0;
  for (size_t i = 0; i < out.size(); ++i) loss += out[i] * static_cast<double>(h.dout[i]);
  return loss.imag() / kStep;
}

struct ExactGradients {
  std::vector<double> dq, dk, dv;
};

ExactGradients Exact(const Head& h) {
  const auto [t, d_qk, d_v] = h.shape;
  std::vector<double> q(h.q_float.begin(), h.q_float.end()), k(h.k_float.begin(), h.k_float.end()),
      v(h.v_float.begin(), h.v_float.end());
  std::vector<double> g(h.dout.begin(), h.dout.end());
  std::vector<double> out(g.size()), max(static_cast<size_t>(t)), sum(static_cast<size_t>(t));
  ref::Attention<false, double>(out.data(), max.data(), sum.data(), q.data(), k.data(), v.data(), t, 0, d_qk, d_v,
                                h.scale);
  ExactGradients e{std::vector<double>(q.size()), std::vector<double>(k.size()), std::vector<double>(v.size())};
  ref::AttentionBackward<false, double>(e.dq.data(), e.dk.data(), e.dv.data(), q.data(), k.data(), v.data(), out.data(),
                                        g.data(), max.data(), sum.data(), t, d_qk, d_v, h.scale);
  return e;
}

TEST_F(AttentionTest, DefinedGradientIsTheComplexStep) {
  for (const Shape& s : {Shape{5, 4, 3}, Shape{35, 6, 5}}) {
    const Head h(s, 31);
    const ExactGradients e = Exact(h);
    const int64_t stride = s.t > 10 ? 7 : 1;
    for (int64_t i = 0; i < s.t * s.d_qk; i += stride) {
      EXPECT_NEAR(e.dq[i], ComplexStep(h, 0, i), 1e-13) << "dq " << i << " " << s;
      EXPECT_NEAR(e.dk[i], ComplexStep(h, 1, i), 1e-13) << "dk " << i << " " << s;
    }
    for (int64_t i = 0; i < s.t * s.d_v; i += stride)
      EXPECT_NEAR(e.dv[i], ComplexStep(h, 2, i), 1e-13) << "dv " << i << " " << s;
  }
}

// P, dS, dO and O carry one bf16 rounding each, relative error at most 2^-9, so a gradient that
// sums n such terms of random sign errs by about 2^-9 of the root of the sum of their squares;
// measured against the root mean square of the gradient: 2 percent for the whole.
TEST_F(AttentionTest, BackwardIsAccurate) {
  for (const Shape& s : {Shape{40, 32, 32}, Shape{130, 48, 32}}) {
    const Head h(s, 32);
    const ExactGradients e = Exact(h);
    for (const KernelTable* table : AllTables()) {
      const std::vector<Bf16> pages = h.Pages(*table, s.t);
      const Outputs forward = Attend(*table, h, {.base = pages.data(), .stride = PageElements(s.d_qk, s.d_v)}, 0, s.t);
      const Gradients got = RunBackward(*table, h, forward, 0.0f);
      const auto relative = [](const std::vector<float>& x, const std::vector<double>& y) {
        double error = 0, size = 0;
        for (size_t i = 0; i < x.size(); ++i) {
          error += (x[i] - y[i]) * (x[i] - y[i]);
          size += y[i] * y[i];
        }
        return std::sqrt(error / size);
      };
      EXPECT_LT(relative(got.dq, e.dq), 0.02) << table->isa << " " << s;
      EXPECT_LT(relative(got.dk, e.dk), 0.02) << table->isa << " " << s;
      EXPECT_LT(relative(got.dv, e.dv), 0.02) << table->isa << " " << s;
    }
  }
}

TEST_F(AttentionTest, BackwardOfNothingDoesNothing) {
  for (const KernelTable* table : AllTables()) {
    float scratch = 1;
    AttentionBackwardArgs args{};
    args.d_qk = args.d_v = 32;
    args.scratch = &scratch;
    table->attention_backward(args);
    EXPECT_EQ(scratch, 1);
    AttentionArgs none{};
    none.d_qk = none.d_v = 32;
    table->attention(none);
  }
}

}  // namespace
}  // namespace r1::kernels
