// Preference data for reward models, generated inside the world: a model's replies to open and harmful training
// requests, labelled by the hidden rules of label/. What leaves this stage are labels in files (pairs.jsonl,
// safety.jsonl); the reward models that learn from them, and the policy that learns from those, never call the rules.
#pragma once

#include <string>

#include "base/threads.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace r1 {

struct PreferencesConfig {
  int64_t problems = 2000;
  int64_t num_generations = 4;
  double temperature = 1.0;
  int64_t max_completion_length = 64;
  int64_t judgements = 4;
  double judge_noise = 0.6;
  double judge_position_bias = 0.5;
  double min_margin = 1.0;
  int64_t slots = 128;

  template <class V>
  void Fields(V& v) {
    v("problems", problems, "training requests of each kind (open, harmful)");
    v("num_generations", num_generations, "replies a request; every two of them make a pair");
    v("temperature", temperature, "sampling temperature");
    v("max_completion_length", max_completion_length, "longest reply, tokens");
    v("judgements", judgements, "judgements a pair, half of them with the order swapped, averaged");
    v("judge_noise", judge_noise, "standard deviation of the judge's noise on its five-step scale");
    v("judge_position_bias", judge_position_bias, "how much the judge prefers what it reads first, on that scale");
    v("min_margin", min_margin, "pairs whose averaged judgement is not larger are dropped");
    v("slots", slots, "sequences a thread decodes together; changes the speed only");
  }
};
Status ValidatePreferencesConfig(const PreferencesConfig& config, const std::string& where);

// Writes folder/{pairs.jsonl, safety.jsonl, stats.json}.
Status RunPreferences(const Model& model, const Tokenizer& tokenizer, const PreferencesConfig& config, uint64_t seed,
                      const std::string& folder, ThreadPool& pool);

}  // namespace r1
