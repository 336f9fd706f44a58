#include "eval/stats.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace r1 {
namespace {

ProblemSamples Samples(std::initializer_list<std::pair<bool, const char*>> list) {
  ProblemSamples samples;
  for (const auto& [correct, key] : list) samples.push_back({correct, key});
  return samples;
}

TEST(Stats, PassAt1WithStandardErrorOverProblems) {
  // Shares 1, 0.5, 0: mean 0.5, variance (0.25 + 0 + 0.25) / 2 = 0.25, standard error sqrt(0.25 / 3).
  const std::vector<ProblemSamples> problems = {Samples({{true, "a"}, {true, "a"}}),
                                                Samples({{true, "a"}, {false, "b"}}),
                                                Samples({{false, "b"}, {false, "b"}}),
                                                {}};
  const Estimate e = PassAt1(problems);
  EXPECT_DOUBLE_EQ(e.value, 0.5);
  EXPECT_DOUBLE_EQ(e.standard_error, std::sqrt(0.25 / 3));
  EXPECT_EQ(e.problems, 3);
  EXPECT_EQ(PassAt1({}).problems, 0);
  EXPECT_EQ(MeanOverProblems({1.0}).standard_error, 0);
}

TEST(Stats, PassAtK) {
  EXPECT_DOUBLE_EQ(PassAtK(4, 1, 2), 0.5);  // 1 - C(3,2)/C(4,2) = 1 - 3/6
  EXPECT_NEAR(PassAtK(10, 3, 5), 1 - 21.0 / 252, 1e-15);
  EXPECT_DOUBLE_EQ(PassAtK(5, 0, 3), 0);
  EXPECT_DOUBLE_EQ(PassAtK(5, 3, 3), 1);  // only two wrong ones: three samples hold a right one
  EXPECT_DOUBLE_EQ(PassAtK(64, 1, 64), 1);
  EXPECT_NEAR(PassAtK(1000, 1, 500), 0.5, 1e-12);  // no overflow of binomials
  const std::vector<ProblemSamples> problems = {Samples({{true, ""}, {false, ""}, {false, ""}, {false, ""}}),
                                                Samples({{true, ""}})};
  const Estimate e = PassAtK(problems, 2);
  EXPECT_DOUBLE_EQ(e.value, 0.5);
  EXPECT_EQ(e.problems, 1);  // the second has too few samples
}

TEST(Stats, MajorityVote) {
  const ProblemSamples s =
      Samples({{false, ""}, {false, "b"}, {true, "a"}, {true, "a"}, {false, "b"}, {false, ""}, {false, ""}});
  EXPECT_EQ(MajorityVote(s, 0, 7),
            1);  // a and b have two each: b was seen first, and the empty key's three do not vote
  EXPECT_EQ(MajorityVote(s, 2, 7), 2);  // a 2, b 1
  EXPECT_EQ(MajorityVote(s, 5, 7), -1);
  EXPECT_EQ(MajorityVote(s, 0, 0), -1);
}

TEST(Stats, ConsAtKAveragesDisjointGroups) {
  // Groups of three: (a a b) right, (b b a) wrong; the seventh sample is left over.
  const ProblemSamples s =
      Samples({{true, "a"}, {true, "a"}, {false, "b"}, {false, "b"}, {false, "b"}, {true, "a"}, {true, "a"}});
  EXPECT_DOUBLE_EQ(ConsAtK({s}, 3).value, 0.5);
  EXPECT_DOUBLE_EQ(ConsAtK({s}, 7).value, 1);  // a 4, b 3
  EXPECT_DOUBLE_EQ(ConsAtK({s}, 1).value, 4.0 / 7);
  EXPECT_DOUBLE_EQ(ConsAtK({Samples({{false, ""}, {false, ""}})}, 2).value, 0);  // nobody votes
  EXPECT_EQ(ConsAtK({s}, 8).problems, 0);
}

TEST(Stats, Wilson) {
  // 8 of 10 at 95 %: 0.4902, 0.9433 (Newcombe 1998, and by hand).
  const Interval i = WilsonInterval(8, 10);
  EXPECT_NEAR(i.low, 0.49016, 5e-5);
  EXPECT_NEAR(i.high, 0.94332, 5e-5);
  EXPECT_EQ(WilsonInterval(0, 10).low, 0);
  EXPECT_NEAR(WilsonInterval(0, 10).high, 0.27754, 5e-5);
  EXPECT_EQ(WilsonInterval(10, 10).high, 1);
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(Stats, WilsonCovers) {
  int covered = 0;
  const int rounds = 2000;
  for (int r = 0; r < rounds; ++r) {
    Rng rng(1, Stream::kTest, static_cast<uint64_t>(r));
    int right = 0;
    for (int i = 0; i < 50; ++i) right += rng.Chance(0.2);
    const Interval interval = WilsonInterval(right, 50);
    covered += interval.low <= 0.2 && 0.2 <= interval.high;
  }
  EXPECT_NEAR(static_cast<double>(covered) / rounds, 0.95, 0.02);
}

TEST(Stats, BootstrapAgreesWithTheStandardError) {
  std::vector<double> values;
  Rng rng(4, Stream::kTest);
  for (int i = 0; i < 400; ++i) values.push_back(rng.Uniform());
  const Estimate e = MeanOverProblems(values);
  const Interval b = BootstrapInterval(values, 1);
  EXPECT_NEAR(b.low, e.value - kZ95 * e.standard_error, 0.15 * e.standard_error);
  EXPECT_NEAR(b.high, e.value + kZ95 * e.standard_error, 0.15 * e.standard_error);
  const Interval again = BootstrapInterval(values, 1);
  EXPECT_EQ(b.low, again.low);
  EXPECT_EQ(b.high, again.high);
  const Interval constant = BootstrapInterval({0.5, 0.5}, 1);
  EXPECT_DOUBLE_EQ(constant.low, 0.5);
  EXPECT_DOUBLE_EQ(constant.high, 0.5);
}

}  // namespace
}  // namespace r1
