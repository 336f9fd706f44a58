#include "world/general.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "world/draw.h"
#include "world/pick.h"
#include "world/words.h"
#include "world/write.h"

namespace r1 {
namespace {

constexpr uint64_t kGeneralSeed = 20250123;  // of the general evaluation list; part of every published result
constexpr size_t kMaxGeneralWords = 64;

GeneralProblem Add(Rng& rng, bool chinese) {
  const int a = static_cast<int>(rng.Range(1, 40));
  const int b = static_cast<int>(rng.Range(1, 20));
  return {UserPrompt(Writer().Put(WordText(Word::kAdd, chinese)).Put(a).Put(b).Take()), Writer().Put(a + b).Take()};
}

GeneralProblem Same(Rng& rng, bool chinese) {
  const int a = static_cast<int>(rng.Range(0, kMaxNumber));
  int b = a;
  if (!rng.Chance(0.34)) {
    constexpr std::array<int, 5> kSteps = {1, 2, 3, 5, 10};
    do {
      const int step = kSteps[rng.Below(kSteps.size())];
      b = rng.Below(2) == 0 ? a + step : a - step;
    } while (b < 0 || b > kMaxNumber);
  }
  return {UserPrompt(Writer().Put(WordText(Word::kSame, chinese)).Put(a).Put(b).Take()),
          Writer().Put(WordText(Verdict(a, b), chinese)).Take()};
}

GeneralProblem Translate(Rng& rng, bool chinese) {
  const int count = static_cast<int>(rng.Range(2, 5));
  Writer from;
  Writer to;
  from.Put(WordText(Word::kTranslate, chinese));
  for (int i = 0; i < count; ++i) {
    const auto word = static_cast<Word>(kFirstThing + static_cast<int>(rng.Below(kThingCount)));
    from.Put(WordText(word, chinese));
    to.Put(WordText(word, !chinese));
  }
  return {UserPrompt(from.Take()), to.Take()};
}

GeneralProblem Sort(Rng& rng, bool chinese) {
  const int count = static_cast<int>(rng.Range(3, 5));
  std::vector<int> numbers;
  while (static_cast<int>(numbers.size()) < count) {
    const int n = static_cast<int>(rng.Range(0, 60));
    if (std::find(numbers.begin(), numbers.end(), n) == numbers.end()) numbers.push_back(n);
  }
  Writer from;
  from.Put(WordText(Word::kSort, chinese));
  for (const int n : numbers) from.Put(n);
  std::sort(numbers.begin(), numbers.end());
  Writer to;
  for (const int n : numbers) to.Put(n);
  return {UserPrompt(from.Take()), to.Take()};
}

}  // namespace

GeneralProblem DrawGeneralProblem(Rng& rng, bool held_out) {
  const double u = rng.Uniform();
  const bool chinese = rng.Chance(kChineseShare);
  if (u < 0.2) return Add(rng, chinese);
  if (u < 0.6) return Same(rng, chinese);
  for (;;) {
    GeneralProblem problem = u < 0.8 ? Translate(rng, chinese) : Sort(rng, chinese);
    if ((StableHash(problem.prompt) % kHeldOutModulus == 0) == held_out) return problem;
  }
}

GeneralProblem HeldOutGeneralProblem(uint64_t index) {
  Rng rng(kGeneralSeed, Stream::kEval, index);
  return DrawGeneralProblem(rng, true);
}

Result<GeneralProblem> ParseGeneralPrompt(std::string_view prompt) {
  const auto bad = [&](const char* what) {
    return Error{ErrorCode::kBadInput, std::string("not a general question: ") + what + ": " + Quote(prompt)};
  };
  std::vector<std::string_view> words;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) words.push_back(item.text);
  }
  if (words.empty() || words.size() > kMaxGeneralWords) return bad("one word and up to 63 operands wanted");
  const std::optional<Word> task = WordNamed(words[0]);
  const bool chinese = LanguageOf(words[0]) == WordLanguage::kChinese;
  Writer question;
  for (const std::string_view word : words) question.Put(word);
  Writer answer;
  if (task == Word::kTranslate) {
    if (words.size() < 2) return bad("nothing to translate");
    for (size_t i = 1; i < words.size(); ++i) {
      const std::optional<Word> thing = WordNamed(words[i]);
      if (!thing || !IsThing(*thing) || words[i] != WordText(*thing, chinese)) return bad("not a thing to translate");
      answer.Put(WordText(*thing, !chinese));
    }
    return GeneralProblem{UserPrompt(question.Take()), answer.Take()};
  }
  std::vector<int> numbers;
  for (size_t i = 1; i < words.size(); ++i) {
    numbers.push_back(NumberOf(words[i]));
    if (numbers.back() < 0 || numbers.back() > kMaxNumber) return bad("an operand is not in 0..63");
  }
  if (task == Word::kSort && !numbers.empty()) {
    std::sort(numbers.begin(), numbers.end());
    for (const int n : numbers) answer.Put(n);
  } else if (task == Word::kAdd && numbers.size() == 2) {
    answer.Put(numbers[0] + numbers[1]);
  } else if (task == Word::kSame && numbers.size() == 2) {
    answer.Put(WordText(Verdict(numbers[0], numbers[1]), chinese));
  } else {
    return bad("it does not read add a b, same a b, translate w… or sort n…");
  }
  return GeneralProblem{UserPrompt(question.Take()), answer.Take()};
}

bool GeneralReplyCorrect(const GeneralProblem& problem, std::string_view reply) {
  std::vector<ReplyItem> got = SplitReply(reply);
  const std::vector<ReplyItem> want = SplitReply(problem.answer);
  if (got.empty() || got.back().text != kEndMarker) return false;
  got.pop_back();
  return std::equal(got.begin(), got.end(), want.begin(), want.end(),
                    [](const ReplyItem& a, const ReplyItem& b) { return a.text == b.text; });
}

}  // namespace r1
