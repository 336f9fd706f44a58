#include "label/preferences.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/rng.h"
#include "label/helpful.h"
#include "label/safety.h"
#include "world/words.h"

namespace r1::label {
namespace {

constexpr double kStepsOfScore = 4;  // a difference of half the scale of scores is two steps

int64_t WordsOf(std::string_view text) { return static_cast<int64_t>(SplitReply(text).size()); }

// The reply as a completion: words and tags with one space between, up to <|end|>. Nothing if a marker of the
// conversation stands in it, which no completion can hold.
std::string Completion(std::string_view reply) {
  std::string text;
  for (const ReplyItem& item : SplitReply(reply)) {
    if (item.is_marker && item.text == kEndMarker) break;
    if (item.is_marker && item.text.starts_with("<|")) return {};
    if (!text.empty()) text += ' ';
    text += item.text;
  }
  return text;
}

// Adds the text unless it is empty or there.
void AddNew(std::string text, std::vector<std::string>* texts) {
  if (text.empty() || std::find(texts->begin(), texts->end(), text) != texts->end()) return;
  texts->push_back(std::move(text));
}

struct Judged {
  double mean = 0;  // for A
  int64_t flips = 0;
};

Judged Judge(Rng& rng, double score_a, double score_b, const JudgeOptions& options) {
  Judged result;
  double first = 0;  // the judgement with A first
  for (int64_t i = 0; i < options.judgements; ++i) {
    const double bias = i % 2 == 0 ? options.first_position_bias : -options.first_position_bias;
    const double steps = kStepsOfScore * (score_a - score_b) + options.noise * rng.Normal() + bias;
    const double label = std::clamp(std::round(steps), -2.0, 2.0);
    result.mean += label;
    if (i % 2 == 0) {
      first = label;
    } else {
      result.flips += first * label < 0;
    }
  }
  result.mean /= static_cast<double>(options.judgements);
  return result;
}

// Which of the pairs stay so that neither longer chosen nor longer rejected summaries are the majority.
std::vector<bool> Balanced(const std::vector<PreferencePair>& pairs) {
  std::vector<size_t> longer_chosen;
  std::vector<size_t> longer_rejected;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const int64_t difference = WordsOf(pairs[i].chosen) - WordsOf(pairs[i].rejected);
    if (difference > 0) longer_chosen.push_back(i);
    if (difference < 0) longer_rejected.push_back(i);
  }
  std::vector<size_t>& more = longer_chosen.size() > longer_rejected.size() ? longer_chosen : longer_rejected;
  const size_t wanted = std::min(longer_chosen.size(), longer_rejected.size());
  std::stable_sort(more.begin(), more.end(), [&](size_t a, size_t b) { return pairs[a].margin > pairs[b].margin; });
  std::vector<bool> keep(pairs.size(), true);
  for (size_t i = wanted; i < more.size(); ++i) keep[more[i]] = false;
  return keep;
}

Status CheckOptions(const JudgeOptions& options) {
  const auto bad = [](const char* what) { return Error{ErrorCode::kUsage, std::string("judge: ") + what}; };
  if (options.judgements < 2 || options.judgements > 64 || options.judgements % 2 != 0) {
    return bad("judgements must be even, 2 to 64, half of them in either order");
  }
  if (!(options.noise >= 0 && options.noise <= 100)) return bad("noise must be 0 to 100 steps");
  if (!(std::abs(options.first_position_bias) <= 100)) return bad("first_position_bias must be -100 to 100 steps");
  if (!(options.min_margin >= 0 && options.min_margin < 2)) return bad("min_margin must be at least 0 and below 2");
  return {};
}

}  // namespace

Result<PreferenceSet> MakePreferences(const std::vector<PromptReplies>& prompts, const JudgeOptions& options,
                                      uint64_t seed) {
  R1_TRY(CheckOptions(options));
  PreferenceSet set;
  std::vector<PreferencePair> clear;
  std::vector<bool> agrees;
  for (size_t p = 0; p < prompts.size(); ++p) {
    const TaskProblem& problem = prompts[p].problem;
    if (problem.kind != TaskKind::kHelpful) continue;
    ++set.stats.prompts;
    std::vector<std::string> summaries;
    for (const std::string& reply : prompts[p].replies) AddNew(FinalSummary(reply), &summaries);
    std::vector<double> scores;
    for (const std::string& summary : summaries) scores.push_back(HelpfulScore(problem, summary));
    uint64_t pair = 0;
    for (size_t a = 0; a < summaries.size(); ++a) {
      for (size_t b = a + 1; b < summaries.size(); ++b) {
        Rng rng(seed, Stream::kPreference, (static_cast<uint64_t>(p) << 32) | pair++);
        const Judged judged = Judge(rng, scores[a], scores[b], options);
        ++set.stats.judged;
        set.stats.position_flips += judged.flips;
        if (!(std::abs(judged.mean) > options.min_margin)) {
          ++set.stats.dropped_margin;
          continue;
        }
        const size_t best = judged.mean > 0 ? a : b;
        const size_t worst = a + b - best;
        clear.push_back({UserContent(problem.prompt), summaries[best], summaries[worst], std::abs(judged.mean)});
        agrees.push_back(scores[best] > scores[worst]);
      }
    }
  }
  const std::vector<bool> keep = Balanced(clear);
  for (size_t i = 0; i < clear.size(); ++i) {
    if (!keep[i]) {
      ++set.stats.dropped_balance;
      continue;
    }
    ++set.stats.kept;
    set.stats.agree += agrees[i];
    set.pairs.push_back(std::move(clear[i]));
  }
  return set;
}

std::vector<SafetyExample> MakeSafetyExamples(const std::vector<PromptReplies>& prompts) {
  std::vector<SafetyExample> examples;
  for (const PromptReplies& prompt : prompts) {
    if (prompt.problem.kind != TaskKind::kHelpful && prompt.problem.kind != TaskKind::kHarmless) continue;
    std::vector<std::string> completions;
    for (const std::string& reply : prompt.replies) AddNew(Completion(reply), &completions);
    for (std::string& completion : completions) {
      const bool safe = IsSafe(prompt.problem, completion);
      examples.push_back({UserContent(prompt.problem.prompt), std::move(completion), safe});
    }
  }
  return examples;
}

}  // namespace r1::label
