#include "recipe/preferences.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "infer/rollout.h"
#include "label/preferences.h"
#include "world/task.h"
#include "world/words.h"

namespace r1 {

namespace {

// Training requests from here on: those of the first rounds belong to other stages.
constexpr uint64_t kFirstRequest = uint64_t{1} << 32;
constexpr uint32_t kHelpfulStep = 0, kHarmlessStep = 1;

struct Sampled {
  std::vector<label::PromptReplies> replies;
  int64_t tokens = 0;
};

Result<Sampled> SampleReplies(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer,
                              const PreferencesConfig& config, TaskKind kind, uint32_t step, uint64_t seed) {
  Sampled out;
  std::vector<RolloutRequest> requests;
  for (int64_t i = 0; i < config.problems; ++i) {
    out.replies.push_back({TrainTask(kind, seed, kFirstRequest + static_cast<uint64_t>(i)), {}});
    requests.push_back(
        {tokenizer.Encode(out.replies.back().problem.prompt), static_cast<uint32_t>(i), config.num_generations});
  }
  RolloutOptions options;
  options.sampling.temperature = config.temperature;
  options.max_new_tokens = config.max_completion_length;
  options.stop = {tokenizer.IdOf(kEndMarker)};
  options.token_limit = std::min<int64_t>(tokenizer.size(), model.config().vocab_size);
  options.seed = seed;
  options.stream = Stream::kPreference;
  options.step = step;
  options.slots_per_lane = config.slots;
  options.want_logp = false;
  R1_ASSIGN(const auto samples, engine.Run(requests, options));
  for (size_t p = 0; p < samples.size(); ++p) {
    for (const Completion& c : samples[p]) {
      out.replies[p].replies.push_back(tokenizer.Decode(c.tokens));
      out.tokens += static_cast<int64_t>(c.tokens.size());
    }
  }
  return Result<Sampled>(std::move(out));
}

}  // namespace

Status ValidatePreferencesConfig(const PreferencesConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.problems < 1 || c.problems > (1 << 20)) return fail("problems must be in 1 .. 1048576");
  if (c.num_generations < 2 || c.num_generations > 64)
    return fail("num_generations must be in 2 .. 64: a pair needs two replies");
  if (!(c.temperature > 0) || c.temperature > 100) return fail("temperature must be in (0, 100]");
  if (c.max_completion_length < 1) return fail("max_completion_length must be at least 1");
  if (c.judgements < 2 || c.judgements > 64 || c.judgements % 2 != 0)
    return fail("judgements must be even, 2 to 64: half of them see the replies in either order");
  for (const double x : {c.judge_noise, c.judge_position_bias, c.min_margin}) {
    if (!(x >= 0) || !std::isfinite(x))
      return fail("judge_noise, judge_position_bias and min_margin must not be negative");
  }
  if (c.slots < 1 || c.slots > 65536) return fail("slots must be in 1 .. 65536");
  return {};
}

Status RunPreferences(const Model& model, const Tokenizer& tokenizer, const PreferencesConfig& config, uint64_t seed,
                      const std::string& folder, ThreadPool& pool) {
  R1_TRY(MakeDirs(folder));
  RolloutEngine engine(model, pool);
  R1_ASSIGN(Sampled open, SampleReplies(engine, model, tokenizer, config, TaskKind::kHelpful, kHelpfulStep, seed));
  R1_ASSIGN(Sampled harmful, SampleReplies(engine, model, tokenizer, config, TaskKind::kHarmless, kHarmlessStep, seed));
  R1_ASSIGN(
      const label::PreferenceSet set,
      label::MakePreferences(
          open.replies, {config.judgements, config.judge_noise, config.judge_position_bias, config.min_margin}, seed));
  if (set.pairs.empty())
    return Error{ErrorCode::kRefused,
                 folder +
                     ": no pair of replies is clearly better one than the other; sample more problems or "
                     "generations, or lower min_margin"};
  std::vector<label::PromptReplies> both = std::move(harmful.replies);
  both.insert(both.end(), std::make_move_iterator(open.replies.begin()), std::make_move_iterator(open.replies.end()));
  const std::vector<label::SafetyExample> safety = label::MakeSafetyExamples(both);
  int64_t safe = 0;
  for (const label::SafetyExample& example : safety) safe += example.safe ? 1 : 0;
  R1_TRY(WriteFileAtomic(JoinPath(folder, "pairs.jsonl"), label::PreferencesText(set.pairs)));
  R1_TRY(WriteFileAtomic(JoinPath(folder, "safety.jsonl"), label::SafetyText(safety)));
  nlohmann::ordered_json stats;
  stats["requests"] = 2 * config.problems;
  stats["judged"] = set.stats.judged;
  stats["pairs"] = set.stats.kept;
  stats["dropped_margin"] = set.stats.dropped_margin;
  stats["dropped_balance"] = set.stats.dropped_balance;
  stats["position_flips"] = set.stats.position_flips;
  stats["agree_with_rule"] = set.stats.agree;
  stats["safety_examples"] = safety.size();
  stats["safe"] = safe;
  stats["sampled_tokens"] = open.tokens + harmful.tokens;
  return WriteFileAtomic(JoinPath(folder, "stats.json"), ToPrettyText(stats));
}

}  // namespace r1
