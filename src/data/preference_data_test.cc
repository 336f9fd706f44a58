// Data of the three kinds of reward models: tokens, where values are read, labels, held-out prompts, and errors.
#include "data/preference_data.h"

#include <gtest/gtest.h>

#include "base/test_dir.h"
#include "data/corpus_stream.h"

namespace r1 {
namespace {

const Tokenizer& World() {
  static const Tokenizer tokenizer = TrainTokenizer(1, 20000).value();
  return tokenizer;
}

TEST(RewardData, PairsOfReplies) {
  const auto examples = ParseRewardData(
      R"({"prompt":"add 1 2","chosen":" <think> yes </think> 3<|end|>","rejected":"4","metadata":{"margin":1.5}})", "x",
      RewardKind::kHelpful, World());
  ASSERT_TRUE(examples.ok()) << examples.error().message;
  const RewardExample& e = (*examples)[0];
  EXPECT_EQ(e.prompt, "add 1 2");
  ASSERT_EQ(e.texts.size(), 2u);
  EXPECT_TRUE(e.labels.empty());
  const char* texts[] = {"<|begin|><|user|> add 1 2<|assistant|> <think> yes </think> 3<|end|>",
                         "<|begin|><|user|> add 1 2<|assistant|> 4<|end|>"};
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(e.texts[i].tokens, World().Encode(texts[i]));
    EXPECT_EQ(e.texts[i].ends, (std::vector<int32_t>{static_cast<int32_t>(e.texts[i].tokens.size())}));
  }
}

TEST(RewardData, LabelledReplies) {
  const auto examples = ParseRewardData(
      "{\"prompt\":\"add 1 2\",\"completion\":\"3\",\"label\":true}\n{\"prompt\":\"add 1 2\",\"completion\":\"4\","
      "\"label\":false}",
      "x", RewardKind::kSafety, World());
  ASSERT_TRUE(examples.ok()) << examples.error().message;
  ASSERT_EQ(examples->size(), 2u);
  EXPECT_EQ((*examples)[0].labels, std::vector<bool>{true});
  EXPECT_EQ((*examples)[1].labels, std::vector<bool>{false});
  EXPECT_EQ((*examples)[1].texts[0].tokens, World().Encode("<|begin|><|user|> add 1 2<|assistant|> 4<|end|>"));
  EXPECT_EQ((*examples)[1].texts[0].ends.size(), 1u);
}

TEST(RewardData, StepsAreReadAtTheirEnds) {
  const auto examples = ParseRewardData(
      R"({"prompt":"pick 14 8 20 3 5 sum 42","completions":["<think> try 14 + 8 = 22","wait 3 + 5 = 9"],"labels":[true,false]})",
      "x", RewardKind::kProcess, World());
  ASSERT_TRUE(examples.ok()) << examples.error().message;
  const RewardExample& e = (*examples)[0];
  EXPECT_EQ(
      e.texts[0].tokens,
      World().Encode("<|begin|><|user|> pick 14 8 20 3 5 sum 42<|assistant|> <think> try 14 + 8 = 22 wait 3 + 5 = 9"));
  const int32_t n = static_cast<int32_t>(e.texts[0].tokens.size());
  EXPECT_EQ(e.texts[0].ends, (std::vector<int32_t>{n - 6, n}));
  EXPECT_EQ(World().TextOf(e.texts[0].tokens[static_cast<size_t>(n - 7)]), " 22");
  EXPECT_EQ(e.labels, (std::vector<bool>{true, false}));
}

TEST(RewardData, ErrorsNameLineAndKey) {
  struct Case {
    RewardKind kind;
    const char* line;
    const char* message;
  };
  const Case cases[] = {
      {RewardKind::kHelpful, R"({"chosen":"a","rejected":"b"})", "no 'prompt'"},
      {RewardKind::kHelpful, R"({"prompt":"p","chosen":"a"})", "no 'rejected'"},
      {RewardKind::kHelpful, R"({"prompt":"p","chosen":["a"],"rejected":"b"})", "'chosen' is not a string"},
      {RewardKind::kHelpful, R"({"prompt":"p","chosen":"a","rejected":"b<|user|>"})", "'rejected': the reply has"},
      {RewardKind::kHelpful, R"({"prompt":"","chosen":"a","rejected":"b"})", "the prompt is empty"},
      {RewardKind::kSafety, R"({"prompt":"p","completion":"a"})", "'label' is missing"},
      {RewardKind::kSafety, R"({"prompt":"p","completion":"a","label":1})", "'label'"},
      {RewardKind::kSafety, R"({"prompt":"p","label":true})", "no 'completion'"},
      {RewardKind::kProcess, R"({"prompt":"p","labels":[true]})", "'completions' is missing"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":["a"],"labels":true})", "'labels' is missing"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":[],"labels":[]})", "'completions' is empty"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":["a"],"labels":[true,false]})", "1 completions, but 2"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":["a",3],"labels":[true,false]})", "step 2: the completion"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":["a","b"],"labels":[true,0]})", "step 2: the label"},
      {RewardKind::kProcess, R"({"prompt":"p","completions":["a",""],"labels":[true,true]})",
       "step 2: the completion is"},
  };
  for (const Case& c : cases) {
    const auto examples = ParseRewardData(std::string("\n") + c.line, "dir/x.jsonl", c.kind, World());
    ASSERT_FALSE(examples.ok()) << c.line;
    EXPECT_EQ(examples.error().code, ErrorCode::kBadInput) << c.line;
    EXPECT_NE(examples.error().message.find("dir/x.jsonl line 2"), std::string::npos) << examples.error().message;
    EXPECT_NE(examples.error().message.find(c.message), std::string::npos) << examples.error().message;
  }
  EXPECT_FALSE(ParseRewardData("", "x", RewardKind::kHelpful, World()).ok());
}

TEST(RewardData, FilesAndNames) {
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "a.jsonl", R"({"prompt":"p","completion":"a","label":true})").ok());
  EXPECT_EQ(LoadRewardData(dir / "a.jsonl", RewardKind::kSafety, World()).value().size(), 1u);
  EXPECT_FALSE(LoadRewardData(dir / "b.jsonl", RewardKind::kSafety, World()).ok());
  for (const RewardKind kind : {RewardKind::kHelpful, RewardKind::kSafety, RewardKind::kProcess})
    EXPECT_EQ(RewardKindFromName(RewardKindName(kind)), kind);
  EXPECT_FALSE(RewardKindFromName("helpfull").has_value());
}

TEST(RewardData, HeldOutShareOfPrompts) {
  int tenth = 0, half = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string prompt = "prompt " + std::to_string(i);
    tenth += IsHeldOutPrompt(prompt, 0.1) ? 1 : 0;
    half += IsHeldOutPrompt(prompt, 0.5) ? 1 : 0;
    EXPECT_LE(IsHeldOutPrompt(prompt, 0.1), IsHeldOutPrompt(prompt, 0.5));  // a larger share keeps the smaller one's
    EXPECT_FALSE(IsHeldOutPrompt(prompt, 0));
    EXPECT_TRUE(IsHeldOutPrompt(prompt, 1));
  }
  EXPECT_NEAR(tenth, 1000, 100);
  EXPECT_NEAR(half, 5000, 170);
}

}  // namespace
}  // namespace r1
