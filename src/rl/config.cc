#include "rl/config.h"

#include <cmath>

namespace r1 {

std::vector<RewardWeight> RlConfig::Weights() const {
  std::vector<RewardWeight> weights = {{"accuracy", reward_accuracy}, {"format", reward_format}};
  if (reward_language != 0) weights.push_back({"language", reward_language});
  return weights;
}

Status ValidateRlConfig(const RlConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.loss.algorithm != "grpo") return fail("algorithm '" + c.loss.algorithm + "' is not built yet (grpo)");
  if (c.loss.loss_type != "dapo" && c.loss.loss_type != "grpo" && c.loss.loss_type != "dr_grpo")
    return fail("loss_type '" + c.loss.loss_type + "' is not known (dapo, grpo, dr_grpo)");
  if (c.loss.scale_rewards != "group" && c.loss.scale_rewards != "none")
    return fail("scale_rewards '" + c.loss.scale_rewards + "' is not known (group, none)");
  if (!(c.loss.epsilon > 0) || !std::isfinite(c.loss.epsilon)) return fail("epsilon must be positive");
  if (!(c.loss.epsilon_high >= 0) || !std::isfinite(c.loss.epsilon_high))
    return fail("epsilon_high must not be negative");
  if (!(c.loss.beta >= 0) || !std::isfinite(c.loss.beta)) return fail("beta must not be negative");
  if (c.task != "pick") return fail("task '" + c.task + "' is not known (pick)");
  if (c.max_steps < 1 || c.max_steps > (int64_t{1} << 31)) return fail("max_steps must be at least 1");
  if (c.num_prompts < 1 || c.num_prompts > (1 << 20)) return fail("num_prompts must be in 1 .. 1048576");
  if (c.num_generations < 2 || c.num_generations > 4096)
    return fail("num_generations must be in 2 .. 4096: a group of one has no advantage");
  if (c.max_completion_length < 1) return fail("max_completion_length must be at least 1");
  if (!(c.temperature > 0) || c.temperature > 100)
    return fail("temperature must be in (0, 100]: greedy rollouts have no exploration");
  if (c.num_iterations < 1 || c.num_iterations > 1000) return fail("num_iterations must be in 1 .. 1000");
  if (c.mini_batches < 1 || c.mini_batches > c.num_prompts) return fail("mini_batches must be in 1 .. num_prompts");
  if (c.ref_sync_steps < 0 || c.save_steps < 0 || c.save_total_limit < 0 || c.log_completions_steps < 0)
    return fail("step counts must not be negative");
  if (c.slots < 1 || c.slots > 65536) return fail("slots must be in 1 .. 65536");
  for (double w : {c.reward_accuracy, c.reward_format, c.reward_language}) {
    if (!std::isfinite(w)) return fail("reward weights must be finite");
  }
  return {};
}

}  // namespace r1
