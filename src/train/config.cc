#include "train/config.h"

#include <algorithm>
#include <cmath>

namespace r1 {

double LearningRateAt(const OptimizerConfig& c, int64_t step, int64_t max_steps, double least_progress) {
  if (step < c.warmup_steps)
    return c.learning_rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  if (c.lr_scheduler_type == "constant") return c.learning_rate;
  const double span = static_cast<double>(std::max<int64_t>(1, max_steps - c.warmup_steps));
  const double progress = std::min(1.0, std::max(least_progress, static_cast<double>(step - c.warmup_steps) / span));
  return c.learning_rate *
         (c.min_lr_ratio + (1.0 - c.min_lr_ratio) * 0.5 * (1.0 + std::cos(3.14159265358979323846 * progress)));
}

Status ValidateOptimizerConfig(const OptimizerConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (!(c.learning_rate > 0) || !std::isfinite(c.learning_rate)) return fail("learning_rate must be positive");
  if (c.lr_scheduler_type != "constant" && c.lr_scheduler_type != "cosine")
    return fail("lr_scheduler_type '" + c.lr_scheduler_type + "' is not known (constant, cosine)");
  if (!(c.min_lr_ratio >= 0 && c.min_lr_ratio <= 1)) return fail("min_lr_ratio must be in 0 .. 1");
  if (c.warmup_steps < 0) return fail("warmup_steps must not be negative");
  if (!(c.adam_beta1 >= 0 && c.adam_beta1 < 1) || !(c.adam_beta2 >= 0 && c.adam_beta2 < 1))
    return fail("adam_beta1 and adam_beta2 must be in [0, 1)");
  if (!(c.adam_epsilon > 0)) return fail("adam_epsilon must be positive");
  if (!(c.weight_decay >= 0) || !std::isfinite(c.weight_decay)) return fail("weight_decay must not be negative");
  if (!(c.max_grad_norm >= 0) || !std::isfinite(c.max_grad_norm)) return fail("max_grad_norm must not be negative");
  if (!(c.router_bias_update >= 0) || !std::isfinite(c.router_bias_update))
    return fail("router_bias_update must not be negative");
  if (c.grad_shards < 1 || c.grad_shards > 64) return fail("grad_shards must be in 1 .. 64");
  if (c.micro_tokens < 32 || c.micro_tokens > (1 << 20)) return fail("micro_tokens must be in 32 .. 1048576");
  return {};
}

}  // namespace r1
