#include "world/rewrite.h"

#include <gtest/gtest.h>

#include "world/corpus.h"

namespace r1 {
namespace {

std::optional<std::string> Rewrite(std::string_view prompt, std::string_view reply) {
  return RewriteThinking(ParseTaskPrompt(prompt).value(), reply);
}

constexpr const char* kPick = "pick 17 2 14 9 11 sum 28";

TEST(Rewrite, OneLanguageWordForWord) {
  EXPECT_EQ(Rewrite(kPick,
                    "<think> 试 17 + 2 = 19 + 14 = 33 big 等等 2 + 9 = 11 + 17 = 28 对 所以 </think> <answer> 2 9 17 "
                    "</answer><|end|>"),
            " <think> try 17 + 2 = 19 + 14 = 33 big wait 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 "
            "</answer><|end|>");
  EXPECT_EQ(
      Rewrite("选 17 2 14 9 11 和 28", "<think> try 2 + 9 = 11 + 17 = 28 so </think> <answer> 2 9 17 </answer><|end|>"),
      " <think> 试 2 + 9 = 11 + 17 = 28 所以 </think> <answer> 2 9 17 </answer><|end|>");
}

TEST(Rewrite, WrongAndBrokenTriesGoWithTheirVerdicts) {
  EXPECT_EQ(Rewrite(kPick,
                    "<think> try 17 + 2 = 20 + 14 = 34 big wait 14 + 9 = 23 + 2 = 25 small wait 2 + 9 = 11 yes big "
                    "wait 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 </answer><|end|>"),
            " <think> try 14 + 9 = 23 + 2 = 25 small wait 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 "
            "</answer><|end|>");
  EXPECT_EQ(Rewrite(kPick, "<think> try 17 + 2 = 20 + 14 = 34 big so </think> <answer> 2 9 17 </answer><|end|>"),
            std::nullopt);  // no try left
}

TEST(Rewrite, Code) {
  EXPECT_EQ(
      Rewrite(
          "code 3 > 10 5 > 16",
          "<think> 试 3 * 2 = 6 10 - 6 = 4 5 * 2 = 10 + 4 = 15 小 wait 3 * 3 = 9 10 - 9 = 1 5 * 3 = 15 + 1 = 16 对 so "
          "</think> <answer> * 3 + 1 </answer><|end|>"),
      " <think> try 3 * 3 = 9 10 - 9 = 1 5 * 3 = 15 + 1 = 16 yes so </think> <answer> * 3 + 1 </answer><|end|>");
  EXPECT_EQ(Rewrite("code 3 > 10 5 > 16",
                    "<think> try 3 * 3 = 9 10 - 9 = 1 5 * 2 = 10 + 1 = 11 yes so </think> <answer> * 3 + 1 "
                    "</answer><|end|>"),
            std::nullopt);  // the sums are of another program
  EXPECT_EQ(Rewrite("code 3 > 10 5 > 16",
                    "<think> try 3 * 3 = 9 10 - 9 = 2 5 * 3 = 15 + 2 = 17 yes so </think> <answer> * 3 + 2 "
                    "</answer><|end|>"),
            std::nullopt);  // a wrong difference
}

TEST(Rewrite, RefusesWhatItCannotMakeReadable) {
  for (const char* reply : {
           "<think> try 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 </answer>",             // not ended
           "<think> hmm try 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 </answer><|end|>",  // unknown word
           "<think> so </think> <answer> 2 9 17 </answer><|end|>",
           "<answer> 2 9 17 </answer><|end|>",
           "",
       }) {
    EXPECT_EQ(Rewrite(kPick, reply), std::nullopt) << reply;
  }
  EXPECT_EQ(Rewrite("write red cat", "<think> try so </think> <answer> red cat red </answer><|end|>"), std::nullopt);
}

// On the corpus: what comes out is well formed, in one language, with right sums only, and is its own rewriting.
TEST(Rewrite, CorpusBecomesReadable) {
  const CorpusOdds wide = CorpusNamed("wide").value();
  int pick = 0, code = 0, fewer = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    const Document d = DocumentAt(2, i, wide);
    if (d.kind != DocumentKind::kSearch && d.kind != DocumentKind::kSingleTry) continue;
    const TaskProblem problem = ParseTaskPrompt(d.prompt).value();
    const std::optional<std::string> text = RewriteThinking(problem, d.reply);
    if (!text) continue;
    const ReplyFacts before = AnalyzeTaskReply(problem, d.reply);
    const ReplyFacts after = AnalyzeTaskReply(problem, *text);
    ASSERT_TRUE(after.well_formed);
    ASSERT_EQ(after.thinking_words_in_language, after.thinking_words) << *text;
    ASSERT_EQ(after.sums_right, after.sums) << *text;
    ASSERT_EQ(after.sums, (problem.kind == TaskKind::kPick ? 2 : 4) * after.tries);
    ASSERT_EQ(after.correct, before.correct);
    ASSERT_EQ(RewriteThinking(problem, *text), text);
    if (before.sums_right == before.sums) {
      ASSERT_EQ(after.tries, before.tries);
    }
    fewer += after.tries < before.tries;
    (problem.kind == TaskKind::kPick ? pick : code) += 1;
  }
  EXPECT_GT(pick, 5000);
  EXPECT_GT(code, 1000);
  EXPECT_GT(fewer, 100);
}

}  // namespace
}  // namespace r1
