#include "data/traces.h"

#include <gtest/gtest.h>

#include "base/test_dir.h"

namespace r1 {
namespace {

TEST(Traces, ReadsTheFormsOfTheFormat) {
  const std::string text =
      R"({"messages":[{"role":"user","content":"q1"},{"role":"assistant","reasoning_content":"t1","content":"a1"}]}
{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"q2"},)"
      R"({"role":"assistant","reasoning":"t2","content":"a2"}],"metadata":{"solution":42}}

{"prompt":"q3","completion":" <think> t3 </think> a3 ","answer":"A"}
{"question":"q4","response":"a4","metadata":null}
)";
  const auto traces = ParseTraces(text, "x.jsonl");
  ASSERT_TRUE(traces.ok()) << traces.error().message;
  ASSERT_EQ(traces->size(), 4u);
  EXPECT_EQ((*traces)[0].question, "q1");
  EXPECT_EQ((*traces)[0].thinking, "t1");
  EXPECT_EQ((*traces)[0].content, "a1");
  EXPECT_EQ((*traces)[0].solution, "");
  EXPECT_EQ((*traces)[1].question, "be brief\n\nq2");
  EXPECT_EQ((*traces)[1].thinking, "t2");
  EXPECT_EQ((*traces)[1].solution, "42");
  EXPECT_EQ((*traces)[2].thinking, "t3");
  EXPECT_EQ((*traces)[2].content, "a3");
  EXPECT_EQ((*traces)[2].solution, "A");
  EXPECT_EQ((*traces)[2].line, 4);
  EXPECT_EQ((*traces)[3].thinking, "");
  EXPECT_EQ((*traces)[3].content, "a4");
}

TEST(Traces, WrongLinesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"messages":[]})", "no message of role 'user'"},
      {R"({"messages":{}})", "not a list"},
      {R"({"messages":["a"]})", "not an object"},
      {R"({"messages":[{"role":"user","content":"q"}]})", "no message of role 'assistant'"},
      {R"({"messages":[{"role":"assistant","content":"q"}]})", "role 'assistant'"},
      {R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"}]})",
       "one turn"},
      {R"({"messages":[{"role":"user","content":7},{"role":"assistant","content":"a"}]})", "not a string"},
      {R"({"prompt":"q"})", "no answer"},
      {R"({"prompt":"q","completion":"<think> only thought </think>"})", "no answer"},
      {R"({"completion":"a"})", "no question"},
      {R"({"prompt":"q","completion":"a","solution":[1]})", "'solution' is a array"},
      {"7", "JSON object"},
      {"{", "x.jsonl line 2"},
  };
  for (const auto& [line, words] : bad) {
    const auto traces = ParseTraces("{\"prompt\":\"q\",\"completion\":\"a\"}\n" + line + "\n", "x.jsonl");
    ASSERT_FALSE(traces.ok()) << line;
    EXPECT_EQ(traces.error().code, ErrorCode::kBadInput) << line;
    EXPECT_NE(traces.error().message.find(words), std::string::npos) << traces.error().message;
    EXPECT_NE(traces.error().message.find("x.jsonl line 2"), std::string::npos) << traces.error().message;
  }
  EXPECT_FALSE(ParseTraces("\n \n", "x.jsonl").ok());
  EXPECT_FALSE(LoadTraces("/nowhere/x.jsonl").ok());
}

TEST(Traces, ThinkTagsAreSplitOnlyAtTheBeginningAndClosed) {
  std::string a, b;
  EXPECT_TRUE(SplitThinkTags("\n<think>\nx\n</think>\ny", &a, &b));
  EXPECT_EQ(a, "x");
  EXPECT_EQ(b, "y");
  EXPECT_FALSE(SplitThinkTags("well <think> x </think> y", &a, &b));
  EXPECT_FALSE(SplitThinkTags("<think> x", &a, &b));
  EXPECT_FALSE(SplitThinkTags("", &a, &b));
}

}  // namespace
}  // namespace r1
