// Which metrics are drawn together, and what a reader is told about them.
#include "base/check.h"
#include "recipe/report_curves.h"

namespace r1 {

const std::vector<Panel>& RlPanels() {
  static const auto* panels = new std::vector<Panel>{
      {.title = "Accuracy",
       .caption = "Training: share of right answers among the sampled replies. Held out: pass@1 on "
                  "problems never trained on.",
       .y_label = "right answers, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"rewards/accuracy/mean", "training batch"},
                   {"eval/pass@1", "held out, pass@1", CurveKind::kPoints},
                   {"results:pass@1", "held out, before and after", CurveKind::kMarkers}},
       .base_lines = true,
       .lead = true},
      {.title = "Reply length",
       .caption = "Mean over the step's replies.",
       .y_label = "tokens per reply",
       .metrics = {{"completions/mean_length", "whole reply"}, {"think/mean_tokens", "thinking only"}},
       .lead = true},
      {.title = "Reflection",
       .caption = "Share of replies that stop and reconsider (wait, 等等).",
       .y_label = "replies with reflection, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"think/reflections", "with reflection"}},
       .lead = true},
      {.title = "Tries",
       .caption = "Mean number of candidates that a reply tries while thinking.",
       .y_label = "tries per reply",
       .metrics = {{"think/tries", "tries"}}},
      {.title = "Language",
       .caption = "Mixed: thinking in two languages at once. Consistency: share of thinking words "
                  "in the prompt's language.",
       .y_label = "share, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"language/mixed", "mixed replies"}, {"language/consistency", "consistency"}},
       .lead = true},
      {.title = "Reward",
       .caption = "Mean over the step's replies, and the mean of the standard deviations within groups.",
       .y_label = "reward",
       .metrics = {{"reward", "mean reward"}, {"reward_std", "spread in a group"}}},
      {.title = "Scores of reward models",
       .caption = "Mean over the step's replies that the model judges.",
       .y_label = "score",
       .from_zero = false,
       .metrics = {{"rewards/helpful/mean", "helpful"}, {"rewards/harmless/mean", "harmless"}},
       .lead = true},
      {.title = "Held-out quality",
       .caption = "Measured on held-out requests and programs during the stage; no reward comes from it.",
       .y_label = "share or score, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"eval/helpful", "helpful, hidden score", CurveKind::kPoints},
                   {"eval/safe", "safe", CurveKind::kPoints},
                   {"eval/code@1", "code@1", CurveKind::kPoints}},
       .lead = true},
      {.title = "Format",
       .caption = "Share of replies that are exactly one thought and one answer.",
       .y_label = "well-formed, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"rewards/format/mean", "well-formed"}}},
      {.title = "Entropy",
       .caption = "Mean entropy of the policy per sampled token: what is left to explore.",
       .y_label = "nats per token",
       .metrics = {{"entropy", "entropy"}}},
      {.title = "KL divergence",
       .caption = "From the reference policy, per token, as the run logged it.",
       .y_label = "nats per token",
       .metrics = {{"kl", "KL"}}},
      {.title = "Clipping",
       .caption = "Replies cut at the length limit, and tokens whose probability ratio was clipped.",
       .y_label = "share, %",
       .unit = AxisUnit::kPercent,
       .metrics = {{"completions/clipped_ratio", "cut replies"},
                   {"clip_ratio/low_mean", "clipped low"},
                   {"clip_ratio/high_mean", "clipped high"}}},
      {.title = "Groups without a signal",
       .caption = "Share of prompts whose replies all got the same reward, so that nothing is "
                  "learnt from them.",
       .y_label = "groups, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"frac_reward_zero_std", "no spread"}}},
      {.title = "Expert load",
       .caption = "Most and least used expert of any layer, as a multiple of its layer's mean.",
       .y_label = "load, mean = 1",
       .metrics = {{"expert_load/max", "most used"}, {"expert_load/min", "least used"}}},
      {.title = "Gradient norm",
       .caption = "Before clipping.",
       .y_label = "norm",
       .metrics = {{"grad_norm", "gradient norm"}}},
      {.title = "Learning rate",
       .caption = "",
       .y_label = "learning rate",
       .metrics = {{"learning_rate", "learning rate", CurveKind::kLine}}},
      {.title = "Sampler against trainer",
       .caption = "Largest difference between a token's log-probability when sampled and when "
                  "trained on. It should be exactly 0.",
       .y_label = "nats",
       .metrics = {{"logp_mismatch/max", "largest difference", CurveKind::kLine}},
       .only_nonzero = true},
      {.title = "Ungradable replies",
       .caption = "Replies the grader could not judge.",
       .y_label = "replies, %",
       .unit = AxisUnit::kPercent,
       .metrics = {{"reward/ungradable_frac", "ungradable"}},
       .only_nonzero = true},
      {.title = "Time per step",
       .caption = "Wall time, and its parts.",
       .y_label = "seconds",
       .metrics = {{"step_time", "whole step"},
                   {"time/rollout", "sampling"},
                   {"time/train", "training"},
                   {"time/grade", "grading"}}},
  };
  return *panels;
}

const std::vector<Panel>& PretrainPanels() {
  static const auto* panels = new std::vector<Panel>{
      {.title = "Pretraining loss",
       .caption = "Mean cross-entropy of the next token.",
       .y_label = "nats per token",
       .metrics = {{"loss", "training loss"},
                   {"mtp_loss", "token after next (MTP)"},
                   {"eval/loss", "held out", CurveKind::kPoints}}},
      {.title = "Pretraining: gradient norm",
       .caption = "Before clipping.",
       .y_label = "norm",
       .metrics = {{"grad_norm", "gradient norm"}}},
      {.title = "Pretraining: learning rate",
       .caption = "",
       .y_label = "learning rate",
       .metrics = {{"learning_rate", "learning rate", CurveKind::kLine}}},
      {.title = "Pretraining: expert load",
       .caption = "Most and least used expert of any layer, as a multiple of its layer's mean.",
       .y_label = "load, mean = 1",
       .metrics = {{"expert_load/max", "most used"}, {"expert_load/min", "least used"}}},
      {.title = "Pretraining: speed",
       .caption = "",
       .y_label = "tokens per second",
       .metrics = {{"tokens_per_second", "speed"}}},
  };
  return *panels;
}

const std::vector<Panel>& LossPanels() {
  static const auto* panels = new std::vector<Panel>{
      {.title = "Fine-tuning loss",
       .caption = "Mean cross-entropy of the tokens that are learnt from.",
       .y_label = "nats per token",
       .metrics = {{"loss", "training loss"}, {"eval/loss", "held out", CurveKind::kPoints}}},
      {.title = "Reward models: loss",
       .caption = "Of pairs (−log σ of the difference of scores) or of labels (binary cross-entropy).",
       .y_label = "nats",
       .metrics = {{"loss", "training loss"}}},
      {.title = "Reward models: accuracy",
       .caption = "Share of training pairs in the right order, or of labels met.",
       .y_label = "right, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"rewards/accuracies", "training batch"}}},
  };
  return *panels;
}

const Panel& RlPanel(std::string_view title) {
  for (const Panel& panel : RlPanels()) {
    if (title == panel.title) return panel;
  }
  R1_CHECK(false, "there is no panel with this title");
  return RlPanels().front();
}

}  // namespace r1
