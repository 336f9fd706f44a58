#include "rl/config.h"

#include <cmath>

#include "reward/answer.h"
#include "rl/algorithm.h"
#include "world/task.h"

namespace r1 {

Status ValidateRlConfig(const RlConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.max_completion_length < 1) return fail("max_completion_length must be at least 1");
  R1_TRY(ValidateLoraConfig(c.lora, where));
  R1_ASSIGN(const LossSettings loss, ResolveLoss(c, where));
  if (c.lora.on() && loss.beta > 0 && c.ref_sync_steps > 0 && c.ref_sync_steps < c.max_steps)
    return fail("with lora_r the reference policy is the base model, which does not move: set ref_sync_steps to 0");
  if (const auto mix = ParseTaskMix(c.task, true); !mix.ok()) return fail(mix.error().message);
  if (!ReplyFormFromName(c.reply_form).has_value()) return fail("reply_form must be think, think_answer or ended");
  if (c.think_open.empty() || c.think_close.empty() || c.think_open == c.think_close)
    return fail("think_open and think_close must be two different tags");
  if (c.max_steps < 1 || c.max_steps > (int64_t{1} << 31)) return fail("max_steps must be at least 1");
  if (c.num_prompts < 1 || c.num_prompts > (1 << 20)) return fail("num_prompts must be in 1 .. 1048576");
  if (c.num_generations < 1 || c.num_generations > 4096) return fail("num_generations must be in 1 .. 4096");
  if (c.num_generations < 2 && (loss.needs_group() || loss.dynamic_sampling))
    return fail("num_generations must be in 2 .. 4096: a group of one has no advantage");
  if (!(c.temperature > 0) || c.temperature > 100)
    return fail("temperature must be in (0, 100]: greedy rollouts have no exploration");
  if (c.num_iterations < 1 || c.num_iterations > 1000) return fail("num_iterations must be in 1 .. 1000");
  if (c.mini_batches < 1 || c.mini_batches > c.num_prompts) return fail("mini_batches must be in 1 .. num_prompts");
  if (c.ref_sync_steps < 0 || c.save_steps < 0 || c.save_total_limit < 0 || c.log_completions_steps < 0 ||
      c.critic_warmup_steps < 0 || c.eval_steps < 0)
    return fail("step counts must not be negative");
  if (!(c.ref_model_mixup_alpha > 0 && c.ref_model_mixup_alpha <= 1))
    return fail("ref_model_mixup_alpha must be in (0, 1]");
  if (c.max_sampling_rounds < 1 || c.max_sampling_rounds > 1000)
    return fail("max_sampling_rounds must be in 1 .. 1000");
  if (c.max_sampled_tokens < 0) return fail("max_sampled_tokens must not be negative");
  if (!(c.gamma >= 0 && c.gamma <= 1)) return fail("gamma must be in 0 .. 1");
  if (!(c.lam >= 0 && c.lam <= 1)) return fail("lam must be in 0 .. 1");
  if (!(c.vf_coef > 0) || !std::isfinite(c.vf_coef)) return fail("vf_coef must be positive");
  if (!(c.cliprange_value >= 0) || !std::isfinite(c.cliprange_value))
    return fail("cliprange_value must not be negative");
  if (!(c.critic_learning_rate >= 0) || !std::isfinite(c.critic_learning_rate))
    return fail("critic_learning_rate must not be negative");
  if (c.slots < 1 || c.slots > 65536) return fail("slots must be in 1 .. 65536");
  for (double w : {c.reward_accuracy, c.reward_format, c.reward_language, c.reward_helpful, c.reward_harmless}) {
    if (!std::isfinite(w)) return fail("reward weights must be finite");
  }
  return {};
}

}  // namespace r1
