#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace r1 {
namespace {

// kat_vectors of the Random123 library.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox(0, {0, 0, 0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox(~uint64_t{0}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Saved runs depend on these values: they may never change.
TEST(Rng, ValuesArePinned) {
  Rng rng(7, Stream::kSampling, 3);
  const std::vector<uint32_t> got{rng.NextU32(), rng.NextU32(), rng.NextU32(), rng.NextU32(), rng.NextU32()};
  EXPECT_EQ(got, (std::vector<uint32_t>{0x34822d4a, 0xc37711fa, 0x0c6fe267, 0x116ce94d, 0x096a8ca4}));
  EXPECT_EQ(UniformAt(7, Stream::kSampling, 1, 2, 3, 4), 0x1.2953acp-2f);
  Rng normal(42, Stream::kInit);
  EXPECT_EQ(normal.Normal(), -0x1.f5653fa1556b3p+0);
  EXPECT_EQ(normal.Normal(), -0x1.cbe803c5681acp-1);
}

TEST(Rng, StreamsSeedsAndIndicesDiffer) {
  std::set<uint64_t> first;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint32_t stream = 1; stream <= 7; ++stream) {
      for (uint64_t index = 0; index < 5; ++index)
        first.insert(Rng(seed, static_cast<Stream>(stream), index).NextU64());
      first.insert(static_cast<uint64_t>(UniformAt(seed, static_cast<Stream>(stream), 0, 0, 0, 0) * 0x1p24f) << 40);
    }
  }
  EXPECT_EQ(first.size(), 20u * 7 * 6);
}

TEST(Rng, CopyContinuesAlike) {
  Rng a(1, Stream::kTest);
  a.NextU32();
  a.Normal();
  Rng b = a;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.Normal(), b.Normal());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.NextU32(), b.NextU32());
}

TEST(Rng, UniformIsUniform) {
  Rng rng(5, Stream::kTest);
  constexpr int kDraws = 200000, kBins = 20;
  std::vector<int> bins(kBins);
  std::vector<int> token_bins(kBins);
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.Uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++bins[static_cast<size_t>(u * kBins)];
    const float f = UniformAt(9, Stream::kSampling, static_cast<uint32_t>(i % 7), static_cast<uint32_t>(i), 3, 5);
    ASSERT_GE(f, 0);
    ASSERT_LT(f, 1);
    ++token_bins[static_cast<size_t>(f * kBins)];
  }
  for (const auto& counts : {bins, token_bins}) {
    double chi2 = 0;
    const double expected = static_cast<double>(kDraws) / kBins;
    for (const int count : counts) chi2 += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi2, 43.8);  // 19 degrees of freedom, p = 0.001
  }
}

TEST(Rng, BelowAndRange) {
  Rng rng(6, Stream::kTest);
  std::vector<int> bins(7);
  for (int i = 0; i < 70000; ++i) ++bins[rng.Below(7)];
  double chi2 = 0;
  for (const int count : bins) chi2 += (count - 10000.0) * (count - 10000.0) / 10000.0;
  EXPECT_LT(chi2, 22.5);  // 6 degrees of freedom, p = 0.001
  // Three quarters of 2^64: plain "modulo" would give the lower third twice as often.
  const uint64_t n = uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += rng.Below(n) < (uint64_t{1} << 62);
  EXPECT_NEAR(low, 10000, 350);
  for (int i = 0; i < 1000; ++i) {
    const int64_t x = rng.Range(-3, 2);
    ASSERT_GE(x, -3);
    ASSERT_LE(x, 2);
  }
  EXPECT_EQ(rng.Range(5, 5), 5);
  rng.Range(INT64_MIN, INT64_MAX);
  EXPECT_EQ(rng.Below(1), 0u);
}

TEST(Rng, NormalMatchesTheLibraryFunctions) {
  Rng rng(8, Stream::kTest);
  for (int i = 0; i < 20000; ++i) {
    Rng copy = rng;
    const double u = 1 - copy.Uniform(), v = copy.Uniform();
    const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::acos(-1.0) * v;
    const double first = rng.Normal(), second = rng.Normal();
    ASSERT_NEAR(first, radius * std::cos(angle), 2e-14);
    ASSERT_NEAR(second, radius * std::sin(angle), 2e-14);
  }
}

TEST(Rng, NormalMoments) {
  Rng rng(9, Stream::kTest);
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.Normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1, 0.015);
  EXPECT_NEAR(fourth / kDraws, 3, 0.12);
}

}  // namespace
}  // namespace r1
