#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "world/corpus.h"
#include "world/draw.h"
#include "world/pick.h"
#include "world/verifier.h"
#include "world/words.h"

namespace r1 {
namespace {

bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// |share - p| within five standard errors of n draws.
void ExpectShare(double hits, double n, double p, const char* what) {
  EXPECT_NEAR(hits / n, p, 5 * std::sqrt(p * (1 - p) / n)) << what;
}

TEST(Words, AllAreDistinctAndMadeForTheTokenizer) {
  const std::vector<std::string> words = AllSpacedWords();
  EXPECT_EQ(words.size(), 64u + 2 + 2 * 25);
  EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
  EXPECT_EQ(kThingCount, 12);
  for (const std::string& word : words) EXPECT_EQ(word[0], ' ');
  const std::vector<std::string> wide = AllSpacedWords(WorldKind::kWide);
  EXPECT_EQ(wide.size(), words.size() + 3 + 2 * 11);
  EXPECT_EQ(std::set<std::string>(wide.begin(), wide.end()).size(), wide.size());
  for (int w = 0; w < kWordCount; ++w) {
    for (const bool chinese : {false, true}) {
      EXPECT_EQ(WordNamed(WordText(static_cast<Word>(w), chinese)), static_cast<Word>(w));
    }
  }
  EXPECT_EQ(WordNamed("wai"), std::nullopt);
  EXPECT_TRUE(IsThing(Word::kCat) && IsThing(Word::kWhite));
  EXPECT_FALSE(IsThing(Word::kSame) || IsThing(Word::kCode));
}

TEST(Words, LanguageAndNumber) {
  EXPECT_EQ(LanguageOf("wait"), WordLanguage::kEnglish);
  EXPECT_EQ(LanguageOf("等等"), WordLanguage::kChinese);
  EXPECT_EQ(LanguageOf("+"), WordLanguage::kNone);
  EXPECT_EQ(LanguageOf("42"), WordLanguage::kNone);
  EXPECT_EQ(NumberOf("0"), 0);
  EXPECT_EQ(NumberOf("63"), 63);
  for (const char* word : {"", "007", "1234", "-1", "1a", "+"}) EXPECT_EQ(NumberOf(word), -1) << word;
}

TEST(Words, SplitReply) {
  const auto items = SplitReply(" <think> try 1</think><answer>2 3\n</answer><|end|>");
  std::vector<std::string> text;
  for (const ReplyItem& item : items) text.push_back((item.is_marker ? "M:" : "") + std::string(item.text));
  EXPECT_EQ(text, (std::vector<std::string>{"M:<think>", "try", "1", "M:</think>", "M:<answer>", "2", "3",
                                            "M:</answer>", "M:<|end|>"}));
}

TEST(Draw, StableHashNeverChanges) {
  EXPECT_EQ(StableHash(""), 0xf52a15e9a9b5e89bu);  // computed by another program
  EXPECT_EQ(StableHash("pick"), 0x34ea1618b758fa28u);
  EXPECT_EQ(PickHash({{14, 8, 20, 3, 5}, 42, false}), 0x44ac3282f0bcb63cu);
}

TEST(Pick, HashIgnoresOrderAndLanguage) {
  const PickProblem a{{14, 8, 20, 3, 5}, 42, false};
  const PickProblem b{{3, 5, 8, 14, 20}, 42, true};
  EXPECT_EQ(PickHash(a), PickHash(b));
  EXPECT_NE(PickHash(a), PickHash(PickProblem{{14, 8, 20, 3, 5}, 27, false}));
}

TEST(Pick, PromptTextAndBack) {
  const PickProblem english{{14, 8, 20, 3, 5}, 42, false};
  EXPECT_EQ(PromptText(english), "<|begin|><|user|> pick 14 8 20 3 5 sum 42<|assistant|>");
  const PickProblem chinese{{14, 8, 20, 3, 5}, 42, true};
  EXPECT_EQ(PromptText(chinese), "<|begin|><|user|> 选 14 8 20 3 5 和 42<|assistant|>");
  EXPECT_EQ(*ParsePickPrompt(PromptText(english)), english);
  EXPECT_EQ(*ParsePickPrompt("选 14 8 20 3 5 和 42"), chinese);
}

TEST(Pick, ParseRefusesWhatIsNoProblem) {
  for (const char* text : {"", "pick 14 8 20 3 5 sum", "pick 14 8 20 3 5 和 42", "choose 14 8 20 3 5 sum 42",
                           "pick 14 14 20 3 5 sum 42", "pick 14 8 21 3 5 sum 42", "pick 0 8 20 3 5 sum 28",
                           "pick 14 8 20 3 5 sum 63", "pick 1 2 3 4 5 sum 8", "pick 14 8 20 3 5 sum 42 now"}) {
    const Result<PickProblem> problem = ParsePickPrompt(text);
    ASSERT_FALSE(problem.ok()) << text;
    EXPECT_EQ(problem.error().code, ErrorCode::kBadInput);
  }
}

TEST(Pick, SolvingTriple) {
  const PickProblem problem{{14, 8, 20, 3, 5}, 42, false};
  EXPECT_EQ(SolvingTriple(problem), 0);                       // positions 0 1 2: 14 + 8 + 20
  EXPECT_EQ(TripleSum(problem, 9), 28);                       // positions 2 3 4
  EXPECT_EQ(SolvingTriple({{1, 2, 3, 4, 5}, 8, false}), -1);  // 1+2+5 and 1+3+4
  EXPECT_EQ(SolvingTriple({{1, 2, 3, 4, 5}, 60, false}), -1);
}

TEST(Pick, TrainProblemsAreValidAndNotHeldOut) {
  const int n = 20000;
  int chinese = 0;
  std::array<int, 10> position{};
  for (int i = 0; i < n; ++i) {
    const PickProblem problem = TrainProblem(1, static_cast<uint64_t>(i));
    EXPECT_EQ(TrainProblem(1, static_cast<uint64_t>(i)), problem);
    ASSERT_TRUE(ParsePickPrompt(PromptText(problem)).ok()) << PromptText(problem);
    ASSERT_FALSE(IsHeldOut(problem));
    ++position[static_cast<size_t>(SolvingTriple(problem))];
    chinese += problem.chinese;
  }
  ExpectShare(chinese, n, 0.4, "Chinese prompts");
  for (const int count : position) ExpectShare(count, n, 0.1, "position of the solution: blind chance");
  EXPECT_NE(TrainProblem(1, 0), TrainProblem(2, 0));
}

TEST(Pick, HeldOutList) {
  const uint64_t count = HeldOutCount();
  EXPECT_GT(count, 10000u);
  std::set<std::string> seen;
  for (uint64_t i = 0; i < count; ++i) {
    PickProblem problem = HeldOutProblem(i);
    ASSERT_GE(SolvingTriple(problem), 0);
    ASSERT_TRUE(IsHeldOut(problem));
    EXPECT_EQ(problem.chinese, i % 5 == 1 || i % 5 == 3);
    std::sort(problem.nums.begin(), problem.nums.end());
    problem.chinese = false;
    EXPECT_TRUE(seen.insert(PromptText(problem)).second) << "problem " << i << " occurs twice";
  }
  EXPECT_EQ(HeldOutProblem(count), HeldOutProblem(0));
  EXPECT_EQ(PromptText(HeldOutProblem(0)), "<|begin|><|user|> pick 15 12 17 13 18 sum 40<|assistant|>");
}

// ---- corpus ----

TEST(Corpus, IsAPureFunctionOfSeedAndIndex) {
  for (uint64_t i = 0; i < 200; ++i) {
    const Document a = DocumentAt(5, i);
    const Document b = DocumentAt(5, i);
    EXPECT_EQ(a.prompt + a.reply, b.prompt + b.reply);
  }
  EXPECT_NE(DocumentAt(5, 1).prompt, DocumentAt(6, 1).prompt);
  EXPECT_NE(GeneralDocumentAt(5, 1).prompt, GeneralDocumentAt(5, 2).prompt);
}

TEST(Corpus, FirstDocumentsOfSeedOneNeverChange) {
  std::string text;
  for (uint64_t i = 0; i < 1000; ++i) {
    const Document d = DocumentAt(1, i);
    text += d.prompt + d.reply + "\n";
  }
  EXPECT_EQ(StableHash(text), 21082959031969703u);
}

TEST(Corpus, KindsAndLanguagesHaveTheirShares) {
  const int n = 40000;
  std::array<int, kDocumentKinds> kind{};
  int chinese = 0;
  int picks = 0;
  for (int i = 0; i < n; ++i) {
    const Document d = DocumentAt(3, static_cast<uint64_t>(i));
    ++kind[static_cast<size_t>(d.kind)];
    ASSERT_TRUE(d.prompt.ends_with(kAssistantMarker));
    ASSERT_TRUE(d.reply.ends_with(kEndMarker));
    if (d.kind == DocumentKind::kGeneral) continue;
    ++picks;
    chinese += d.problem.chinese;
    ASSERT_EQ(d.prompt, PromptText(d.problem));
    ASSERT_FALSE(IsHeldOut(d.problem));
  }
  constexpr std::array<double, kDocumentKinds> kShare = {0.25, 0.11, 0.23, 0.15, 0.26};
  for (int k = 0; k < kDocumentKinds; ++k) {
    ExpectShare(kind[static_cast<size_t>(k)], n, kShare[static_cast<size_t>(k)],
                DocumentKindName(static_cast<DocumentKind>(k)));
  }
  ExpectShare(chinese, picks, 0.4, "Chinese");
}

TEST(Corpus, EveryWordHasOneLeadingSpaceAndIsKnown) {
  const std::vector<std::string> list = AllSpacedWords();
  const std::set<std::string> known(list.begin(), list.end());
  for (uint64_t i = 0; i < 5000; ++i) {
    const Document d = DocumentAt(4, i);
    const std::string text = d.prompt + d.reply;
    std::string rebuilt;
    for (const ReplyItem& item : SplitReply(text)) {
      const bool tight = item.is_marker && item.text.starts_with("<|");
      rebuilt += (tight ? "" : " ") + std::string(item.text);
      if (!item.is_marker) {
        ASSERT_TRUE(known.contains(" " + std::string(item.text))) << item.text;
      }
    }
    ASSERT_EQ(rebuilt, text);
  }
}

TEST(Corpus, CleanSearchesAreCleanAndSolved) {
  for (uint64_t i = 0; i < 500; ++i) {
    const Document d = CleanSearchAt(1, i);
    EXPECT_FALSE(Contains(d.reply, WordText(Word::kStop, d.problem.chinese)));
    EXPECT_TRUE(Contains(d.reply, WordText(Word::kYes, d.problem.chinese)));
    EXPECT_FALSE(Contains(d.reply, WordText(Word::kTry, !d.problem.chinese)));
  }
}

// ---- general tasks ----

// Solves a general prompt from its words, independently of the generator.
std::string Solve(const std::string& prompt) {
  std::vector<std::string> words;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) words.emplace_back(item.text);
  }
  const auto is = [&](Word word) { return words[0] == WordText(word, false) || words[0] == WordText(word, true); };
  const bool chinese = LanguageOf(words[0]) == WordLanguage::kChinese;
  std::string answer;
  if (is(Word::kAdd)) return " " + std::to_string(std::stoi(words[1]) + std::stoi(words[2]));
  if (is(Word::kSame)) {
    const int d = std::stoi(words[1]) - std::stoi(words[2]);
    if (d == 0) return chinese ? " 对" : " yes";
    if (d > 0) return chinese ? " 大" : " big";
    return chinese ? " 小" : " small";
  }
  if (is(Word::kSort)) {
    std::vector<int> numbers;
    for (size_t i = 1; i < words.size(); ++i) numbers.push_back(std::stoi(words[i]));
    std::sort(numbers.begin(), numbers.end());
    for (const int n : numbers) answer += " " + std::to_string(n);
    return answer;
  }
  for (size_t i = 1; i < words.size(); ++i) {
    for (int w = kFirstThing; w < kWordCount; ++w) {
      if (words[i] == WordText(static_cast<Word>(w), chinese)) {
        answer += " " + std::string(WordText(static_cast<Word>(w), !chinese));
      }
    }
  }
  return answer;
}

TEST(General, AnswersAreRightAndTasksHaveTheirShares) {
  const int n = 20000;
  int add = 0, same = 0, equal = 0, translate = 0, sort = 0;
  std::set<std::string> trained;
  for (int i = 0; i < n; ++i) {
    const Document d = GeneralDocumentAt(1, static_cast<uint64_t>(i));
    ASSERT_EQ(d.reply, Solve(d.prompt) + std::string(kEndMarker)) << d.prompt;
    add += Contains(d.prompt, " add ") || Contains(d.prompt, " 加 ");
    const bool is_same = Contains(d.prompt, " same ") || Contains(d.prompt, " 同 ");
    same += is_same;
    equal += is_same && (d.reply.starts_with(" yes") || d.reply.starts_with(" 对"));
    translate += Contains(d.prompt, " translate ") || Contains(d.prompt, " 翻译 ");
    sort += Contains(d.prompt, " sort ") || Contains(d.prompt, " 排序 ");
    if (!is_same) trained.insert(d.prompt);
  }
  ExpectShare(add, n, 0.2, "add");
  ExpectShare(same, n, 0.4, "same");
  ExpectShare(translate, n, 0.2, "translate");
  ExpectShare(sort, n, 0.2, "sort");
  ExpectShare(equal, same, 0.34, "equal");
  for (uint64_t i = 0; i < 2000; ++i) {
    const GeneralProblem problem = HeldOutGeneralProblem(i);
    ASSERT_EQ(problem.answer, Solve(problem.prompt));
    EXPECT_TRUE(GeneralReplyCorrect(problem, problem.answer + "<|end|>"));
    const bool closed_table = Contains(problem.prompt, "add") || Contains(problem.prompt, "加") ||
                              Contains(problem.prompt, "same") || Contains(problem.prompt, "同");
    if (!closed_table) {
      EXPECT_FALSE(trained.contains(problem.prompt)) << problem.prompt;
    }
  }
}

TEST(General, ExactMatch) {
  const GeneralProblem problem{"<|begin|><|user|> sort 3 1 2<|assistant|>", " 1 2 3"};
  EXPECT_TRUE(GeneralReplyCorrect(problem, " 1 2 3<|end|>"));
  EXPECT_FALSE(GeneralReplyCorrect(problem, " 1 2 3"));  // not ended
  EXPECT_FALSE(GeneralReplyCorrect(problem, " 1 3 2<|end|>"));
  EXPECT_FALSE(GeneralReplyCorrect(problem, " 1 2<|end|>"));
  EXPECT_FALSE(GeneralReplyCorrect(problem, " 1 2 3 4<|end|>"));
  EXPECT_FALSE(GeneralReplyCorrect(problem, "<|end|>"));
  EXPECT_FALSE(GeneralReplyCorrect(problem, ""));
}

// ---- verifier probes ----

TEST(Verifier, ProbesEndInACompleteTryWithTrueArithmetic) {
  for (uint64_t i = 0; i < 600; ++i) {
    for (const bool right : {false, true}) {
      const VerifierProbe probe = VerifierProbeAt(i, right);
      ASSERT_TRUE(IsHeldOut(probe.problem));
      ASSERT_TRUE(probe.text.starts_with(PromptText(probe.problem) + " <think>"));
      const auto items = SplitReply(probe.text);
      ASSERT_GE(items.size(), 9u);
      std::array<std::string_view, 9> w;
      for (size_t j = 0; j < 9; ++j) w[j] = items[items.size() - 9 + j].text;
      const int a = NumberOf(w[0]), b = NumberOf(w[2]), s = NumberOf(w[4]), c = NumberOf(w[6]), t = NumberOf(w[8]);
      EXPECT_EQ(a + b, s);
      EXPECT_EQ(s + c, t);
      EXPECT_EQ(right, t == probe.problem.target);
      const int expected = t == probe.problem.target ? 2 : t > probe.problem.target ? 0 : 1;
      EXPECT_EQ(probe.expected, expected);
      EXPECT_EQ(probe.verdicts[2], probe.problem.chinese ? " 对" : " yes");
      EXPECT_FALSE(Contains(probe.text, probe.verdicts[kYesVerdict])) << "an earlier try solves it: " << probe.text;
      const auto tries = std::count_if(items.begin(), items.end(), [](const ReplyItem& item) {
        return item.text == "try" || item.text == "wait" || item.text == "试" || item.text == "等等";
      });
      EXPECT_EQ(tries, static_cast<long>(i % 3) + 1);
    }
  }
}

}  // namespace
}  // namespace r1
