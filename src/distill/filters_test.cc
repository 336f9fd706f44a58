#include "distill/filters.h"

#include <gtest/gtest.h>

#include <functional>

namespace r1 {
namespace {

constexpr char kQuestion[] = "pick 17 2 14 9 11 sum 28";
constexpr char kRight[] =
    " <think> try 17 + 2 = 19 + 14 = 33 big wait 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 </answer><|end|>";

Sample PickSample(const std::string& reply, const std::string& question = kQuestion) {
  Sample sample;
  sample.question = question;
  sample.problem = ParseTaskPrompt(question).value();
  sample.reply = reply;
  sample.ended = true;
  sample.tokens = 40;
  return sample;
}

Sample OpenSample(const std::string& question, const std::string& solution, const std::string& reply) {
  Sample sample;
  sample.question = question;
  sample.solution = solution;
  sample.reply = reply;
  sample.ended = true;
  return sample;
}

Drop DropOf(const Sample& sample, const FilterConfig& config = {}, bool judged = false) {
  return FilterSample(sample, config, judged, nullptr).drop;
}

FilterConfig Open() {
  FilterConfig config;
  config.keep_correct = config.keep_well_formed = config.drop_code_blocks = false;
  config.max_other_language = -1;
  return config;
}

TEST(ReplyText, SplitsAndJoins) {
  const ReplyText text = SplitReplyText(kRight);
  EXPECT_TRUE(text.regular);
  EXPECT_TRUE(text.ended);
  EXPECT_TRUE(text.has_thinking);
  EXPECT_EQ(text.thinking, "try 17 + 2 = 19 + 14 = 33 big wait 2 + 9 = 11 + 17 = 28 yes so");
  EXPECT_EQ(text.content, "<answer> 2 9 17 </answer>");
  EXPECT_EQ(JoinReplyText(text.thinking, text.content), kRight);
  const ReplyText bare = SplitReplyText("12<|end|>");
  EXPECT_TRUE(bare.regular);
  EXPECT_FALSE(bare.has_thinking);
  EXPECT_EQ(JoinReplyText(bare.thinking, bare.content), " 12<|end|>");
}

TEST(ReplyText, IrregularRepliesAreSeen) {
  for (const char* reply : {
           "",
           "<|end|>",
           "12",                          // not ended
           "<think> a <|end|>",           // thinking never closed
           "<think> a </think><|end|>",   // nothing said
           "<think> </think> 12<|end|>",  // nothing thought
           "<think> a </think> b <think> c </think><|end|>",
           "<think> a <think> b </think> c<|end|>",
           "12 <|end|> 13<|end|>",
           "12 <|user|> and now<|end|>",
           "<think> a <answer> 1 </answer> </think> 2<|end|>",
           "said <think> late </think> b<|end|>",
       }) {
    EXPECT_FALSE(SplitReplyText(reply).regular) << reply;
  }
}

TEST(ReplyText, FinalAnswers) {
  EXPECT_EQ(FinalAnswer("<answer> 1 </answer> no <answer> 2 9 17 </answer>"), "2 9 17");
  EXPECT_EQ(FinalAnswer("so \\boxed{1} or \\boxed{\\frac{1}{2}}."), "\\frac{1}{2}");
  EXPECT_EQ(FinalAnswer("  just 42 \n"), "just 42");
  EXPECT_EQ(FinalAnswer("\\boxed{never closed"), "");
  EXPECT_EQ(FinalAnswer("</answer> x"), "</answer> x");
}

TEST(ReplyText, MessagesLineIsTheFormatOfTheStages) {
  EXPECT_EQ(
      MessagesLine("", "pick 1", SplitReplyText("<think> a </think> b<|end|>"), "pick", "sample", 7),
      R"({"messages":[{"role":"user","content":"pick 1"},{"role":"assistant","reasoning_content":"a","content":"b"}],)"
      R"("metadata":{"task":"pick","source":"sample","tokens":7}})");
  EXPECT_EQ(MessagesLine("", "add 1 2", SplitReplyText("3<|end|>"), "general", "corpus", 2),
            R"({"messages":[{"role":"user","content":"add 1 2"},{"role":"assistant","content":"3"}],)"
            R"("metadata":{"task":"general","source":"corpus","tokens":2}})");
}

TEST(CheckByRule, TheWorldsRulesAndExactReferences) {
  EXPECT_EQ(CheckByRule(PickSample(kRight)), Check::kCorrect);
  EXPECT_EQ(CheckByRule(PickSample("<think> so </think> <answer> 17 2 14 </answer><|end|>")), Check::kIncorrect);
  EXPECT_EQ(CheckByRule(PickSample("12<|end|>", "add 3 9")), Check::kCorrect);
  EXPECT_EQ(CheckByRule(PickSample("13<|end|>", "add 3 9")), Check::kIncorrect);
  EXPECT_EQ(CheckByRule(OpenSample("How many?", "4 2", "<think> hm </think> <answer>\n4  2 </answer><|end|>")),
            Check::kCorrect);
  EXPECT_EQ(CheckByRule(OpenSample("How many?", "42", "It is \\boxed{42}.<|end|>")), Check::kCorrect);
  EXPECT_EQ(CheckByRule(OpenSample("How many?", "42", "forty-two<|end|>")), Check::kUnknown);
  EXPECT_EQ(CheckByRule(OpenSample("How many?", "", "42<|end|>")), Check::kUnknown);
}

TEST(FilterSample, KeepsARightReplyAsItIs) {
  const Filtered kept = FilterSample(PickSample(kRight), {}, false, nullptr);
  EXPECT_EQ(kept.drop, Drop::kNone);
  EXPECT_FALSE(kept.rewritten);
  EXPECT_EQ(JoinReplyText(kept.text.thinking, kept.text.content), kRight);
}

TEST(FilterSample, DropsForTheFirstReasonThatHolds) {
  Sample cut = PickSample(kRight);
  cut.ended = false;
  EXPECT_EQ(DropOf(cut, Open()), Drop::kTruncated);
  EXPECT_EQ(DropOf(PickSample("<think> a <|user|> b </think> c<|end|>"), Open()), Drop::kMarkers);
  EXPECT_EQ(DropOf(PickSample("<think> so </think> <answer> 2 9 14 </answer><|end|>")), Drop::kIncorrect);
  EXPECT_EQ(DropOf(PickSample("<answer> 2 9 17 </answer><|end|>")), Drop::kMalformed);
  FilterConfig any_form;
  any_form.keep_well_formed = false;
  EXPECT_EQ(DropOf(PickSample("<answer> 2 9 17 </answer><|end|>"), any_form), Drop::kNone);
  EXPECT_EQ(DropOf(PickSample("<think> so </think> <answer> 2 9 14 </answer><|end|>"), Open()), Drop::kNone);
  // A general answer needs no thinking.
  EXPECT_EQ(DropOf(PickSample("12<|end|>", "add 3 9")), Drop::kNone);
}

TEST(FilterSample, WhatNoRuleCanCheckIsDroppedUnlessAJudgeIsAsked) {
  const Sample sample = OpenSample("Why?", "because", "that is so<|end|>");
  EXPECT_EQ(DropOf(sample), Drop::kUnchecked);
  const Filtered judged = FilterSample(sample, {}, true, nullptr);
  EXPECT_EQ(judged.drop, Drop::kNone);
  EXPECT_EQ(judged.check, Check::kUnknown);
}

TEST(FilterSample, OtherLanguageInTheThinking) {
  const Sample mixed = PickSample("<think> 试 2 + 9 = 11 + 17 = 28 yes so </think> <answer> 2 9 17 </answer><|end|>");
  FilterConfig config;
  EXPECT_EQ(DropOf(mixed, config), Drop::kLanguage);
  config.max_other_language = 0.33;
  EXPECT_EQ(DropOf(mixed, config), Drop::kLanguage);
  config.max_other_language = 0.34;  // one word of three
  EXPECT_EQ(DropOf(mixed, config), Drop::kNone);
  config.max_other_language = -1;
  EXPECT_EQ(DropOf(mixed, config), Drop::kNone);
}

TEST(FilterSample, RewritingMakesAMixedReplyReadableAndItIsCheckedAgain) {
  FilterConfig config;
  config.rewrite = "language";
  const Filtered kept = FilterSample(
      PickSample("<think> 试 17 + 2 = 20 + 14 = 34 big wait 2 + 9 = 11 + 17 = 28 对 so </think> <answer> 2 9 17 "
                 "</answer><|end|>"),
      config, false, nullptr);
  EXPECT_EQ(kept.drop, Drop::kNone);
  EXPECT_TRUE(kept.rewritten);
  EXPECT_EQ(kept.text.thinking, "try 2 + 9 = 11 + 17 = 28 yes so");
  EXPECT_EQ(kept.text.content, "<answer> 2 9 17 </answer>");
  EXPECT_FALSE(FilterSample(PickSample(kRight), config, false, nullptr).rewritten);
  // A word that is not of the world, and a reply of which no try is left.
  EXPECT_EQ(DropOf(PickSample("<think> hmm 2 + 9 = 11 + 17 = 28 so </think> <answer> 2 9 17 </answer><|end|>"), config),
            Drop::kRewrite);
  EXPECT_EQ(DropOf(PickSample("<think> try 2 + 9 = 12 + 17 = 29 so </think> <answer> 2 9 17 </answer><|end|>"), config),
            Drop::kRewrite);
  // Rewriting does not make a wrong answer right.
  EXPECT_EQ(
      DropOf(PickSample("<think> 试 2 + 9 = 11 + 14 = 25 yes so </think> <answer> 2 9 14 </answer><|end|>"), config),
      Drop::kIncorrect);
}

TEST(FilterSample, LengthsParagraphsCodeAndRepetition) {
  FilterConfig config = Open();
  config.max_tokens = 39;
  EXPECT_EQ(DropOf(PickSample(kRight), config), Drop::kTooLong);
  config.max_tokens = 40;
  EXPECT_EQ(DropOf(PickSample(kRight), config), Drop::kNone);

  const Sample code = OpenSample("q", "", "<think> see\n```\nx\n``` </think> y<|end|>");
  EXPECT_EQ(DropOf(code, Open()), Drop::kNone);
  config = Open();
  config.drop_code_blocks = true;
  EXPECT_EQ(DropOf(code, config), Drop::kCodeBlock);
  EXPECT_EQ(DropOf(OpenSample("q", "", "<think> see </think> ```x```<|end|>"), config), Drop::kNone);

  const Sample long_one = OpenSample("q", "", "<think> abcdefgh\n\nabc </think> y<|end|>");
  config = Open();
  config.max_paragraph_chars = 7;
  EXPECT_EQ(DropOf(long_one, config), Drop::kParagraph);
  config.max_paragraph_chars = 8;
  EXPECT_EQ(DropOf(long_one, config), Drop::kNone);

  const Sample parrot = OpenSample("q", "", "<think> a b c a b c a b c a b c </think> y<|end|>");
  config = Open();
  config.repetition_ngram = 3;
  config.max_repetition = 0.69;
  EXPECT_EQ(DropOf(parrot, config), Drop::kRepetition);
  config.max_repetition = 0.7;
  EXPECT_EQ(DropOf(parrot, config), Drop::kNone);
}

TEST(FilterSample, OverlapWithABenchmarkInQuestionOrReply) {
  NgramSet benchmarks(4);
  ASSERT_TRUE(benchmarks.Add("How many apples has Ann? She eats two of them.").ok());
  const auto drop = [&](const std::string& question, const std::string& reply) {
    return FilterSample(OpenSample(question, "", reply), Open(), false, &benchmarks).drop;
  };
  EXPECT_EQ(drop("Tell me: how many apples has Bob?", "<think> x </think> y<|end|>"), Drop::kContaminated);
  EXPECT_EQ(drop("Tell me", "<think> so she eats two OF them </think> y<|end|>"), Drop::kContaminated);
  EXPECT_EQ(drop("Tell me: how many apples have they?", "<think> she eats two </think> y<|end|>"), Drop::kNone);
}

TEST(TextMeasures, Languages) {
  EXPECT_DOUBLE_EQ(OtherLanguageShare("so 等等 x 12", false), 0.5);
  EXPECT_DOUBLE_EQ(OtherLanguageShare("so 等等 x 12", true), 0.5);
  EXPECT_DOUBLE_EQ(OtherLanguageShare("naïve “plain” text", false), 0);
  EXPECT_DOUBLE_EQ(OtherLanguageShare("1 + 1 = 2", true), 0);
  EXPECT_TRUE(LooksChinese("请问 x 是多少"));
  EXPECT_FALSE(LooksChinese("what does 等 mean"));
}

TEST(TextMeasures, Paragraphs) {
  EXPECT_EQ(LongestParagraph(""), 0);
  EXPECT_EQ(LongestParagraph("abc\nde\n \nf"), 6);
  EXPECT_EQ(LongestParagraph("等等\n\n对"), 2);
}

TEST(TextMeasures, Repetition) {
  EXPECT_DOUBLE_EQ(RepeatedShare("a b c d", 5), 0);
  EXPECT_DOUBLE_EQ(RepeatedShare("a a a a", 1), 0.75);
  EXPECT_DOUBLE_EQ(RepeatedShare("a b c d", 2), 0);
}

TEST(ValidateFilters, ImpossibleSettingsAreNamed) {
  EXPECT_TRUE(ValidateFilterConfig({}, "x").ok());
  const auto refused = [](const std::function<void(FilterConfig&)>& change, const std::string& name) {
    FilterConfig config;
    change(config);
    const Status status = ValidateFilterConfig(config, "x");
    return !status.ok() && status.error().message.find(name) != std::string::npos;
  };
  EXPECT_TRUE(refused([](FilterConfig& c) { c.max_other_language = 1.5; }, "max_other_language"));
  EXPECT_TRUE(refused([](FilterConfig& c) { c.max_tokens = -1; }, "max_tokens"));
  EXPECT_TRUE(refused([](FilterConfig& c) { c.max_paragraph_chars = -1; }, "max_paragraph_chars"));
  EXPECT_TRUE(refused([](FilterConfig& c) { c.max_repetition = 2; }, "max_repetition"));
  EXPECT_TRUE(refused([](FilterConfig& c) { c.repetition_ngram = 0; }, "repetition_ngram"));
  EXPECT_TRUE(refused([](FilterConfig& c) { c.rewrite = "french"; }, "rewrite"));
}

}  // namespace
}  // namespace r1
