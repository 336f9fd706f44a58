// Answers of replies to problems of a file: where they stand, when two are the same, and in which form a reply is.
#include "reward/answer.h"

#include <gtest/gtest.h>

namespace r1 {
namespace {

TEST(Answer, IsFoundWhereItIsMarked) {
  const std::pair<const char*, const char*> cases[] = {
      {"so <answer> 72 </answer>", "72"},
      {"<answer>1</answer> no, <answer>2</answer>", "2"},
      {"<answer> \\boxed{72} </answer>", "72"},
      {"it is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"},
      {"\\boxed{1} and \\boxed{ 2 }", "2"},
      {"48 + 24 = 72\n#### 72\n", "72"},
      {"#### 1\n#### 1,072 \nthat is all", "1,072"},
      {"#### 3 and \\boxed{4}", "4"},
  };
  for (const auto& [content, want] : cases) EXPECT_EQ(ExtractAnswer(content), want) << content;
  for (const char* none : {"", "the answer is 72", "\\boxed{72", "</answer> 72 <answer>", "### 72"})
    EXPECT_FALSE(ExtractAnswer(none).has_value()) << none;
  EXPECT_EQ(ExtractAnswer("####"), "");
}

TEST(Answer, NumbersAreComparedByValue) {
  const std::pair<const char*, const char*> same[] = {
      {"72", "72"},
      {"72.0", "72"},
      {"025", "25"},
      {"1,072", "1072"},
      {"$18", "18"},
      {"-0", "0"},
      {"18.", "18"},
      {"50%", "50"},
      {".5", "0.5"},
      {"-$1,234.50", "-1234.5"},
      {"+3", "3"},
      {" 7 ", "7"},
      {"$x+1$", "X + 1"},
      {"B", "b."},
      {"\\frac{1}{2}", "\\frac{1}{2}"},
      {"100000000000000000000000000000001", "100000000000000000000000000000001.0"}};
  for (const auto& [a, b] : same) {
    EXPECT_TRUE(SameAnswer(a, b)) << a << " " << b;
    EXPECT_TRUE(SameAnswer(b, a)) << a << " " << b;
  }
  const std::pair<const char*, const char*> other[] = {
      {"72", "73"},
      {"72", "-72"},
      {"0.5", "0.05"},
      {"1,07", "107"},
      {"1,0722", "10722"},
      {"", ""},
      {"", "0"},
      {"1/2", "0.5"},
      {"--3", "3"},
      {"3e2", "300"},
      {"1.2.3", "1.23"},
      {".", "0"},
      {"100000000000000000000000000000001", "100000000000000000000000000000002"}};
  for (const auto& [a, b] : other) EXPECT_FALSE(SameAnswer(a, b)) << a << " " << b;
}

TEST(Answer, ThinkingIsNoAnswer) {
  const ThinkTags tags;
  AnswerReply parts = SplitAnswerReply("<think>\nmaybe #### 3\n</think>\n\n#### 4", tags);
  EXPECT_EQ(parts.thinking, "maybe #### 3");
  EXPECT_EQ(parts.content, "#### 4");
  parts = SplitAnswerReply("<think> #### 3", tags);
  EXPECT_TRUE(parts.thinks);
  EXPECT_EQ(parts.content, "");
  parts = SplitAnswerReply("#### 3", tags);
  EXPECT_FALSE(parts.thinks);
  EXPECT_EQ(parts.content, "#### 3");
  EXPECT_EQ(SplitAnswerReply("[t]a[/t]b", {"[t]", "[/t]"}).thinking, "a");
}

TEST(Answer, Forms) {
  const ThinkTags tags;
  struct Case {
    const char* reply;
    bool think, answer;
  };
  const Case cases[] = {{"<think>a</think> b", true, false},
                        {" <think>\na\n</think>\n\n<answer> b </answer>\n", true, true},
                        {"<think></think> b", false, false},
                        {"<think>a</think>", false, false},
                        {"a</think> b", false, false},
                        {"b", false, false},
                        {"<think>a<think>b</think> c", false, false},
                        {"<think>a</think>b</think> c", false, false},
                        {"x <think>a</think> c", false, false},
                        {"<think>a</think> <answer> </answer>", true, false},
                        {"<think>a</think> <answer>b</answer> c", true, false},
                        {"<think>a</think> <answer>b</answer><answer>c</answer>", true, false}};
  for (const Case& c : cases) {
    EXPECT_EQ(HasForm(c.reply, true, ReplyForm::kThink, tags), c.think) << c.reply;
    EXPECT_EQ(HasForm(c.reply, true, ReplyForm::kThinkAnswer, tags), c.answer) << c.reply;
    EXPECT_TRUE(HasForm(c.reply, true, ReplyForm::kEnded, tags));
    EXPECT_FALSE(HasForm(c.reply, false, ReplyForm::kThink, tags));
    EXPECT_FALSE(HasForm(c.reply, false, ReplyForm::kEnded, tags));
  }
  EXPECT_EQ(ReplyFormFromName("think_answer"), ReplyForm::kThinkAnswer);
  EXPECT_FALSE(ReplyFormFromName("thinking").has_value());
}

}  // namespace
}  // namespace r1
