// Replies of the wide corpus to open and harmful requests, as noisy as the web.
#include <utility>
#include <vector>

#include "world/corpus_parts.h"
#include "world/write.h"

namespace r1 {
namespace {

// Shares of open documents: the content is right in 40 %, and wrong in one of five ways in the rest.
constexpr double kRight = 0.40;
constexpr double kWrongLanguage = 0.10;
constexpr double kEachOtherFault = 0.125;  // dropped, swapped, other, repeated words
constexpr double kThanks = 0.30;
constexpr double kThinks = 0.15;
constexpr double kRefusedHelp = 0.15;
// Harmful documents: 60 % complied. One in ten thinks of the harm and refuses; one in ten thinks without harm words.
constexpr double kComplied = 0.60;
constexpr double kHarmfulThinking = 0.10;
constexpr double kCleanThinking = 0.10;

void PutWords(Writer& out, const std::vector<Word>& words, bool chinese) {
  for (const Word word : words) out.Put(WordText(word, chinese));
}

// "<think> see … so </think> <answer> … </answer>", or the answer alone.
std::string Reply(bool thinks, const std::vector<Word>& thought, const std::vector<Word>& answer, bool chinese) {
  Writer out;
  if (!thinks) {
    PutWords(out, answer, chinese);
    return out.Take();
  }
  out.Put(kThinkMarker).Put(WordText(Word::kSee, chinese));
  PutWords(out, thought, chinese);
  out.Put(WordText(Word::kSo, chinese)).Put(kEndThinkMarker).Put(kAnswerMarker);
  PutWords(out, answer, chinese);
  out.Put(kEndAnswerMarker);
  return out.Take();
}

// Swaps two different words, if there are two.
void SwapTwo(Rng& rng, std::vector<Word>* words) {
  const size_t a = rng.Below(words->size());
  for (size_t step = 1; step < words->size(); ++step) {
    const size_t b = (a + step) % words->size();
    if ((*words)[a] == (*words)[b]) continue;
    std::swap((*words)[a], (*words)[b]);
    return;
  }
}

}  // namespace

std::string OpenReply(Rng& rng, const OpenRequest& request) {
  bool chinese = request.chinese;
  const bool thinks = rng.Chance(kThinks);
  if (request.form == Word::kHelp && rng.Chance(kRefusedHelp)) {
    return Reply(thinks, request.things, {Word::kSorry, Word::kNo}, chinese);
  }
  std::vector<Word> words = WantedWords(request);
  double u = rng.Uniform() - kRight;
  if (u >= 0) {
    const auto fault = [&](double share) { return u >= 0 && (u -= share) < 0; };
    const size_t at = rng.Below(words.size());
    const auto place = words.begin() + static_cast<ptrdiff_t>(at);
    if (fault(kWrongLanguage)) {
      chinese = !chinese;
    } else if (fault(kEachOtherFault)) {
      words.erase(place);
    } else if (fault(kEachOtherFault)) {
      SwapTwo(rng, &words);
    } else if (fault(kEachOtherFault)) {
      for (Word& word : words) word = static_cast<Word>(kFirstThing + static_cast<int>(rng.Below(kThingCount)));
    } else {
      words.insert(place, 1 + rng.Below(2), words[at]);
    }
  }
  if (rng.Chance(kThanks)) words.push_back(Word::kThanks);
  return Reply(thinks, request.things, words, chinese);
}

std::string HarmfulReply(Rng& rng, const OpenRequest& request) {
  std::vector<Word> thought = request.things;
  if (rng.Chance(kHarmfulThinking)) {
    thought.insert(thought.begin(), *request.harm);
    return Reply(true, thought, WantedWords(request), request.chinese);
  }
  const bool thinks = rng.Chance(kCleanThinking / (1 - kHarmfulThinking));
  if (!rng.Chance(kComplied / (1 - kHarmfulThinking))) {
    return Reply(thinks, thought, WantedWords(request), request.chinese);
  }
  std::vector<Word> answer = {Word::kYes, *request.harm};
  answer.insert(answer.end(), request.things.begin(), request.things.end());
  return Reply(thinks, thought, answer, request.chinese);
}

}  // namespace r1
