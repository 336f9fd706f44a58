#include "text/bpe_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "text/added_match.h"

namespace r1 {
namespace {

using Ids = std::vector<int32_t>;
using Rules = std::map<std::pair<int32_t, int32_t>, Merge>;

struct World {
  std::vector<std::string> tokens;
  Rules rules;
  BpeMerger merger;
};

// Units a, b, c are 0, 1, 2. Products are made of two earlier tokens; ranks are any numbers, so that products may take
// part in merges of lower rank, and equal ones if `ties`.
World RandomWorld(uint64_t seed, bool ties) {
  World w;
  w.tokens = {"a", "b", "c"};
  Rng rng(6, Stream::kTest, seed);
  std::vector<std::pair<int32_t, int32_t>> pairs;
  for (int tries = 0; tries < 40; ++tries) {
    const auto left = static_cast<int32_t>(rng.Below(w.tokens.size()));
    const auto right = static_cast<int32_t>(rng.Below(w.tokens.size()));
    const std::string joined = w.tokens[static_cast<size_t>(left)] + w.tokens[static_cast<size_t>(right)];
    if (joined.size() > 12 || w.rules.contains({left, right})) continue;
    auto id = static_cast<int32_t>(std::find(w.tokens.begin(), w.tokens.end(), joined) - w.tokens.begin());
    if (id == static_cast<int32_t>(w.tokens.size())) w.tokens.push_back(joined);
    w.rules[{left, right}] = {
        static_cast<int32_t>(ties ? rng.Below(6) : 40 * rng.Below(1000) + static_cast<uint64_t>(tries)), id};
  }
  Ids lengths;
  for (const std::string& token : w.tokens) lengths.push_back(static_cast<int32_t>(token.size()));
  w.merger.Start(lengths, w.rules.size());
  for (const auto& [pair, merge] : w.rules) {
    EXPECT_EQ(w.merger.Add(pair.first, pair.second, merge), BpeMerger::Added::kYes);
    const std::string& token = w.tokens[static_cast<size_t>(merge.id)];
    for (size_t i = 0; i + 1 < token.size(); ++i) w.merger.Allow(token[i] - 'a', token[i + 1] - 'a');
  }
  return w;
}

Ids Slow(const Rules& rules, Ids ids) {
  for (;;) {
    size_t best = ids.size();
    Merge merge{0, 0};
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = rules.find({ids[i], ids[i + 1]});
      if (found == rules.end() || (best < ids.size() && found->second.rank >= merge.rank)) continue;
      best = i;
      merge = found->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = merge.id;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMerge, AgreesWithTheDefinition) {
  size_t merged = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const World w = RandomWorld(seed / 3, seed % 2 == 0);
    BpeMerger::Scratch scratch;
    Rng rng(7, Stream::kTest, seed);
    for (const uint64_t most : {8u, 40u, 160u}) {  // short runs, and long ones that keep lists
      Ids units;
      const uint64_t kinds = 1 + rng.Below(3);
      for (uint64_t i = 1 + rng.Below(most); i > 0; --i) units.push_back(static_cast<int32_t>(rng.Below(kinds)));
      Ids got;
      for (const int32_t unit : units) w.merger.Push(unit, scratch, got);
      w.merger.Flush(scratch, got);
      ASSERT_EQ(got, Slow(w.rules, units)) << "seed " << seed << ", " << units.size() << " units";
      merged += got.size() < units.size();
    }
  }
  EXPECT_GT(merged, 5000u);
}

TEST(BpeMerge, WorkGrowsInStep) {
  const World w = RandomWorld(3, false);
  const auto steps = [&](int64_t units, int kinds) {
    BpeMerger::Scratch scratch;
    Ids out;
    for (int64_t i = 0; i < units; ++i) w.merger.Push(static_cast<int32_t>(i % kinds), scratch, out);
    w.merger.Flush(scratch, out);
    return scratch.steps;
  };
  for (const int kinds : {1, 2, 3}) {
    EXPECT_LE(steps(200'000, kinds), 11 * steps(20'000, kinds));
    EXPECT_LE(steps(200'000, kinds), int64_t{8} * 200'000);
  }
}

TEST(TextIndex, FindsAndRefusesDoubles) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.push_back("token " + std::to_string(i));
  texts.push_back("token 7");
  TextIndex index;
  EXPECT_EQ(index.Find(texts, "token 7"), -1);
  index.Reserve(texts.size());
  for (int32_t i = 0; i < 1000; ++i) EXPECT_EQ(index.Insert(texts, i), i);
  EXPECT_EQ(index.Insert(texts, 1000), 7);
  EXPECT_EQ(index.Find(texts, "token 999"), 999);
  EXPECT_EQ(index.Find(texts, "token"), -1);
}

std::vector<std::string> Longest(const AddedMatcher& matcher, const std::string& text) {
  std::vector<std::string> found(text.size());
  for (AddedMatcher::Matches matches = matcher.FindAll(text); !matches.empty(); matches.pop_back()) {
    found[matches.back().begin] = text.substr(matches.back().begin, matches.back().end - matches.back().begin);
  }
  return found;
}

TEST(AddedMatcher, LongestAtEveryPlace) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(8, Stream::kTest, seed);
    const auto random_text = [&](uint64_t most) {
      std::string text;
      for (uint64_t i = 1 + rng.Below(most); i > 0; --i) text += "ab<"[rng.Below(3)];
      return text;
    };
    std::vector<std::string> texts;
    for (int i = 0; i < 8; ++i) {
      std::string text = random_text(5);
      if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
    }
    const AddedMatcher matcher(texts);
    const std::string text = random_text(60);
    std::vector<std::string> want(text.size());
    for (size_t at = 0; at < text.size(); ++at) {
      for (const std::string& t : texts) {
        if (text.compare(at, t.size(), t) == 0 && t.size() > want[at].size()) want[at] = t;
      }
    }
    ASSERT_EQ(Longest(matcher, text), want) << "seed " << seed << ": " << text;
  }
  EXPECT_TRUE(AddedMatcher().FindAll("abc").empty());
}

TEST(AddedMatcher, WorkIsLinearWhereBeginningsAndEndsAreShared) {
  std::vector<std::string> texts;
  for (int i = 1; i <= 300; ++i) texts.push_back(std::string(static_cast<size_t>(i), 'a') + "b");
  for (int i = 1; i <= 300; ++i) texts.push_back("b" + std::string(static_cast<size_t>(i), 'a'));
  texts.push_back("a");
  const AddedMatcher matcher(texts);
  for (const std::string unit : {"a", "b", "ab", "aab"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    EXPECT_LE(matcher.FindAll(text).steps, 2 * static_cast<int64_t>(text.size())) << unit;
  }
}

}  // namespace
}  // namespace r1
