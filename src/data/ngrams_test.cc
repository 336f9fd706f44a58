#include "data/ngrams.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/test_dir.h"

namespace r1 {
namespace {

using Words = std::vector<std::string>;

std::string Sequence(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "w" + std::to_string(i) + " ";
  return text;
}

TEST(NormalizedWords, LowerCasesAndDropsPunctuation) {
  EXPECT_EQ(NormalizedWords("The CAT, sat-on (the) mat!"), (Words{"the", "cat", "sat", "on", "the", "mat"}));
  EXPECT_EQ(NormalizedWords("14 + 8 = 22"), (Words{"14", "8", "22"}));
  EXPECT_EQ(NormalizedWords(" \n\t.,;"), Words{});
  EXPECT_EQ(NormalizedWords(""), Words{});
  EXPECT_EQ(NormalizedWords("naïve “quoted” a—b 3×4"), (Words{"naïve", "quoted", "a", "b", "3", "4"}));
}

TEST(NormalizedWords, EveryHanCharacterIsAWord) {
  EXPECT_EQ(NormalizedWords("选 14，等等"), (Words{"选", "14", "等", "等"}));
  EXPECT_EQ(NormalizedWords("ab等cd"), (Words{"ab", "等", "cd"}));
}

TEST(NormalizedWords, BrokenUtf8Separates) {
  EXPECT_EQ(NormalizedWords("ab\xff"
                            "cd\xe4\xbd"),
            (Words{"ab", "cd"}));
}

TEST(NormalizedHash, IgnoresCaseSpacingAndPunctuationOnly) {
  EXPECT_EQ(NormalizedHash("Try 14 + 8!"), NormalizedHash("try   14 8"));
  EXPECT_NE(NormalizedHash("try 14 8"), NormalizedHash("try 148"));
  EXPECT_NE(NormalizedHash("try 14 8"), NormalizedHash("try 8 14"));
  EXPECT_NE(TextHash("Try 14"), TextHash("try 14"));
}

TEST(NgramHashes, OnePlaceEach) {
  EXPECT_TRUE(NgramHashes(NormalizedWords("a b c"), 4).empty());
  EXPECT_EQ(NgramHashes(NormalizedWords("a b c"), 3).size(), 1u);
  const auto hashes = NgramHashes(NormalizedWords("a b a b"), 2);
  ASSERT_EQ(hashes.size(), 3u);
  EXPECT_EQ(hashes[0], hashes[2]);
  EXPECT_NE(hashes[0], hashes[1]);
  // Words are kept apart: "ab c" is not "a bc".
  EXPECT_NE(NgramHashes(NormalizedWords("ab c"), 2)[0], NgramHashes(NormalizedWords("a bc"), 2)[0]);
}

TEST(NgramSet, OneSharedRunOfNWordsIsEnoughAndNineAreNot) {
  NgramSet set(10);
  ASSERT_TRUE(set.Add(Sequence(0, 30)).ok());
  EXPECT_EQ(set.size(), 21);
  EXPECT_TRUE(set.Overlaps("something else " + Sequence(12, 22) + " and more"));
  EXPECT_FALSE(set.Overlaps("something else " + Sequence(12, 21) + " and more"));
  EXPECT_TRUE(set.Overlaps("W20, W21; W22 (W23) W24 W25 W26 W27 W28 W29."));
  EXPECT_FALSE(set.Overlaps(""));
}

TEST(NgramSet, ShortTextsAreCountedAndCatchNothing) {
  NgramSet set(10);
  ASSERT_TRUE(set.Add(Sequence(0, 9)).ok());
  EXPECT_EQ(set.texts(), 1);
  EXPECT_EQ(set.short_texts(), 1);
  EXPECT_FALSE(set.Overlaps(Sequence(0, 9)));
}

TEST(NgramSet, ReadsStringsOfJsonLinesAndWholeTextFiles) {
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "a.jsonl", "{\"question\": \"" + Sequence(0, 12) +
                                                   "\", \"n\": 5}\n\n{\"x\": [{\"y\": \"" + Sequence(100, 112) +
                                                   "\"}]}\n")
                  .ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "b.txt", Sequence(200, 206) + "\n" + Sequence(206, 212)).ok());
  NgramSet set(10);
  ASSERT_TRUE(set.AddFile(dir / "a.jsonl").ok());
  EXPECT_EQ(set.texts(), 2);
  EXPECT_TRUE(set.Overlaps(Sequence(1, 11)));
  EXPECT_TRUE(set.Overlaps(Sequence(102, 112)));
  EXPECT_FALSE(set.Overlaps(Sequence(201, 211)));
  ASSERT_TRUE(set.AddFile(dir / "b.txt").ok());
  EXPECT_TRUE(set.Overlaps(Sequence(201, 211)));

  ASSERT_TRUE(WriteFileAtomic(dir / "bad.jsonl", "{\"a\": \"b\"}\n{\"a\": oops}\n").ok());
  const Status bad = set.AddFile(dir / "bad.jsonl");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kBadInput);
  EXPECT_NE(bad.error().message.find("bad.jsonl line 2"), std::string::npos) << bad.error().message;
  EXPECT_FALSE(set.AddFile(dir / "none.txt").ok());
}

TEST(NgramSet, IsBounded) {
  NgramSet set(2, 10);
  EXPECT_TRUE(set.Add(Sequence(0, 11)).ok());
  EXPECT_TRUE(set.Add(Sequence(0, 11)).ok());  // nothing new
  const Status more = set.Add(Sequence(50, 60));
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace r1
