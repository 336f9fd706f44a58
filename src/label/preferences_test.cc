#include "label/preferences.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "label/helpful.h"
#include "label/safety.h"
#include "world/corpus.h"

namespace r1::label {
namespace {

// Replies as a model of the corpus would give them: eight documents' replies around one prompt each.
std::vector<PromptReplies> Sampled(TaskKind kind, uint64_t count) {
  const std::vector<std::string> endings = {"", " thanks", " 谢谢"};
  std::vector<PromptReplies> prompts;
  for (uint64_t i = 0; i < count; ++i) {
    PromptReplies prompt{TrainTask(kind, 1, i), {}};
    const std::string content = UserContent(prompt.problem.prompt);
    const std::string things = content.substr(content.find(' '));
    for (const std::string& ending : endings) {
      prompt.replies.push_back(things + ending + "<|end|>");
      prompt.replies.push_back(things + things.substr(0, things.find(' ', 1)) + ending + "<|end|>");
      prompt.replies.push_back(things.substr(0, things.find(' ', 1)) + ending + "<|end|>");
      prompt.replies.push_back(" <think> see so </think> <answer> sorry no" + ending + " </answer><|end|>");
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

int64_t Words(std::string_view text) { return static_cast<int64_t>(SplitReply(text).size()); }

TEST(Preferences, CountsAddUpAndLengthsBalance) {
  const auto prompts = Sampled(TaskKind::kHelpful, 300);
  const Result<PreferenceSet> set = MakePreferences(prompts, {}, 7);
  ASSERT_TRUE(set.ok());
  const PreferenceStats& s = set->stats;
  EXPECT_EQ(s.prompts, 300);
  EXPECT_EQ(s.judged, 300 * 66);  // 12 different summaries
  EXPECT_EQ(s.judged, s.kept + s.dropped_margin + s.dropped_balance);
  EXPECT_EQ(s.kept, static_cast<int64_t>(set->pairs.size()));
  EXPECT_GT(s.kept, 1000);
  EXPECT_GT(s.dropped_margin, 1000);
  EXPECT_GT(s.dropped_balance, 10);
  EXPECT_GT(s.position_flips, 10);
  int64_t longer_chosen = 0, longer_rejected = 0, agree = 0;
  for (const PreferencePair& pair : set->pairs) {
    EXPECT_GT(pair.margin, 1);
    EXPECT_LE(pair.margin, 2);
    EXPECT_EQ(pair.chosen.find('<'), std::string::npos);
    longer_chosen += Words(pair.chosen) > Words(pair.rejected);
    longer_rejected += Words(pair.chosen) < Words(pair.rejected);
    const TaskProblem problem = ParseTaskPrompt(pair.prompt).value();
    agree += HelpfulScore(problem, pair.chosen) > HelpfulScore(problem, pair.rejected);
  }
  EXPECT_EQ(longer_chosen, longer_rejected);
  EXPECT_EQ(agree, s.agree);
  EXPECT_GT(agree, s.kept * 95 / 100);
}

TEST(Preferences, BalanceDropsTheSmallestMarginsOfTheMajority) {
  JudgeOptions exact;
  exact.noise = exact.first_position_bias = 0;
  const TaskProblem problem = ParseTaskPrompt("write red cat").value();
  // Without noise: 0.8 - 0.24 and 0.8 - 0 give 2, all with the longer one or an equally long one chosen.
  const std::vector<PromptReplies> one = {{problem, {" red cat red<|end|>", " dog<|end|>", " 红 猫 红<|end|>"}}};
  const PreferenceSet set = MakePreferences(one, exact, 1).value();
  EXPECT_EQ(set.stats.judged, 3);
  EXPECT_EQ(set.stats.dropped_margin, 1);   // dog against the foreign one: 0.24·4 rounds to 1
  EXPECT_EQ(set.stats.dropped_balance, 1);  // nothing longer is rejected
  ASSERT_EQ(set.pairs.size(), 1u);
  EXPECT_EQ(set.pairs[0], (PreferencePair{"write red cat", "red cat red", "红 猫 红", 2}));
  EXPECT_EQ(set.stats.position_flips, 0);
}

TEST(Preferences, TheTwoOrdersCancelTheBiasOfTheJudge) {
  JudgeOptions biased;
  biased.noise = 0;
  biased.first_position_bias = 3;  // always prefers what comes first
  const PreferenceSet set = MakePreferences(Sampled(TaskKind::kHelpful, 20), biased, 1).value();
  EXPECT_GT(set.stats.position_flips, 0);
  EXPECT_EQ(set.stats.agree, set.stats.kept);
  // Pairs of equal score never come out as preferences, whichever stands first.
  biased.first_position_bias = 100;
  const PreferenceSet blind = MakePreferences(Sampled(TaskKind::kHelpful, 20), biased, 1).value();
  EXPECT_EQ(blind.stats.kept, 0);
  EXPECT_EQ(blind.stats.position_flips, 2 * blind.stats.judged);
}

TEST(Preferences, ArePureAndKnowOpenRequestsOnly) {
  const auto prompts = Sampled(TaskKind::kHelpful, 40);
  EXPECT_EQ(MakePreferences(prompts, {}, 7)->pairs, MakePreferences(prompts, {}, 7)->pairs);
  EXPECT_NE(MakePreferences(prompts, {}, 7)->pairs, MakePreferences(prompts, {}, 8)->pairs);
  const PreferenceSet none = MakePreferences(Sampled(TaskKind::kHarmless, 10), {}, 7).value();
  EXPECT_EQ(none.stats.prompts, 0);
  EXPECT_TRUE(none.pairs.empty());
  EXPECT_TRUE(MakePreferences({}, {}, 7)->pairs.empty());
}

TEST(Preferences, SummariesAreComparedNotForms) {
  const TaskProblem problem = ParseTaskPrompt("write red cat").value();
  const PreferenceSet set =
      MakePreferences({{problem,
                        {" red cat red<|end|>", " <think> see so </think> <answer> red cat red </answer><|end|>",
                         " <think> cut off"}}},
                      {}, 1)
          .value();
  EXPECT_EQ(set.stats.judged, 0);
}

TEST(Preferences, OptionsOutOfRangeAreRefused) {
  for (const JudgeOptions& options :
       {JudgeOptions{.judgements = 3}, JudgeOptions{.judgements = 0}, JudgeOptions{.judgements = 66},
        JudgeOptions{.noise = -1}, JudgeOptions{.first_position_bias = 1e9}, JudgeOptions{.min_margin = 2},
        JudgeOptions{.min_margin = -0.5}}) {
    const Result<PreferenceSet> set = MakePreferences({}, options, 1);
    ASSERT_FALSE(set.ok());
    EXPECT_EQ(set.error().code, ErrorCode::kUsage);
  }
}

TEST(SafetyExamples, WholeRepliesWithTheHiddenLabel) {
  const TaskProblem harmful = ParseTaskPrompt("hurt cat dog").value();
  const TaskProblem benign = ParseTaskPrompt("help cat dog").value();
  const TaskProblem pick = TrainTask(TaskKind::kPick, 1, 1);
  const auto examples = MakeSafetyExamples({{harmful,
                                             {" sorry no<|end|>", " sorry no<|end|>", " yes hurt cat dog<|end|>",
                                              " <think> see hurt cat so</think> <answer> sorry no</answer><|end|>"}},
                                            {benign, {" sorry no<|end|>", " yes hurt<|end|>"}},
                                            {benign, {" yes <|begin|> hurt<|end|>", "<|user|> no"}},  // no reply at all
                                            {pick, {" 1 2 3<|end|>"}}});
  const std::vector<SafetyExample> expected = {
      {"hurt cat dog", "sorry no", true},
      {"hurt cat dog", "yes hurt cat dog", false},
      {"hurt cat dog", "<think> see hurt cat so </think> <answer> sorry no </answer>", false},
      {"help cat dog", "sorry no", true},
      {"help cat dog", "yes hurt", false}};
  EXPECT_EQ(examples, expected);
}

TEST(PreferenceFiles, ReadBackWhatWasWritten) {
  const std::vector<PreferencePair> pairs = {{"write red cat", "red cat red", "红 \"猫\"\n", 1.5}, {"a", "b", "c", 2}};
  const std::string text = PreferencesText(pairs);
  EXPECT_TRUE(text.starts_with(
      R"({"prompt":"write red cat","chosen":"red cat red","rejected":"红 \"猫\"\n","metadata":{"margin":1.5}})"
      "\n"))
      << text;
  EXPECT_EQ(ParsePreferences(text, "f").value(), pairs);
  EXPECT_EQ(ParsePreferences("\n"
                             R"({"prompt":"a","chosen":"b","rejected":"c","other":1})",
                             "f")
                ->front()
                .margin,
            0);
  const std::vector<SafetyExample> examples = {{"hurt cat dog", "sorry no", true}, {"hurt cat dog", "yes", false}};
  EXPECT_EQ(SafetyText(examples).substr(0, SafetyText(examples).find('\n')),
            R"({"prompt":"hurt cat dog","completion":"sorry no","label":true})");
  EXPECT_EQ(ParseSafety(SafetyText(examples), "f").value(), examples);
}

TEST(PreferenceFiles, ErrorsNameFileAndLine) {
  const std::string good = R"({"prompt":"a","chosen":"b","rejected":"c"})";
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("3"), std::string(R"({"prompt":"a","chosen":"b"})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":7})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":""})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":"b"})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":"c","metadata":3})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":"c","metadata":{"margin":-1}})"),
        std::string(R"({"prompt":"a","chosen":"b","rejected":"c","metadata":{"margin":"1"}})"),
        "{\"prompt\":\"" + std::string(2 << 20, 'a') + "\",\"chosen\":\"b\",\"rejected\":\"c\"}",
        std::string(300, '[')}) {
    const auto pairs = ParsePreferences(good + "\n\n" + bad, "pairs.jsonl");
    ASSERT_FALSE(pairs.ok()) << bad.substr(0, 100);
    EXPECT_EQ(pairs.error().code, ErrorCode::kBadInput);
    EXPECT_NE(pairs.error().message.find("pairs.jsonl line 3"), std::string::npos) << pairs.error().message;
  }
  for (const char* bad : {R"({"prompt":"a","completion":"b"})", R"({"prompt":"a","completion":"b","label":"true"})",
                          R"({"prompt":"a","label":true})", R"({"prompt":"","completion":"b","label":true})"}) {
    const auto examples = ParseSafety(bad, "safety.jsonl");
    ASSERT_FALSE(examples.ok()) << bad;
    EXPECT_NE(examples.error().message.find("safety.jsonl line 1"), std::string::npos) << examples.error().message;
  }
  EXPECT_FALSE(ParsePreferences("", "f").ok());
  EXPECT_FALSE(ParseSafety(" \n\n", "f").ok());
}

}  // namespace
}  // namespace r1::label
