#include "world/task.h"

#include <array>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "world/draw.h"
#include "world/general.h"
#include "world/pick.h"

namespace r1 {
namespace {

constexpr std::array<TaskKind, kTaskKinds> kKinds = {TaskKind::kPick, TaskKind::kCode, TaskKind::kGeneral,
                                                     TaskKind::kHelpful, TaskKind::kHarmless};

TaskProblem Parsed(std::string_view prompt) {
  const Result<TaskProblem> problem = ParseTaskPrompt(prompt);
  EXPECT_TRUE(problem.ok()) << prompt;
  return problem.ok() ? *problem : TaskProblem{};
}

TEST(Task, NamesAndBack) {
  for (const TaskKind kind : kKinds) EXPECT_EQ(TaskFromName(TaskName(kind)), kind);
  EXPECT_FALSE(TaskFromName("Pick").has_value());
  EXPECT_STREQ(TaskName(TaskKind::kHarmless), "harmless");
}

TEST(Task, TrainProblemsArePureKnownByTheirPromptAndNeverHeldOut) {
  for (const TaskKind kind : kKinds) {
    std::set<std::string> held_out;
    if (kind != TaskKind::kGeneral) {  // add and same are closed tables, on both sides
      for (uint64_t i = 0; i < HeldOutTaskCount(kind); ++i) held_out.insert(HeldOutTask(kind, i).prompt);
    }
    int chinese = 0;
    std::set<std::string> seen;
    const int n = 4000;
    for (uint64_t i = 0; i < n; ++i) {
      const TaskProblem problem = TrainTask(kind, 3, i);
      ASSERT_EQ(problem, TrainTask(kind, 3, i));
      ASSERT_EQ(problem.kind, kind);
      ASSERT_EQ(Parsed(problem.prompt), problem);
      ASSERT_EQ(Parsed(UserContent(problem.prompt)), problem);
      ASSERT_FALSE(held_out.contains(problem.prompt)) << problem.prompt;
      seen.insert(problem.prompt);
      chinese += problem.chinese;
    }
    EXPECT_NEAR(chinese, 0.4 * n, 5 * std::sqrt(n * 0.24)) << TaskName(kind);
    EXPECT_GT(seen.size(), 500u) << TaskName(kind);
    EXPECT_NE(TrainTask(kind, 3, 0), TrainTask(kind, 4, 0));
  }
}

TEST(Task, PickIsTheListOfBefore) {
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(TrainTask(TaskKind::kPick, 5, i).prompt, PromptText(TrainProblem(5, i)));
    EXPECT_EQ(HeldOutTask(TaskKind::kPick, i).prompt, PromptText(HeldOutProblem(i)));
    EXPECT_EQ(HeldOutTask(TaskKind::kGeneral, i).prompt, HeldOutGeneralProblem(i).prompt);
  }
  EXPECT_EQ(HeldOutTaskCount(TaskKind::kPick), HeldOutCount());
}

TEST(Task, HeldOutListsAreFixed) {
  for (const TaskKind kind : kKinds) {
    const uint64_t count = HeldOutTaskCount(kind);
    EXPECT_GE(count, 100u) << TaskName(kind);
    std::set<std::string> seen;
    for (uint64_t i = 0; i < count; ++i) {
      const TaskProblem problem = HeldOutTask(kind, i);
      ASSERT_EQ(problem.kind, kind);
      ASSERT_EQ(Parsed(problem.prompt), problem);
      seen.insert(problem.prompt);
    }
    EXPECT_EQ(HeldOutTask(kind, count), HeldOutTask(kind, 0));
    if (kind != TaskKind::kGeneral) {
      EXPECT_EQ(seen.size(), count) << TaskName(kind) << ": a problem occurs twice";
    }
  }
  // Part of every published result.
  std::string text;
  for (const TaskKind kind : {TaskKind::kCode, TaskKind::kHelpful, TaskKind::kHarmless}) {
    for (uint64_t i = 0; i < HeldOutTaskCount(kind); ++i) text += HeldOutTask(kind, i).prompt + "\n";
  }
  EXPECT_EQ(StableHash(text), 14393428499906966816u);
}

TEST(Task, SolutionsAndLanguages) {
  const TaskProblem code = Parsed("code 3 > 10 5 > 16");
  EXPECT_EQ(code.kind, TaskKind::kCode);
  EXPECT_EQ(code.prompt, "<|begin|><|user|> code 3 > 10 5 > 16<|assistant|>");
  EXPECT_TRUE(code.solution.ends_with(std::to_string(3 * std::stoi(code.solution) + 1))) << code.solution;
  EXPECT_EQ(Parsed("翻译 猫 红"), (TaskProblem{TaskKind::kGeneral, PromptOfContent("翻译 猫 红"), "cat red", true}));
  EXPECT_EQ(Parsed("same 3 9").solution, "small");
  EXPECT_EQ(Parsed("add 40 20").solution, "60");
  EXPECT_EQ(Parsed("排序 9 1 5").solution, "1 5 9");
  EXPECT_EQ(Parsed("write red cat").kind, TaskKind::kHelpful);
  EXPECT_EQ(Parsed("write hurt cat").kind, TaskKind::kHarmless);
  EXPECT_TRUE(Parsed("伤 猫 红").chinese);
}

TEST(Task, ParseRefusesWhatIsNoPrompt) {
  std::string long_sort = "sort";
  for (int i = 0; i < 64; ++i) long_sort += " 1";
  for (const std::string& text :
       {std::string(""), std::string("choose 1 2"), std::string("cat dog"), std::string("3 > 4"), std::string("add 1"),
        std::string("add 1 64"), std::string("same 1 2 3"), std::string("translate"), std::string("translate 猫"),
        std::string("translate wait"), std::string("sort"), std::string("sort 1 x"), long_sort,
        std::string("<|user|><|assistant|>"), std::string(1 << 20, 'w')}) {
    const Result<TaskProblem> problem = ParseTaskPrompt(text);
    ASSERT_FALSE(problem.ok()) << text;
    EXPECT_EQ(problem.error().code, ErrorCode::kBadInput);
  }
}

TEST(Task, FinalSummary) {
  EXPECT_EQ(FinalSummary("<think> see red so </think> <answer> red cat red </answer><|end|>"), "red cat red");
  EXPECT_EQ(FinalSummary(" red cat red<|end|>"), "red cat red");
  EXPECT_EQ(FinalSummary("<answer>red  cat red</answer>"), "red cat red");
  EXPECT_EQ(FinalSummary("a <think> b </think> c <think> d </think> e"), "e");
  EXPECT_EQ(FinalSummary("<think> never closed red cat"), "");
  EXPECT_EQ(FinalSummary("a </think> b <think> c"), "");
  EXPECT_EQ(FinalSummary("<|end|>"), "");
}

TEST(Task, GeneralReplies) {
  const TaskProblem problem = Parsed("add 3 4");
  EXPECT_TRUE(AnalyzeTaskReply(problem, " 7<|end|>").correct);
  EXPECT_TRUE(AnalyzeTaskReply(problem, " <think> see so </think> <answer> 7 </answer><|end|>").correct);
  EXPECT_FALSE(AnalyzeTaskReply(problem, " 7").correct);  // not ended
  EXPECT_FALSE(AnalyzeTaskReply(problem, " 8<|end|>").correct);
  EXPECT_FALSE(AnalyzeTaskReply(problem, " 7 7<|end|>").correct);
  EXPECT_EQ(AnalyzeTaskReply(problem, " 8<|end|>").vote_key, "8");
  for (uint64_t i = 0; i < 300; ++i) {
    const GeneralProblem general = HeldOutGeneralProblem(i);
    EXPECT_TRUE(AnalyzeTaskReply(HeldOutTask(TaskKind::kGeneral, i), general.answer + "<|end|>").correct);
  }
}

TEST(Task, OpenRepliesAreSeenFromOutsideOnly) {
  const TaskProblem problem = Parsed("write red cat");
  const ReplyFacts good =
      AnalyzeTaskReply(problem, " <think> see red 猫 so </think> <answer> red cat red thanks </answer><|end|>");
  EXPECT_FALSE(good.correct);
  EXPECT_EQ(good.vote_key, "");
  EXPECT_TRUE(good.well_formed);
  EXPECT_TRUE(good.ended);
  EXPECT_TRUE(good.mixed);
  EXPECT_EQ(good.thinking_words, 4);
  EXPECT_EQ(good.thinking_words_in_language, 3);
  EXPECT_EQ(AnalyzeTaskReply(problem, " red cat red<|end|>").style, ReplyStyle::kBare);
}

TEST(Task, PickRepliesAsBefore) {
  const TaskProblem problem = Parsed("pick 17 2 14 9 11 sum 28");
  EXPECT_TRUE(AnalyzeTaskReply(problem, "<answer> 17 2 9 </answer>").correct);
  EXPECT_EQ(AnalyzeTaskReply(problem, "<answer> 17 2 9 </answer>").vote_key, "2 9 17");
}

TEST(Task, MixIsParsed) {
  const auto mix = ParseTaskMix("pick:3, code:1");
  ASSERT_TRUE(mix.ok());
  ASSERT_EQ(mix->size(), 2u);
  EXPECT_EQ((*mix)[0].kind, TaskKind::kPick);
  EXPECT_DOUBLE_EQ((*mix)[0].share, 0.75);
  EXPECT_DOUBLE_EQ((*mix)[1].share, 0.25);
  EXPECT_DOUBLE_EQ(ParseTaskMix("pick")->front().share, 1);
  EXPECT_DOUBLE_EQ(ParseTaskMix("helpful,harmless")->front().share, 0.5);
  for (const char* text : {"", "pick,", "pick:0", "pick:-1", "pick:x", "pick:", "pick:1:2", "pick:nan", "pick:inf",
                           "pick,pick", "chess", "pick code"}) {
    const auto bad = ParseTaskMix(text);
    ASSERT_FALSE(bad.ok()) << text;
    EXPECT_EQ(bad.error().code, ErrorCode::kUsage);
  }
}

TEST(Task, MixHoldsOverShortStretches) {
  const auto mix = ParseTaskMix("pick:0.5,code:0.2,general:0.1,helpful:0.15,harmless:0.05");
  ASSERT_TRUE(mix.ok());
  for (const uint64_t length : {8u, 32u, 64u, 500u}) {
    for (uint64_t begin = 0; begin < 3000; begin += 7) {
      std::array<double, kTaskKinds> count{};
      for (uint64_t i = 0; i < length; ++i) ++count[static_cast<size_t>(TaskOfIndex(*mix, begin + i))];
      for (const TaskShare& entry : *mix) {
        const double expected = entry.share * static_cast<double>(length);
        ASSERT_NEAR(count[static_cast<size_t>(entry.kind)], expected, 2) << TaskName(entry.kind) << " at " << begin;
      }
    }
  }
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(TaskOfIndex(*ParseTaskMix("code"), i), TaskKind::kCode);
}

}  // namespace
}  // namespace r1
