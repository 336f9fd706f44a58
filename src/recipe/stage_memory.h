// Memory of a recipe's stage, from its settings and the sizes of its models (train/memory.h).
#pragma once

#include <optional>
#include <vector>

#include "recipe/recipe.h"
#include "train/memory.h"

namespace r1 {

// model: the one the stage trains. beside: those it only reads (teacher, reward models). Nothing for stages that do not
// train. Error if the model cannot have the stage's adapter.
Result<std::optional<TrainingMemory>> StageMemory(const RecipeStage& stage, const ModelConfig& model,
                                                  const std::vector<ModelConfig>& beside, int threads);
// Optimizer and adapter of a stage that trains, else null.
const OptimizerConfig* StageOptimizer(const RecipeStage& stage);
LoraConfig StageLora(const RecipeStage& stage);  // of rank 0 if it has none

}  // namespace r1
