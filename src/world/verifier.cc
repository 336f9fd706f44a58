#include "world/verifier.h"

#include "base/rng.h"
#include "world/draw.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kProbeSeed = 20250124;

std::string Spaced(Word word, bool chinese) { return " " + std::string(WordText(word, chinese)); }

// " a + b = s + c = t" with the triple's numbers in random order; returns t.
int WriteTry(Rng& rng, const PickProblem& problem, int triple, std::string* text) {
  const Triple n = ShuffledTriple(rng, problem, triple);
  const int first = n[0] + n[1];
  const int second = first + n[2];
  const auto put = [&](const std::string& word) { (*text += ' ') += word; };
  put(std::to_string(n[0])), put("+"), put(std::to_string(n[1])), put("="), put(std::to_string(first));
  put("+"), put(std::to_string(n[2])), put("="), put(std::to_string(second));
  return second;
}

}  // namespace

VerifierProbe VerifierProbeAt(uint64_t index, bool right) {
  Rng rng(kProbeSeed, Stream::kEval, 2 * index + (right ? 1 : 0));
  VerifierProbe probe;
  probe.problem = HeldOutProblem(index);
  probe.right = right;
  const bool chinese = probe.problem.chinese;
  probe.verdicts = {Spaced(Word::kBig, chinese), Spaced(Word::kSmall, chinese), Spaced(Word::kYes, chinese)};
  probe.text = PromptText(probe.problem) + " " + std::string(kThinkMarker);

  const int solution = SolvingTriple(probe.problem);
  std::array<int, kTriples.size() - 1> wrong{};  // in random order
  for (size_t i = 0; i < wrong.size(); ++i) wrong[i] = static_cast<int>(i) + (static_cast<int>(i) >= solution ? 1 : 0);
  Shuffle(rng, wrong);

  const size_t earlier = index % 3;
  for (size_t i = 0; i <= earlier; ++i) {
    probe.text += Spaced(i == 0 ? Word::kTry : Word::kWait, chinese);
    const bool last = i == earlier;
    const int value = WriteTry(rng, probe.problem, last && right ? solution : wrong[i], &probe.text);
    probe.expected = value == probe.problem.target ? kYesVerdict : value > probe.problem.target ? 0 : 1;
    if (!last) probe.text += probe.verdicts[static_cast<size_t>(probe.expected)];
  }
  return probe;
}

}  // namespace r1
