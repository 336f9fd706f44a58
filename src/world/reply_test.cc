#include "world/reply.h"

#include <cmath>

#include <gtest/gtest.h>

#include "world/corpus.h"

namespace r1 {
namespace {

const PickProblem kEnglish{{17, 2, 14, 9, 11}, 28, false};  // 17 + 2 + 9
const PickProblem kChinese{{17, 2, 14, 9, 11}, 28, true};

ReplyFacts Facts(std::string_view reply, const PickProblem& problem = kEnglish) { return AnalyzeReply(problem, reply); }

struct AnswerCase {
  const char* reply;
  bool correct;
  const char* key;
};

TEST(Reply, AccuracyAndVote) {
  ASSERT_EQ(SolvingTriple(kEnglish), 1);
  const AnswerCase cases[] = {
      {"<answer> 17 2 9 </answer>", true, "2 9 17"},
      {" <answer> 9 17 2</answer><|end|>", true, "2 9 17"},
      {"<answer>2 17 9</answer>", true, "2 9 17"},
      {"<answer> 1 1 1 </answer> so <answer> 17 9 2 </answer>", true, "2 9 17"},  // the last one counts
      {"<answer> 17 9 2 </answer> so <answer> 17 9 14 </answer>", false, "9 14 17"},
      {"<answer> 17 9 2 </answer> <answer>", true, "2 9 17"},  // a later open tag is no answer
      {"<answer> 17 2 <answer> 17 9 2 </answer>", true, "2 9 17"},
      {"<answer> 17 2 14 </answer>", false, "2 14 17"},
      {"<answer> 17 2 </answer>", false, ""},
      {"<answer> 17 2 9 9 </answer>", false, ""},
      {"<answer> 17 + 2 + 9 </answer>", false, ""},
      {"<answer> 17, 2, 9 </answer>", false, ""},
      {"<answer> 14 14 0 </answer>", false, "0 14 14"},  // sums to T with numbers not of the list
      {"<answer> 10 9 9 </answer>", false, "9 9 10"},
      {"<answer> 017 2 9 </answer>", false, ""},
      {"<answer> 17 2 9", false, ""},
      {"17 2 9 </answer>", false, ""},
      {"<think> <answer> 17 2 9 </think> </answer>", false, ""},
      {"17 2 9", false, ""},
      {"", false, ""},
  };
  for (const AnswerCase& c : cases) {
    const ReplyFacts facts = Facts(c.reply);
    EXPECT_EQ(facts.correct, c.correct) << c.reply;
    EXPECT_EQ(facts.vote_key, c.key) << c.reply;
  }
}

TEST(Reply, AnswerWithARepeatedListNumberIsWrong) {
  const PickProblem problem{{4, 8, 12, 1, 19}, 24, false};  // 4 + 8 + 12; also 8 + 8 + 8
  EXPECT_TRUE(Facts("<answer> 12 4 8 </answer>", problem).correct);
  EXPECT_FALSE(Facts("<answer> 8 8 8 </answer>", problem).correct);
}

TEST(Reply, Format) {
  EXPECT_TRUE(Facts("<think> x </think> <answer> y </answer><|end|>").well_formed);
  EXPECT_TRUE(Facts(" <think> try 1</think><answer> 1 2 3</answer> <|end|>").well_formed);
  for (const char* reply : {
           "<think> x </think> <answer> y </answer>",                   // not ended
           "<think> </think> <answer> y </answer><|end|>",              // empty thinking
           "<think> x </think> <answer> </answer><|end|>",              // empty answer
           "<think> x <think> x </think> <answer> y </answer><|end|>",  // a tag twice
           "<think> x </think> <answer> y </answer> <answer> y </answer><|end|>",
           "<think> x </think> so <answer> y </answer><|end|>",  // words between
           "x <think> x </think> <answer> y </answer><|end|>",   // words before
           "<think> x </think> <answer> y </answer> z<|end|>",   // words after
           "<think> x </think> <answer> y </answer><|end|> z",   // text after the end
           "<answer> y </answer> <think> x </think><|end|>",     // wrong order
           "<think> x <answer> y </answer> </think><|end|>",
           "<think> x <|user|> </think> <answer> y </answer><|end|>",  // a scaffold marker inside
           "<think> x </think><|end|>",
           "",
       }) {
    EXPECT_FALSE(Facts(reply).well_formed) << reply;
  }
}

TEST(Reply, LanguageMixingReflection) {
  const char* mixed = "<think> try 17 + 2 = 19 大 等等 so </think> <answer> 1 </answer><|end|>";
  EXPECT_EQ(Facts(mixed).thinking_words, 4);
  EXPECT_EQ(Facts(mixed).thinking_words_in_language, 2);
  EXPECT_DOUBLE_EQ(Facts(mixed).LanguageConsistency(), 0.5);
  EXPECT_TRUE(Facts(mixed).mixed);
  EXPECT_TRUE(Facts(mixed).reflects);
  const char* chinese = "<think> 试 17 + 2 = 19 大 所以 </think>";
  EXPECT_DOUBLE_EQ(Facts(chinese).LanguageConsistency(), 0);
  EXPECT_FALSE(Facts(chinese).mixed);  // the wrong language, but one
  EXPECT_FALSE(Facts(chinese).reflects);
  EXPECT_DOUBLE_EQ(Facts(chinese, kChinese).LanguageConsistency(), 1);
  EXPECT_EQ(Facts("<answer> 17 2 9 </answer><|end|>").thinking_words, 0);
  EXPECT_DOUBLE_EQ(Facts("<answer> 17 2 9 </answer><|end|>").LanguageConsistency(), 0);
  EXPECT_EQ(Facts("<think> try so").thinking_words, 2);  // cut off while thinking
}

TEST(Reply, TriesSumsAndVerdicts) {
  // 17+2+14=33 (big, right), then 2+9=12 is wrong and 12+11=23 right and its verdict wrong, then the solution.
  const ReplyFacts f = Facts(
      "<think> try 17 + 2 = 19 + 14 = 33 big wait 2 + 9 = 12 + 11 = 23 yes wait 9 + 17 = 26 + 2 = 28 yes so </think> "
      "<answer> 9 17 2 </answer><|end|>");
  EXPECT_EQ(f.tries, 3);
  EXPECT_EQ(f.sums, 6);
  EXPECT_EQ(f.sums_right, 5);
  EXPECT_EQ(f.verdicts, 3);
  EXPECT_EQ(f.verdicts_right, 2);
  EXPECT_EQ(f.false_yes, 1);
  EXPECT_FALSE(f.first_try_right);
  EXPECT_TRUE(f.correct);
  EXPECT_TRUE(f.well_formed);
  EXPECT_TRUE(f.ended);
  EXPECT_TRUE(Facts("<think> try 9 + 17 = 27 + 2 = 29 big stop so </think>").first_try_right);
  const ReplyFacts cut = Facts("<think> try 17 + 2 = 19 + 14 = 33 big wait 2 + 9");
  EXPECT_EQ(cut.tries, 2);
  EXPECT_EQ(cut.sums, 2);
  EXPECT_EQ(cut.verdicts, 1);
  EXPECT_FALSE(cut.ended);
}

TEST(Reply, Styles) {
  EXPECT_EQ(Facts("17 2 9<|end|>").style, ReplyStyle::kBare);
  EXPECT_EQ(Facts("<answer> 17 2 9 </answer><|end|>").style, ReplyStyle::kDirect);
  EXPECT_EQ(Facts("<think> try 17 + 2 = 19 + 9 = 28 so </think> <answer> 17 2 9 </answer><|end|>").style,
            ReplyStyle::kSingleTry);
  EXPECT_EQ(Facts("<think> try 17 + 2 = 19 + 9 = 28 yes so </think> <answer> 17 2 9 </answer><|end|>").style,
            ReplyStyle::kSearch);
  EXPECT_EQ(Facts("<|end|>").style, ReplyStyle::kOther);
  EXPECT_EQ(Facts("").style, ReplyStyle::kOther);
  EXPECT_EQ(Facts("big<|end|>").style, ReplyStyle::kOther);
}

TEST(Reply, HostileTextIsHandled) {
  std::string deep;
  for (int i = 0; i < 20000; ++i) deep += "<think><answer>";
  EXPECT_FALSE(Facts(deep).well_formed);
  EXPECT_EQ(Facts(std::string(1 << 20, '<')).vote_key, "");
  EXPECT_FALSE(Facts(std::string("\xFF\x00\xC3", 3)).correct);
}

// The corpus, seen by the checkers.
TEST(Reply, CorpusIsCalibrated) {
  int search = 0, tries = 0, right_search = 0, mixed = 0, sums = 0, sums_right = 0, verdicts = 0, verdicts_right = 0;
  int single = 0, single_mixed = 0, guesses = 0, right_guesses = 0;
  for (uint64_t i = 0; i < 60000; ++i) {
    const Document d = DocumentAt(11, i);
    if (d.kind == DocumentKind::kGeneral) continue;
    const ReplyFacts f = AnalyzeReply(d.problem, d.reply);
    ASSERT_TRUE(f.ended);
    switch (d.kind) {
      case DocumentKind::kBare:
        ASSERT_EQ(f.style, ReplyStyle::kBare) << d.reply;
        break;
      case DocumentKind::kDirect:
        ASSERT_EQ(f.style, ReplyStyle::kDirect) << d.reply;
        ++guesses;
        right_guesses += f.correct;
        break;
      case DocumentKind::kSingleTry:
        ASSERT_EQ(f.style, ReplyStyle::kSingleTry) << d.reply;
        ASSERT_TRUE(f.well_formed);
        ASSERT_EQ(f.tries, 1);
        ASSERT_EQ(f.sums_right, 2);
        ++single;
        single_mixed += f.mixed;
        ++guesses;
        right_guesses += f.correct;
        break;
      default:
        ASSERT_EQ(f.style, ReplyStyle::kSearch) << d.reply;
        ASSERT_TRUE(f.well_formed);
        ASSERT_LE(f.tries, kMaxCorpusTries);
        ASSERT_EQ(f.verdicts, f.tries);
        ++search;
        tries += f.tries;
        right_search += f.correct;
        mixed += f.mixed;
        sums += f.sums;
        sums_right += f.sums_right;
        verdicts += f.verdicts;
        verdicts_right += f.verdicts_right;
    }
  }
  const auto near = [](double hits, double n, double p, const char* what) {
    EXPECT_NEAR(hits / n, p, 5 * std::sqrt(p * (1 - p) / n)) << what;
  };
  near(right_guesses, guesses, 0.30 + 0.70 * 0.1, "right share of guesses");
  near(sums_right, sums, 0.98, "sums without a slip");
  near(verdicts_right, verdicts, 0.99, "verdicts not flipped");
  // A document by coin is still in one language by chance: of n words with 2 (1/2)^n.
  EXPECT_NEAR(static_cast<double>(mixed) / search, 0.41, 0.02);
  EXPECT_NEAR(static_cast<double>(single_mixed) / single, 0.05, 0.01);  // two words
  EXPECT_NEAR(static_cast<double>(right_search) / search, 0.49, 0.015);
  EXPECT_NEAR(static_cast<double>(tries) / search, 2.52, 0.06);
}

}  // namespace
}  // namespace r1
