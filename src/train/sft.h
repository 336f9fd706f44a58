// Supervised fine-tuning on documents with a prompt and a reply: next-token loss on the replies, epoch by epoch in a
// shuffled order, plus the losses of the prediction module and of expert balance as in pretraining. With a teacher, a
// share of the loss is taken on its distributions instead (logit distillation, Hinton 2015).
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "data/corpus_stream.h"
#include "data/model_text.h"
#include "model/lora.h"
#include "train/config.h"
#include "train/run_files.h"

namespace r1 {

struct SftConfig {
  OptimizerConfig optimizer = SftOptimizer();
  LoraConfig lora;
  int64_t num_train_epochs = 3;
  int64_t tokens_per_step = 2048;
  double mtp_loss_weight = 0.3;
  double balance_loss_weight = 1e-4;
  double distill_alpha = 0;
  double distill_temperature = 2;
  int64_t save_steps = 100;
  int64_t save_total_limit = 2;

  template <class V>
  void Fields(V& v) {
    optimizer.Fields(v);
    lora.Fields(v);
    v("num_train_epochs", num_train_epochs, "times every document is read");
    v("tokens_per_step", tokens_per_step, "tokens of a step; whole documents until there are as many");
    v("mtp_loss_weight", mtp_loss_weight, "weight of the multi-token prediction loss, where the model has a module");
    v("balance_loss_weight", balance_loss_weight, "weight of the sequence-wise expert balance loss");
    v("distill_alpha", distill_alpha, "share of the loss on the teacher's distributions; 0: text only");
    v("distill_temperature", distill_temperature, "softening of both distributions in that loss");
    v("save_steps", save_steps, "steps between checkpoints; 0: only the last");
    v("save_total_limit", save_total_limit, "checkpoints kept; 0: all");
  }
  // AdamW for short runs on a trained model.
  static OptimizerConfig SftOptimizer() {
    OptimizerConfig c;
    c.learning_rate = 5e-4;
    c.warmup_steps = 10;
    c.weight_decay = 0.05;
    return c;
  }
};
Status ValidateSftConfig(const SftConfig& config, const std::string& where);

// teacher: needed if distill_alpha is above 0; of the student's vocabulary (that it is of the same tokenizer the caller
// checks).
// Trains model (loaded by the caller, who also adds the adapter of config.lora) in folder; resumes from its newest
// checkpoint. Documents that the model has no room for are refused. On Ctrl-C it saves and returns kInterrupted. title
// names the progress line.
Status RunSft(Model& model, const ModelText& text, const std::vector<TokenDocument>& documents, const SftConfig& config,
              uint64_t seed, const std::string& folder, const std::string& config_hash, ThreadPool& pool,
              const std::string& title, const Model* teacher = nullptr);

}  // namespace r1
