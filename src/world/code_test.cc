#include "world/code.h"

#include <set>

#include <gtest/gtest.h>

#include "world/corpus_parts.h"
#include "world/draw.h"
#include "world/task.h"
#include "world/words.h"

namespace r1 {
namespace {

const CodeProblem kEnglish{{{{3, 10}, {5, 16}}}, false};  // 3·x + 1
const CodeProblem kChinese{{{{3, 10}, {5, 16}}}, true};

std::optional<Program> Parse(std::string_view text) {
  std::vector<std::string_view> words;
  for (const ReplyItem& item : SplitReply(text)) words.push_back(item.text);
  return ParseProgram(words);
}

TEST(Code, ProgramsRunWithinBounds) {
  EXPECT_EQ(RunProgram(*Parse("* 3 + 1"), 5), 16);
  EXPECT_EQ(RunProgram(*Parse("- 5 * 2 + 63"), 5), 63);
  EXPECT_FALSE(RunProgram(*Parse("- 6 + 6"), 5).has_value());    // below 0 on the way
  EXPECT_FALSE(RunProgram(*Parse("* 13 - 10"), 5).has_value());  // 65 on the way
  EXPECT_EQ(RunProgram(*Parse("* 0 + 63"), 12), 63);
  EXPECT_FALSE(RunProgram(*Parse("* 63 * 63 * 63 * 63"), 12).has_value());
  for (const char* text :
       {"", "+", "+ 1 +", "3 + 1", "+ 1 + 1 + 1 + 1 + 1", "+ 64", "+ -1", "/ 2", "* x", "+ 01", "+ 1 </answer>"}) {
    EXPECT_FALSE(Parse(text).has_value()) << text;
  }
}

TEST(Code, KeysAreOfTheFunction) {
  EXPECT_EQ(ProgramKey(*Parse("* 3 + 1")), "3 1");
  EXPECT_EQ(ProgramKey(*Parse("+ 2 * 3 - 5")), "3 1");
  EXPECT_EQ(ProgramKey(*Parse("- 4")), "1 -4");
  EXPECT_EQ(ProgramKey(*Parse("* 63 * 63 * 63 * 63")), "15752961 0");
}

TEST(Code, PromptTextAndBack) {
  EXPECT_EQ(PromptText(kEnglish), "<|begin|><|user|> code 3 > 10 5 > 16<|assistant|>");
  EXPECT_EQ(*ParseCodePrompt(PromptText(kChinese)), kChinese);
  EXPECT_EQ(*ParseCodePrompt("编 3 > 10 5 > 16"), kChinese);
  for (const char* text : {"", "code 3 > 10", "code 3 > 10 3 > 10", "code 3 > 10 5 > 17", "code 3 = 10 5 > 16",
                           "code 13 > 40 5 > 16", "code 0 > 1 5 > 16", "code 3 > 10 5 > 16 6", "code 3 > 64 5 > 16",
                           "编 3 > 10 5", "pick 3 > 10 5 > 16", "code 1 > 20 2 > 30"}) {
    const Result<CodeProblem> problem = ParseCodePrompt(text);
    ASSERT_FALSE(problem.ok()) << text;
    EXPECT_EQ(problem.error().code, ErrorCode::kBadInput);
  }
}

TEST(Code, FitIsUniqueAndTheHiddenTestIsAnotherPoint) {
  EXPECT_EQ(FitRule(kEnglish), (CodeRule{3, 1}));
  EXPECT_EQ(FitRule({{{{1, 20}, {2, 30}}}, false}), std::nullopt);  // c = 10
  std::set<int> inputs;
  for (uint64_t i = 0; i < 3000; ++i) {
    Rng rng(1, Stream::kTest, i);
    const CodeProblem problem = DrawCodeProblem(rng);
    ASSERT_FALSE(IsHeldOut(problem));
    const CodeRule rule = FitRule(problem).value();
    const CodeExample test = HiddenTest(problem);
    ASSERT_NE(test.input, problem.examples[0].input);
    ASSERT_NE(test.input, problem.examples[1].input);
    ASSERT_TRUE(RuleRuns(rule, test.input));
    ASSERT_EQ(test.output, rule.m * test.input + rule.c);
    CodeProblem turned = problem;
    std::swap(turned.examples[0], turned.examples[1]);
    turned.chinese = !turned.chinese;
    ASSERT_EQ(CodeHash(turned), CodeHash(problem));
    ASSERT_EQ(HiddenTest(turned), test);
    inputs.insert(test.input);
  }
  EXPECT_EQ(inputs.size(), 12u);
}

TEST(Code, HeldOutList) {
  const uint64_t count = HeldOutCodeCount();
  EXPECT_GT(count, 300u);
  for (uint64_t i = 0; i < count; ++i) {
    const CodeProblem problem = HeldOutCodeProblem(i);
    ASSERT_TRUE(IsHeldOut(problem));
    ASSERT_TRUE(ParseCodePrompt(PromptText(problem)).ok());
    EXPECT_EQ(problem.chinese, i % 5 == 1 || i % 5 == 3);
  }
}

struct AnswerCase {
  const char* reply;
  bool correct;
  const char* key;
};

TEST(Code, AnyProgramThatPassesIsRight) {
  const AnswerCase cases[] = {
      {"<answer> * 3 + 1 </answer><|end|>", true, "3 1"},
      {"<answer> * 3 - 0 + 1 </answer>", true, "3 1"},
      {"<answer> * 2 + 4 </answer>", false, "2 4"},  // passes the first example only
      {"<answer> * 3 + 1 </answer> so <answer> + 1 </answer>", false, "1 1"},
      {"<answer> 3 * + 1 </answer>", false, ""},
      {"<answer> * 3 + 60 - 59 </answer>", false, "3 1"},  // 69 on the way
      {"<answer> </answer>", false, ""},
      {"<answer> * 3 + 1", false, ""},
      {"* 3 + 1<|end|>", false, ""},  // no tags: as in pick
  };
  for (const AnswerCase& c : cases) {
    const ReplyFacts facts = AnalyzeCodeReply(kEnglish, c.reply);
    EXPECT_EQ(facts.correct, c.correct) << c.reply;
    EXPECT_EQ(facts.vote_key, c.key) << c.reply;
  }
}

TEST(Code, TheHiddenTestCatchesAnErrorThatTheExamplesDoNotShow) {
  const CodeProblem doubled{{{{3, 6}, {5, 10}}}, false};
  const int input = HiddenTest(doubled).input;
  ASSERT_TRUE(input < 3 || input > 5) << input;
  const char* program = input < 3 ? "- 3 + 3 * 2" : "* 2 + 53 - 53";  // leaves 0..63 below 3, or above 5
  EXPECT_EQ(RunProgram(*Parse(program), 3), 6);
  EXPECT_EQ(RunProgram(*Parse(program), 5), 10);
  EXPECT_FALSE(AnalyzeCodeReply(doubled, "<answer> " + std::string(program) + " </answer>").correct);
  EXPECT_TRUE(AnalyzeCodeReply(doubled, "<answer> + 0 * 2 </answer>").correct);
}

TEST(Code, TriesSumsAndVerdicts) {
  const ReplyFacts f =
      AnalyzeCodeReply(kEnglish,
                       " <think> try 3 * 2 = 6 10 - 6 = 4 5 * 2 = 10 + 4 = 14 small wait 3 * 3 = 9 10 - "
                       "9 = 1 5 * 3 = 16 + 1 = 17 yes 等等 3 * 3 = 9 10 - 9 = 1 5 * 3 = 15 + 1 "
                       "= 16 yes so </think> <answer> * 3 + 1 </answer><|end|>");
  EXPECT_TRUE(f.correct);
  EXPECT_TRUE(f.well_formed);
  EXPECT_TRUE(f.reflects);
  EXPECT_TRUE(f.mixed);
  EXPECT_EQ(f.style, ReplyStyle::kSearch);
  EXPECT_EQ(f.tries, 3);
  EXPECT_EQ(f.sums, 12);
  EXPECT_EQ(f.sums_right, 11);
  EXPECT_EQ(f.verdicts, 3);
  EXPECT_EQ(f.verdicts_right, 2);
  EXPECT_EQ(f.false_yes, 1);
  EXPECT_FALSE(f.first_try_right);
  EXPECT_TRUE(AnalyzeCodeReply(kEnglish, "<think> try 3 * 3 = 9 10 - 9 = 1 so </think>").first_try_right);
  const ReplyFacts cut = AnalyzeCodeReply(
      kEnglish, "<think> try 3 * 2 = 6 10 - 6 = 4 5 * 2 = 10 + 4 = 14 small wait 3 * 3 = 9 10 - 9 = 1 5");
  EXPECT_EQ(cut.tries, 2);
  EXPECT_EQ(cut.sums, 6);
  EXPECT_EQ(cut.verdicts, 1);
  EXPECT_FALSE(cut.ended);
}

TEST(Code, WhatATryProposes) {
  const auto proposed = [](const std::string& text) {
    std::vector<std::string_view> words;
    for (const ReplyItem& item : SplitReply(text)) words.push_back(item.text);
    return ReadCodeTry(words, 0).proposed;
  };
  EXPECT_EQ(proposed("3 * 2 = 6 10 - 6 = 4"), (CodeRule{2, 4}));
  EXPECT_EQ(proposed("3 * 4 = 12 12 - 10 = 2"), (CodeRule{4, -2}));
  EXPECT_EQ(proposed("3 * 4 = 12 12 - 12 = 0"), (CodeRule{4, 0}));
  EXPECT_EQ(proposed("3 * 2 = 6 10 - 7 = 4"), std::nullopt);  // not the product that is written
  EXPECT_EQ(proposed("3 * 2 = 6 10 - 6 ="), std::nullopt);
  const auto kept = [](const char* tail) {
    std::vector<std::string_view> words;
    const std::string text = std::string("3 * 4 = 12 12 - 10 = 2 5 * 4 = 20 ") + tail;
    for (const ReplyItem& item : SplitReply(text)) words.push_back(item.text);
    const WrittenCodeTry t = ReadCodeTry(words, 0);
    return t.words == kCodeTryWords && t.as_proposed;
  };
  EXPECT_TRUE(kept("- 2 = 18"));
  EXPECT_FALSE(kept("+ 2 = 22"));
}

TEST(Code, Styles) {
  EXPECT_EQ(AnalyzeCodeReply(kEnglish, "* 3 + 1<|end|>").style, ReplyStyle::kBare);
  EXPECT_EQ(AnalyzeCodeReply(kEnglish, "<answer> * 3 + 1 </answer><|end|>").style, ReplyStyle::kDirect);
  EXPECT_EQ(AnalyzeCodeReply(kEnglish, "<think> try 3 * 3 = 9 10 - 9 = 1 so </think> <answer> * 3 + 1 </answer>").style,
            ReplyStyle::kSingleTry);
  EXPECT_EQ(AnalyzeCodeReply(kEnglish, "yes<|end|>").style, ReplyStyle::kOther);
}

TEST(Code, HostileTextIsHandled) {
  std::string deep;
  for (int i = 0; i < 20000; ++i) deep += "<think><answer> * 63 ";
  EXPECT_FALSE(AnalyzeCodeReply(kEnglish, deep).well_formed);
  std::string program = "<answer>";
  for (int i = 0; i < 100000; ++i) program += " * 63";
  EXPECT_EQ(AnalyzeCodeReply(kEnglish, program + " </answer>").vote_key, "");
  EXPECT_FALSE(AnalyzeCodeReply(CodeProblem{}, "<answer> * 3 + 1 </answer>").correct);  // no problem at all
}

}  // namespace
}  // namespace r1
