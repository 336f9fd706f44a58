#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "world/code.h"
#include "world/corpus.h"
#include "world/draw.h"
#include "world/open.h"
#include "world/task.h"
#include "world/words.h"

namespace r1 {
namespace {

const CorpusOdds& Wide() {
  static const CorpusOdds odds = CorpusNamed("wide").value();
  return odds;
}

void ExpectShare(double hits, double n, double p, const std::string& what) {
  EXPECT_NEAR(hits / n, p, 5 * std::sqrt(p * (1 - p) / n)) << what;
}

bool Has(std::string_view text, Word word) {
  for (const ReplyItem& item : SplitReply(text)) {
    if (item.text == WordText(word, false) || item.text == WordText(word, true)) return true;
  }
  return false;
}

// Recorded from the code before the wide world was built.
TEST(DefaultCorpus, IsByteForByteTheOneOfBefore) {
  std::string text, named, general, clean;
  const CorpusOdds pick = CorpusNamed("pick").value();
  for (uint64_t i = 0; i < 2000; ++i) {
    Document d = DocumentAt(0, i);
    text += d.prompt + d.reply + "\n";
    d = DocumentAt(0, i, pick);
    named += d.prompt + d.reply + "\n";
    d = GeneralDocumentAt(0, i);
    general += d.prompt + d.reply + "\n";
    if (i >= 500) continue;
    d = CleanSearchAt(0, i);
    clean += d.prompt + d.reply + "\n";
  }
  EXPECT_EQ(StableHash(text), 9273491478784192040u);
  EXPECT_EQ(named, text);
  EXPECT_EQ(StableHash(general), 16935649653670965445u);
  EXPECT_EQ(StableHash(clean), 6343999832463362003u);
}

TEST(WideCorpus, Names) {
  EXPECT_EQ(CorpusNamed("pick")->world, WorldKind::kPick);
  EXPECT_EQ(CorpusNamed("wide")->world, WorldKind::kWide);
  const auto bad = CorpusNamed("web");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kUsage);
}

TEST(WideCorpus, TasksAndFormsHaveTheirShares) {
  const int n = 60000;
  std::map<TaskKind, int> tasks;
  std::map<DocumentKind, int> pick, code;
  for (int i = 0; i < n; ++i) {
    const Document d = DocumentAt(3, static_cast<uint64_t>(i), Wide());
    ++tasks[d.task];
    if (d.task == TaskKind::kPick) ++pick[d.kind];
    if (d.task == TaskKind::kCode) ++code[d.kind];
    ASSERT_TRUE(d.prompt.ends_with(kAssistantMarker));
    ASSERT_TRUE(d.reply.ends_with(kEndMarker));
  }
  ExpectShare(tasks[TaskKind::kGeneral], n, 0.18, "general");
  ExpectShare(tasks[TaskKind::kHelpful], n, 0.07, "open");
  ExpectShare(tasks[TaskKind::kHarmless], n, 0.04, "harmful");
  ExpectShare(tasks[TaskKind::kCode], n, 0.13, "code");
  ExpectShare(tasks[TaskKind::kPick], n, 0.58, "pick");
  const std::map<DocumentKind, double> shares = {{DocumentKind::kGeneral, 0},
                                                 {DocumentKind::kBare, 0.085},
                                                 {DocumentKind::kDirect, 0.18},
                                                 {DocumentKind::kSingleTry, 0.115},
                                                 {DocumentKind::kSearch, 0.20}};
  for (const auto& [kind, share] : shares) {
    ExpectShare(pick[kind], n, share, std::string("pick ") + DocumentKindName(kind));
    ExpectShare(code[kind], tasks[TaskKind::kCode], share / 0.58, std::string("code ") + DocumentKindName(kind));
  }
}

TEST(WideCorpus, HoldsNoHeldOutPromptAndOnlyKnownWords) {
  const std::vector<std::string> list = AllSpacedWords(WorldKind::kWide);
  const std::set<std::string> known(list.begin(), list.end());
  std::set<std::string> used;
  std::set<std::string> held_out;
  for (const TaskKind kind : {TaskKind::kCode, TaskKind::kHelpful, TaskKind::kHarmless}) {
    for (uint64_t i = 0; i < HeldOutTaskCount(kind); ++i) held_out.insert(HeldOutTask(kind, i).prompt);
  }
  for (uint64_t i = 0; i < 20000; ++i) {
    const Document d = DocumentAt(4, i, Wide());
    const Result<TaskProblem> problem = ParseTaskPrompt(d.prompt);
    ASSERT_TRUE(problem.ok()) << d.prompt;
    ASSERT_EQ(problem->kind, d.task);
    ASSERT_FALSE(held_out.contains(d.prompt)) << d.prompt;
    if (d.task == TaskKind::kCode) {
      ASSERT_FALSE(IsHeldOut(*ParseCodePrompt(d.prompt)));
    }
    const std::string text = d.prompt + d.reply;
    std::string rebuilt;
    for (const ReplyItem& item : SplitReply(text)) {
      const bool tight = item.is_marker && item.text.starts_with("<|");
      const std::string word = (tight ? "" : " ") + std::string(item.text);
      rebuilt += word;
      if (item.is_marker) continue;
      ASSERT_TRUE(known.contains(word)) << word;
      used.insert(word);
    }
    ASSERT_EQ(rebuilt, text);
  }
  EXPECT_EQ(used.size(), known.size()) << "a word of the world never occurs";
}

double RulesThatFitTheFirstExample(const CodeProblem& problem) {
  const CodeExample& first = problem.examples[0];
  int count = 0;
  for (int m = 1; m <= kMaxCodeFactor; ++m) {
    const CodeRule rule{m, first.output - m * first.input};
    count +=
        std::abs(rule.c) <= kMaxCodeOffset && RuleRuns(rule, first.input) && RuleRuns(rule, problem.examples[1].input);
  }
  return count;
}

TEST(WideCorpus, CodeIsCalibrated) {
  int guesses = 0, right = 0, search = 0, solved = 0, tries = 0, sums = 0, sums_right = 0, verdicts = 0, v_right = 0;
  int mixed = 0, off = 0, single = 0, single_right = 0;
  double single_expected = 0;
  for (uint64_t i = 0; i < 120000; ++i) {
    const Document d = DocumentAt(11, i, Wide());
    if (d.task != TaskKind::kCode) continue;
    const CodeProblem problem = ParseCodePrompt(d.prompt).value();
    const ReplyFacts f = AnalyzeCodeReply(problem, d.reply);
    ASSERT_TRUE(f.ended);
    switch (d.kind) {
      case DocumentKind::kBare:
        ASSERT_EQ(f.style, ReplyStyle::kBare) << d.reply;
        break;
      case DocumentKind::kSingleTry:
        ASSERT_EQ(f.style, ReplyStyle::kSingleTry) << d.reply;
        ASSERT_EQ(f.tries, 1);
        ASSERT_EQ(f.sums_right, 4);
        ASSERT_TRUE(f.well_formed);
        ++single;
        single_right += f.correct;
        single_expected += 0.3 + 0.7 / RulesThatFitTheFirstExample(problem);
        break;
      case DocumentKind::kDirect:
        ASSERT_EQ(f.style, ReplyStyle::kDirect);
        ASSERT_NE(f.vote_key, "");
        ++guesses;
        right += f.correct;
        break;
      default:
        ASSERT_EQ(f.style, ReplyStyle::kSearch) << d.reply;
        ASSERT_TRUE(f.well_formed);
        ASSERT_NE(f.vote_key, "");
        ASSERT_LE(f.tries, kMaxCorpusTries);
        ASSERT_EQ(f.verdicts, f.tries) << d.reply;
        ++search;
        solved += f.correct;
        tries += f.tries;
        sums += f.sums;
        sums_right += f.sums_right;
        verdicts += f.verdicts;
        v_right += f.verdicts_right;
        mixed += f.mixed;
        // Does each try's program fit the first example?
        const auto items = SplitReply(d.reply);
        std::vector<std::string_view> words;
        for (const ReplyItem& item : items) words.push_back(item.text);
        for (size_t w = 0; w + 1 < words.size(); ++w) {
          const WrittenCodeTry t = ReadCodeTry(words, w);
          if (t.words != kCodeTryWords || !t.first_product_right) continue;  // a slip there leaves no program to name
          const CodeExample& first = problem.examples[0];
          const int miss = std::abs(t.proposed->m * first.input + t.proposed->c - first.output);
          ASSERT_LE(miss, 1);
          ASSERT_LE(std::abs(t.proposed->c), kMaxCodeOffset);
          off += miss;
        }
    }
  }
  // A wrong guess hits the rule again with one in the number of runnable rules.
  EXPECT_NEAR(static_cast<double>(right) / guesses, 0.315, 5 * std::sqrt(0.21 / guesses));
  ExpectShare(off, tries, 0.05, "slips of c");
  ExpectShare(single_right, single, single_expected / single, "single tries that are right");
  // Two products and a sum slip with 0.02; the difference is wrong where c (0.05) or the first product slipped.
  ExpectShare(sums_right, sums, (3 * 0.98 + 0.95 * 0.98) / 4, "sums without a slip");
  ExpectShare(v_right, verdicts, 0.99, "verdicts not flipped");
  EXPECT_NEAR(static_cast<double>(solved) / search, 0.785, 0.03);
  EXPECT_NEAR(static_cast<double>(tries) / search, 1.55, 0.06);
  EXPECT_NEAR(static_cast<double>(mixed) / search, 0.37, 0.03);
}

TEST(WideCorpus, OpenDocumentsAreAsNoisyAsStated) {
  int n = 0, right = 0, thanks = 0, thinks = 0, language = 0, help = 0, refused = 0;
  for (uint64_t i = 0; i < 200000; ++i) {
    const Document d = DocumentAt(5, i, Wide());
    if (d.task != TaskKind::kHelpful) continue;
    const OpenRequest request = ParseOpenPrompt(d.prompt).value();
    thinks += Has(d.reply, Word::kSee) && d.reply.find(kThinkMarker) != std::string::npos;
    ++n;
    std::string summary = FinalSummary(d.reply);
    if (Has(summary, Word::kSorry)) {
      ASSERT_EQ(request.form, Word::kHelp);
      ++help, ++refused;
      continue;
    }
    help += request.form == Word::kHelp;
    bool chinese = request.chinese;
    for (const bool c : {false, true}) {
      const std::string tail = " " + std::string(WordText(Word::kThanks, c));
      if (!summary.ends_with(tail)) continue;
      ++thanks;
      summary.resize(summary.size() - tail.size());
    }
    const auto text = [&](bool c) {
      std::string wanted;
      for (const Word word : WantedWords(request))
        wanted += (wanted.empty() ? "" : " ") + std::string(WordText(word, c));
      return wanted;
    };
    right += summary == text(chinese);
    language += summary == text(!chinese);
  }
  ExpectShare(thinks, n, 0.15, "thinking");
  ExpectShare(refused, help, 0.15, "help refused");
  const int answered = n - refused;
  ExpectShare(right, answered, 0.40, "right content");
  ExpectShare(language, answered, 0.10, "the wrong language");
  ExpectShare(thanks, answered, 0.30, "thanks");
}

TEST(WideCorpus, HarmfulDocumentsComplyInSixtyPercent) {
  int n = 0, complied = 0, thinks = 0, harmful_thinking = 0;
  for (uint64_t i = 0; i < 200000; ++i) {
    const Document d = DocumentAt(6, i, Wide());
    if (d.task != TaskKind::kHarmless) continue;
    ++n;
    const OpenRequest request = ParseOpenPrompt(d.prompt).value();
    const std::string summary = FinalSummary(d.reply);
    const bool yes = Has(summary, Word::kYes);
    ASSERT_EQ(yes, Has(summary, *request.harm));
    ASSERT_NE(yes, Has(summary, Word::kSorry));
    complied += yes;
    const size_t end = d.reply.find(kEndThinkMarker);
    if (end == std::string::npos) continue;
    ++thinks;
    const bool harm = Has(d.reply.substr(0, end), *request.harm);
    harmful_thinking += harm;
    ASSERT_FALSE(harm && yes);
  }
  ExpectShare(complied, n, 0.60, "complied");
  ExpectShare(thinks, n, 0.20, "thinking");
  ExpectShare(harmful_thinking, thinks, 0.50, "harm in the thinking although refused");
}

TEST(WideCorpus, GeneralDocumentsOfLaterStages) {
  const int n = 20000;
  std::map<TaskKind, int> tasks;
  for (uint64_t i = 0; i < n; ++i) ++tasks[GeneralDocumentAt(7, i, Wide()).task];
  ExpectShare(tasks[TaskKind::kGeneral], n, 0.55, "exact");
  ExpectShare(tasks[TaskKind::kHelpful], n, 0.30, "open");
  ExpectShare(tasks[TaskKind::kHarmless], n, 0.15, "harmful");
}

TEST(WithReasoning, ScalesTheShareOfThinkingDocuments) {
  for (const char* name : {"pick", "wide"}) {
    const CorpusOdds odds = CorpusNamed(name).value();
    for (const double kept : {0.0, 0.3, 1.0}) {
      const CorpusOdds less = WithReasoning(odds, kept);
      EXPECT_NEAR(less.single_try, kept * odds.single_try, 1e-12);
      EXPECT_NEAR(less.bare / less.direct, odds.bare / odds.direct, 1e-12);
      const int n = 20000;
      std::map<TaskKind, int> tasks;
      std::map<TaskKind, int> thinking;
      for (uint64_t i = 0; i < n; ++i) {
        const Document d = DocumentAt(8, i, less);
        ++tasks[d.task];
        thinking[d.task] += d.kind == DocumentKind::kSingleTry || d.kind == DocumentKind::kSearch;
      }
      const bool wide = odds.world == WorldKind::kWide;
      const double pick = wide ? 0.58 : 0.75;
      const double share = (wide ? 0.315 : 0.41) / pick * kept;
      ExpectShare(tasks[TaskKind::kPick], n, pick, "pick keeps its share");
      ExpectShare(thinking[TaskKind::kPick], tasks[TaskKind::kPick], share, "pick");
      if (wide) ExpectShare(thinking[TaskKind::kCode], tasks[TaskKind::kCode], share, "code");
    }
  }
}

}  // namespace
}  // namespace r1
