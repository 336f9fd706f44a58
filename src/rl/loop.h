// The reinforcement-learning loop: rollout -> grade -> advantage -> update -> metrics -> checkpoint. One set of weights
// in one process samples and learns; the trainer's log-probabilities are computed anew over packed sequences and
// compared with the sampler's bit by bit.
#pragma once

#include <string>

#include "base/threads.h"
#include "model/model.h"
#include "rl/config.h"
#include "text/tokenizer.h"

namespace r1 {

// Trains model (with weights loaded and packed by the caller) in folder; resumes from its newest checkpoint. On Ctrl-C
// it saves and returns kInterrupted. Writes metrics.jsonl, completions/step_N.jsonl and checkpoint-N.
Status RunRl(Model& model, const Tokenizer& tokenizer, const RlConfig& config, uint64_t seed, const std::string& folder,
             const std::string& config_hash, ThreadPool& pool, const std::string& title);

}  // namespace r1
