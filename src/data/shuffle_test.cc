// Permutations of the training data.
#include "data/shuffle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace r1 {
namespace {

TEST(ShuffledStream, EveryEpochIsAPermutationOfItsOwn) {
  const std::vector<uint32_t> stream = ShuffledStream(3, 100, 3);
  ASSERT_EQ(stream.size(), 300u);
  std::vector<std::vector<uint32_t>> epochs;
  for (int64_t e = 0; e < 3; ++e) {
    epochs.emplace_back(stream.begin() + 100 * e, stream.begin() + 100 * (e + 1));
    std::vector<uint32_t> sorted = epochs.back();
    std::sort(sorted.begin(), sorted.end());
    for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[i], i);
    EXPECT_NE(epochs.back(), sorted);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  // An epoch depends on seed and number only, not on how many are asked for.
  EXPECT_EQ(ShuffledStream(3, 100, 1), epochs[0]);
  EXPECT_NE(ShuffledStream(4, 100, 1), epochs[0]);
  EXPECT_TRUE(ShuffledStream(3, 0, 2).empty());
}

TEST(ShuffledStream, PlacesAreUniform) {
  int at[5] = {};
  for (const uint32_t i : ShuffledStream(1, 5, 5000)) {
    static int place = 0;
    if (i == 0) ++at[place % 5];
    ++place;
  }
  for (const int count : at) EXPECT_NEAR(count, 1000, 120);
}

}  // namespace
}  // namespace r1
