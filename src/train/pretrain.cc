#include "train/pretrain.h"

#include "data/corpus_stream.h"
#include "train/stage_loop.h"

namespace r1 {

Status ValidatePretrainConfig(const PretrainConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.max_steps < 1) return fail("max_steps must be at least 1");
  if (c.tokens_per_step < 32 || c.tokens_per_step > (int64_t{1} << 26))
    return fail("tokens_per_step must be in 32 .. 67108864");
  if (!(c.mtp_loss_weight >= 0 && c.mtp_loss_weight <= 10)) return fail("mtp_loss_weight must be in 0 .. 10");
  if (!(c.balance_loss_weight >= 0 && c.balance_loss_weight <= 10))
    return fail("balance_loss_weight must be in 0 .. 10");
  if (c.save_steps < 0 || c.save_total_limit < 0) return fail("save_steps and save_total_limit must not be negative");
  return {};
}

Status RunPretrain(Model& model, const Tokenizer& tokenizer, const CorpusOdds& odds, const PretrainConfig& config,
                   uint64_t seed, const std::string& folder, const std::string& config_hash, ThreadPool& pool,
                   const std::string& title) {
  Trainer trainer(model, config.optimizer, pool);
  PassOptions options;
  options.mtp_weight = model.config().num_nextn_predict_layers > 0 ? static_cast<float>(config.mtp_loss_weight) : 0.0f;
  options.balance_alpha = static_cast<float>(config.balance_loss_weight);
  const StageLoop loop{"pretrain",      title, seed, config_hash, {folder, config.save_steps, config.save_total_limit},
                       config.max_steps};
  return RunStageLoop(loop, trainer, tokenizer, [&](const TrainState& state) {
    const CorpusBatch batch = CorpusBatchAt(tokenizer, seed, state.cursor, config.tokens_per_step, odds);
    return TokenStep(trainer, state, config.max_steps, batch, options);
  });
}

}  // namespace r1
