#include "text/bpe_train.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "text/word_split.h"

namespace r1 {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

Merges MergesOf(const Tokenizer& t) {
  Merges merges;
  for (const auto& [left, right] : t.parts().merges) merges.emplace_back(t.TextOf(left), t.TextOf(right));
  return merges;
}

TEST(BpeTrain, ByHand) {
  // lo 7+2, ow 7+2, we 2, er 2+... : counts l-o 9, o-w 9, w-e 2, e-r 2; the tie of l-o and o-w goes to l-o.
  const WordCounts words = {{"low", 7}, {"lower", 2}};
  const Tokenizer t = TrainBpe(words, {}, {.max_vocab = 300, .min_count = 1}).value();
  EXPECT_EQ(MergesOf(t), (Merges{{"l", "o"}, {"lo", "w"}, {"e", "r"}, {"low", "er"}}));
  EXPECT_EQ(t.size(), 256 + 4);
  const Tokenizer greater = TrainBpe(words, {}, {.max_vocab = 300, .min_count = 1, .greater_pair_wins = true}).value();
  EXPECT_EQ(MergesOf(greater)[0], (std::pair<std::string, std::string>{"o", "w"}));
}

TEST(BpeTrain, StopsAtVocabularyAndCount) {
  const WordCounts words = {{"low", 7}, {"lower", 2}};
  EXPECT_EQ(TrainBpe(words, {}, {.max_vocab = 257, .min_count = 1}).value().size(), 257);
  EXPECT_EQ(TrainBpe(words, {}, {.max_vocab = 300, .min_count = 3}).value().size(), 258);
  const Result<Tokenizer> small = TrainBpe(words, {}, {.max_vocab = 100});
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.error().message.find("256"), std::string::npos);
}

TEST(BpeTrain, OverlappingPairs) {
  const Tokenizer t = TrainBpe(WordCounts{{"aaaaa", 1}}, {}, {.max_vocab = 300, .min_count = 1}).value();
  // a-a occurs 4 times; joined from the left: aa aa a.
  EXPECT_EQ(MergesOf(t), (Merges{{"a", "a"}, {"aa", "a"}, {"aa", "aaa"}}));
}

TEST(BpeTrain, TwoWaysToOneTokenShareItsId) {
  // "abc" is made as a|bc in one word and as ab|c in another.
  const WordCounts words = {{"abc", 5}, {"xab", 9}, {"yab", 9}, {"bcz", 1}};
  const Tokenizer t = TrainBpe(words, {}, {.max_vocab = 400, .min_count = 1}).value();
  EXPECT_EQ(Tokenizer::FromJson(t.ToJson(), "again").value().ToJson(), t.ToJson());
}

TEST(BpeTrain, NoMergeSpellsAnAddedToken) {
  const Tokenizer t = TrainBpe(WordCounts{{"<t>", 100}}, {{.id = -1, .content = "<t>"}}, {.max_vocab = 400}).value();
  EXPECT_EQ(t.EncodeContent("<t>").size(), 2u);
  EXPECT_EQ(t.Encode("<t>"), (std::vector<int32_t>{0}));
}

TEST(BpeTrain, OrderOfTextsDoesNotMatter) {
  const std::vector<std::string> a = {"one two three", "two three four four"};
  const std::vector<std::string> b = {"two three four four", "one two three"};
  EXPECT_EQ(TrainBpe(a, {}, {.max_vocab = 280}).value().ToJson(), TrainBpe(b, {}, {.max_vocab = 280}).value().ToJson());
}

// ---- against merges found by an independent trainer (GPT-2 pattern, ties to the greater pair) ----

std::filesystem::path DataFolder() {
  if (const char* folder = std::getenv("R1_DATA")) return folder;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data";
}

TEST(BpeTrain, FindsTheReferenceMerges) {
  const std::filesystem::path folder = DataFolder() / "corpora";
  if (!std::filesystem::exists(folder / "bpe_corpus_en.txt"))
    GTEST_SKIP() << "missing: " << folder / "bpe_corpus_en.txt"
                 << " (R1_DATA says where data is)";
  std::ifstream in(folder / "bpe_corpus_en.txt", std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  const Tokenizer t =
      TrainBpe(std::vector<std::string>{text.str()}, {{.id = -1, .content = "<|endoftext|>"}},
               {.max_vocab = 500, .min_count = 1, .greater_pair_wins = true, .pattern = WordPattern::kGpt2})
          .value();
  std::ifstream want(folder / "bpe_reference_merges.txt");
  std::string line;
  size_t rank = 0;
  const Merges got = MergesOf(t);
  while (std::getline(want, line)) {
    std::string plain;  // GPT-2 spells the space U+0120; the other bytes of these merges are themselves
    for (size_t i = 0; i < line.size(); ++i) {
      if (line.compare(i, 2, "Ġ") == 0) {
        plain += '\x01';
        ++i;
      } else {
        plain += line[i];
      }
    }
    const size_t space = plain.find(' ');
    std::string left = plain.substr(0, space);
    std::string right = plain.substr(space + 1);
    for (std::string* side : {&left, &right}) {
      for (char& c : *side) c = c == '\x01' ? ' ' : c;
    }
    ASSERT_LT(rank, got.size());
    EXPECT_EQ(got[rank], (std::pair<std::string, std::string>{left, right})) << "merge " << rank + 1;
    ++rank;
  }
  EXPECT_EQ(rank, 243u);
  EXPECT_EQ(got.size(), 243u);
}

}  // namespace
}  // namespace r1
