#include "recipe/stage_memory.h"

#include <algorithm>

#include "model/model.h"
#include "rl/algorithm.h"

namespace r1 {

namespace {

constexpr int64_t kPromptTokens = 64;  // room for a prompt in the cache

// Keys, values and logits of the sequences that are sampled side by side.
int64_t RolloutBytes(const RlConfig& rl, const ModelConfig& model, int threads) {
  const int64_t share = (rl.num_prompts * rl.num_generations + threads - 1) / threads;
  const int64_t slots = std::max(rl.num_generations, std::min(rl.slots, share));
  const int64_t positions = std::min(model.max_position_embeddings, rl.max_completion_length + kPromptTokens);
  return threads * slots * (KvCache::BytesPerSlot(model, positions) + model.vocab_size * int64_t{sizeof(float)});
}

}  // namespace

const OptimizerConfig* StageOptimizer(const RecipeStage& stage) {
  if (const auto* c = std::get_if<PretrainConfig>(&stage.settings)) return &c->optimizer;
  if (const auto* c = std::get_if<SftConfig>(&stage.settings)) return &c->optimizer;
  if (const auto* c = std::get_if<RlConfig>(&stage.settings)) return &c->optimizer;
  if (const auto* c = std::get_if<RewardModelConfig>(&stage.settings)) return &c->optimizer;
  return nullptr;
}

LoraConfig StageLora(const RecipeStage& stage) {
  if (const auto* c = std::get_if<SftConfig>(&stage.settings)) return c->lora;
  if (const auto* c = std::get_if<RlConfig>(&stage.settings)) return c->lora;
  return {};
}

Result<std::optional<TrainingMemory>> StageMemory(const RecipeStage& stage, const ModelConfig& model,
                                                  const std::vector<ModelConfig>& beside, int threads) {
  const OptimizerConfig* optimizer = StageOptimizer(stage);
  if (optimizer == nullptr) return std::optional<TrainingMemory>();
  const std::string where = "stage '" + stage.name + "'";
  const auto* rl = std::get_if<RlConfig>(&stage.settings);
  ModelConfig trained = model;
  if (stage.kind == "rm") {
    trained.num_labels = 1;
    trained.num_nextn_predict_layers = 0;
  }
  const int64_t longest =
      rl != nullptr ? std::min(model.max_position_embeddings, rl->max_completion_length + kPromptTokens) : 0;
  R1_ASSIGN(TrainingMemory memory, EstimateTraining(trained, *optimizer, StageLora(stage), longest, threads, where));
  for (const ModelConfig& other : beside) memory.beside += ModelBytes(other, false);
  if (rl == nullptr) return std::optional<TrainingMemory>(memory);
  memory.rollout = RolloutBytes(*rl, model, threads);
  R1_ASSIGN(const LossSettings loss, ResolveLoss(*rl, where));
  if (loss.beta > 0 && !rl->lora.on()) memory.reference = ModelBytes(model, false);
  if (loss.needs_value()) {  // all its weights are trained
    ModelConfig value = model;
    value.num_labels = 1;
    value.num_nextn_predict_layers = 0;
    R1_ASSIGN(const TrainingMemory learner, EstimateTraining(value, *optimizer, {}, longest, threads, where));
    memory.value = learner.total();
  }
  return std::optional<TrainingMemory>(memory);
}

}  // namespace r1
