#include "train/sft.h"

#include <algorithm>

#include "base/check.h"
#include "data/shuffle.h"
#include "train/stage_loop.h"

namespace r1 {

namespace {

Status CheckTeacher(const Model& model, const Model* teacher, const std::string& title) {
  const auto refuse = [&](const std::string& what) -> Status {
    return Error{ErrorCode::kRefused, title + ": " + what};
  };
  if (teacher == nullptr) return refuse("distill_alpha is above 0, but no teacher is given");
  if (teacher->config().num_labels != 0) return refuse("the teacher is a reward model, not a language model");
  const int64_t student = model.config().vocab_size, other = teacher->config().vocab_size;
  if (student != other)
    return refuse("the teacher has " + std::to_string(other) + " tokens and the student " + std::to_string(student) +
                  "; logits can only be distilled within one vocabulary: distil its texts instead (distill_alpha 0)");
  return {};
}

Status CheckDocuments(const std::vector<TokenDocument>& documents, const ModelConfig& c, int64_t positions,
                      const std::string& title) {
  if (documents.empty()) return Error{ErrorCode::kBadInput, title + ": there are no documents to train on"};
  for (size_t i = 0; i < documents.size(); ++i) {
    const auto fail = [&](const std::string& what) -> Status {
      return Error{ErrorCode::kBadInput, title + ": document " + std::to_string(i + 1) + " " + what};
    };
    const int64_t n = static_cast<int64_t>(documents[i].tokens.size());
    if (documents[i].loss_from < 1 || documents[i].loss_from >= n) return fail("has no tokens to learn");
    if (n - 1 > positions)
      return fail("has " + std::to_string(n) + " tokens; the model has " + std::to_string(positions) +
                  " positions: shorten it");
    for (int32_t t : documents[i].tokens) {
      if (t < 0 || t >= c.vocab_size)
        return fail("has token " + std::to_string(t) + ", outside the model's vocabulary of " +
                    std::to_string(c.vocab_size) + ": it is of another tokenizer");
    }
  }
  return {};
}

// The documents of the stream's positions from cursor on, until they hold tokens_per_step tokens or the stream ends.
CorpusBatch BatchAt(const std::vector<TokenDocument>& documents, const std::vector<uint32_t>& stream, uint64_t cursor,
                    int64_t tokens_per_step) {
  CorpusBatch batch;
  while (batch.tokens < tokens_per_step && cursor < stream.size()) {
    batch.documents.push_back(documents[stream[cursor++]]);
    batch.tokens += static_cast<int64_t>(batch.documents.back().tokens.size());
  }
  batch.next_cursor = cursor;
  return batch;
}

}  // namespace

Status ValidateSftConfig(const SftConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  R1_TRY(ValidateLoraConfig(c.lora, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.num_train_epochs < 1 || c.num_train_epochs > 1000) return fail("num_train_epochs must be in 1 .. 1000");
  if (c.tokens_per_step < 32 || c.tokens_per_step > (int64_t{1} << 26))
    return fail("tokens_per_step must be in 32 .. 67108864");
  if (!(c.mtp_loss_weight >= 0 && c.mtp_loss_weight <= 10)) return fail("mtp_loss_weight must be in 0 .. 10");
  if (!(c.balance_loss_weight >= 0 && c.balance_loss_weight <= 10))
    return fail("balance_loss_weight must be in 0 .. 10");
  if (!(c.distill_alpha >= 0 && c.distill_alpha <= 1)) return fail("distill_alpha must be in 0 .. 1");
  if (!(c.distill_temperature >= 0.1 && c.distill_temperature <= 100))
    return fail("distill_temperature must be in 0.1 .. 100");
  if (c.save_steps < 0 || c.save_total_limit < 0) return fail("save_steps and save_total_limit must not be negative");
  return {};
}

Status RunSft(Model& model, const ModelText& text, const std::vector<TokenDocument>& documents, const SftConfig& config,
              uint64_t seed, const std::string& folder, const std::string& config_hash, ThreadPool& pool,
              const std::string& title, const Model* teacher) {
  R1_CHECK(config.lora.on() == (model.adapter() != nullptr), "sft: the adapter of the settings is not in the model");
  int64_t positions = model.config().max_position_embeddings;
  Distillation distillation;
  if (config.distill_alpha > 0) {
    R1_TRY(CheckTeacher(model, teacher, title));
    positions = std::min(positions, teacher->config().max_position_embeddings);
    distillation = {{teacher, static_cast<float>(config.distill_temperature)}, config.distill_alpha};
  }
  R1_TRY(CheckDocuments(documents, model.config(), positions, title));
  const std::vector<uint32_t> stream =
      ShuffledStream(seed, static_cast<uint32_t>(documents.size()), config.num_train_epochs);
  int64_t max_steps = 0;
  for (uint64_t cursor = 0; cursor < stream.size(); ++max_steps)
    cursor = BatchAt(documents, stream, cursor, config.tokens_per_step).next_cursor;
  Trainer trainer(model, config.optimizer, pool);
  PassOptions options;
  options.mtp_weight = model.config().num_nextn_predict_layers > 0 ? static_cast<float>(config.mtp_loss_weight) : 0.0f;
  options.balance_alpha = static_cast<float>(config.balance_loss_weight);
  const StageLoop loop{"sft",    title, seed, config_hash, {folder, config.save_steps, config.save_total_limit},
                       max_steps};
  return RunStageLoop(loop, trainer, text, [&](const TrainState& state) {
    const CorpusBatch batch = BatchAt(documents, stream, state.cursor, config.tokens_per_step);
    StageStep step = TokenStep(trainer, state, max_steps, batch, options, distillation);
    step.metrics.emplace_back("epoch", static_cast<double>(batch.next_cursor) / static_cast<double>(documents.size()));
    return step;
  });
}

}  // namespace r1
