// Base training on the built-in world's corpus: next-token loss on replies, plus the prediction module's loss and the
// balance loss.
#pragma once

#include <string>

#include "base/threads.h"
#include "data/corpus_stream.h"
#include "text/tokenizer.h"
#include "train/config.h"
#include "train/run_files.h"

namespace r1 {

struct PretrainConfig {
  OptimizerConfig optimizer;
  int64_t max_steps = 3200;
  int64_t tokens_per_step = 2048;
  double mtp_loss_weight = 0.3;
  double balance_loss_weight = 1e-4;
  int64_t save_steps = 400;
  int64_t save_total_limit = 2;

  template <class V>
  void Fields(V& v) {
    optimizer.Fields(v);
    v("max_steps", max_steps, "optimizer steps");
    v("tokens_per_step", tokens_per_step, "tokens of a step; whole documents until there are as many");
    v("mtp_loss_weight", mtp_loss_weight, "weight of the multi-token prediction loss, where the model has a module");
    v("balance_loss_weight", balance_loss_weight, "weight of the sequence-wise expert balance loss");
    v("save_steps", save_steps, "steps between checkpoints; 0: only the last");
    v("save_total_limit", save_total_limit, "checkpoints kept; 0: all");
  }
};
Status ValidatePretrainConfig(const PretrainConfig& config, const std::string& where);

// Trains model (initialised by the caller) on the corpus of these odds in folder; resumes from its newest checkpoint.
// On Ctrl-C it saves and returns kInterrupted. title names the progress line.
Status RunPretrain(Model& model, const Tokenizer& tokenizer, const CorpusOdds& odds, const PretrainConfig& config,
                   uint64_t seed, const std::string& folder, const std::string& config_hash, ThreadPool& pool,
                   const std::string& title);

}  // namespace r1
