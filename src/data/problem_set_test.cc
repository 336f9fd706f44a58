#include "data/problem_set.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace r1 {
namespace {

TEST(ProblemSet, AliasesNumbersAndMetadata) {
  const auto problems = ParseProblems(
      "\xEF\xBB\xBF{\"prompt\": \"a\", \"solution\": \"1\"}\r\n"
      "\n"
      "{\"question\": \"b\\n中\", \"answer\": 2}\n"
      "{\"problem\": \"c\", \"label\": true, \"extra\": [1]}\n"
      "{\"prompt\": \"d\", \"ground_truth\": 0.5, \"metadata\": {\"level\": 3}, \"question\": null}",
      "set.jsonl");
  ASSERT_TRUE(problems.ok()) << problems.error().message;
  ASSERT_EQ(problems->size(), 4u);
  EXPECT_EQ((*problems)[0].prompt, "a");
  EXPECT_EQ((*problems)[0].solution, "1");
  EXPECT_EQ((*problems)[1].prompt, "b\n中");
  EXPECT_EQ((*problems)[1].solution, "2");
  EXPECT_EQ((*problems)[1].line, 3);
  EXPECT_EQ((*problems)[2].solution, "true");
  EXPECT_EQ((*problems)[3].solution, "0.5");
  EXPECT_EQ((*problems)[3].metadata, "{\"level\":3}");
}

struct Bad {
  const char* line;  // the second line of the file
  const char* message;
};

TEST(ProblemSet, ErrorsNameLineAndKey) {
  const Bad cases[] = {
      {"{\"prompt\": \"a\"}", "'solution'"},
      {"{\"solution\": \"a\"}", "'prompt'"},
      {"{\"prompt\": \"a\", \"question\": \"b\", \"solution\": \"c\"}", "'prompt' and 'question'"},
      {"{\"prompt\": \"a\", \"answer\": \"b\", \"label\": \"c\"}", "'answer' and 'label'"},
      {"{\"prompt\": 3, \"solution\": \"c\"}", "not a string"},
      {"{\"prompt\": \"\", \"solution\": \"c\"}", "empty"},
      {"{\"prompt\": \"a\", \"solution\": [1]}", "array"},
      {"{\"prompt\": \"a\", \"solution\": \"c\", \"metadata\": 3}", "'metadata'"},
      {"{\"prompt\": \"a\", \"prompt\": \"b\", \"solution\": \"c\"}", "line 2"},
      {"{\"prompt\": \"a\", \"solution\": \"c\"", "line 2"},
      {"[1, 2]", "object"},
      {"{\"prompt\": \"\xFF\", \"solution\": \"c\"}", "line 2"},
  };
  for (const Bad& bad : cases) {
    const auto problems =
        ParseProblems(std::string("{\"prompt\": \"a\", \"solution\": \"b\"}\n") + bad.line + "\n", "set.jsonl");
    ASSERT_FALSE(problems.ok()) << bad.line;
    EXPECT_EQ(problems.error().code, ErrorCode::kBadInput);
    EXPECT_NE(problems.error().message.find("set.jsonl line 2"), std::string::npos) << problems.error().message;
    EXPECT_NE(problems.error().message.find(bad.message), std::string::npos) << problems.error().message;
  }
  EXPECT_FALSE(ParseProblems("\n\n", "empty.jsonl").ok());
  EXPECT_FALSE(ParseProblems(std::string(100000, '['), "deep.jsonl").ok());
}

TEST(ProblemSet, SolutionIsOptionalWhereAllowed) {
  const auto problems = ParseProblems("{\"prompt\": \"a\"}", "set.jsonl", {.solution_required = false});
  ASSERT_TRUE(problems.ok());
  EXPECT_EQ((*problems)[0].solution, "");
}

TEST(ProblemSet, Files) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "r1_problem_set_test.jsonl";
  std::ofstream(path) << "{\"prompt\": \"a\", \"solution\": \"b\"}\n";
  const auto problems = LoadProblems(path.string());
  ASSERT_TRUE(problems.ok()) << problems.error().message;
  EXPECT_EQ(problems->size(), 1u);
  std::filesystem::remove(path);
  EXPECT_FALSE(LoadProblems(path.string()).ok());
  const auto gz = LoadProblems("x.jsonl.gz");
  ASSERT_FALSE(gz.ok());
  EXPECT_NE(gz.error().message.find("gunzip"), std::string::npos);
}

}  // namespace
}  // namespace r1
