// The plan printed before a run: sizes from the config, times from a short measurement of one training pass and one
// decoding batch.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/files.h"
#include "base/progress.h"
#include "infer/rollout.h"
#include "model/params.h"
#include "recipe/run.h"
#include "train/trainer.h"

namespace r1 {

namespace {

constexpr int64_t kPlanVocab = 512;           // the tokenizer is not trained yet
constexpr double kExpectedLengthShare = 0.4;  // mean reply length as a share of the longest, over an RL run
constexpr int64_t kProbeSequence = 64;
constexpr double kRecordSeconds = 0.3;

struct Speed {
  double train = 0, sample = 0;  // tokens/s of all threads
};

double Seconds(const std::chrono::steady_clock::time_point& since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

Speed Probe(const ModelConfig& config, ThreadPool& pool, const OptimizerConfig& optimizer) {
  Model model(config, true);
  model.Init(0);
  model.Pack(pool);
  Trainer trainer(model, optimizer, pool);
  const int64_t count = std::max<int64_t>(1, 2 * optimizer.micro_tokens / kProbeSequence);
  std::vector<int32_t> tokens(static_cast<size_t>(kProbeSequence));
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<int32_t>(i * 7 % static_cast<size_t>(config.vocab_size));
  const std::vector<TrainSequence> sequences(static_cast<size_t>(count), {tokens.data(), kProbeSequence, 16});
  Speed speed;
  const auto once = [&] {
    trainer.Step(0, 1, sequences, {}, [](int, const MicroBatch& m, LogProbs& l) {
      for (int64_t i = 0; i < m.rows; ++i) l.dlogp[i] = 0;
    });
  };
  once();
  auto began = std::chrono::steady_clock::now();
  double done = 0;
  while (Seconds(began) < kRecordSeconds) {
    once();
    done += static_cast<double>(count * kProbeSequence);
  }
  speed.train = done / Seconds(began);

  RolloutEngine engine(model, pool);
  RolloutOptions options;
  options.max_new_tokens = std::min<int64_t>(64, config.max_position_embeddings - 16);
  std::vector<RolloutRequest> requests;
  for (uint32_t i = 0; i < 16; ++i) requests.push_back({{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, i, 8});
  began = std::chrono::steady_clock::now();
  done = 0;
  while (Seconds(began) < kRecordSeconds) {
    if (!engine.Run(requests, options).ok()) break;
    done += static_cast<double>(16 * 8 * options.max_new_tokens);
  }
  speed.sample = done / Seconds(began);
  return speed;
}

}  // namespace

Result<std::string> PlanText(Recipe& recipe, int64_t threads) {
  ModelConfig config = recipe.model;
  const bool guessed = config.vocab_size == 0;
  if (guessed) config.vocab_size = kPlanVocab;
  ThreadPool pool(static_cast<int>(threads > 0 ? threads : AvailableCores()));
  SetFloatMode();
  const ParamCounts n = CountParams(config);
  OptimizerConfig optimizer;
  const Speed speed = Probe(config, pool, optimizer);
  std::string text = fmt::format("recipe {}  seed {}  threads {}  kernels {}\n", recipe.name, recipe.seed,
                                 pool.threads(), kernels::Kernels().isa);
  text += fmt::format("model  {} ({}): {} layers, width {}, {} heads", recipe.preset, config.model_type,
                      config.num_hidden_layers, config.hidden_size, config.num_attention_heads);
  if (config.is_mla()) {
    text += fmt::format(
        ", latent {} + rotary {}; {} routed experts of {} (top {}, {} of {} groups) + {} shared, first {} dense",
        config.kv_lora_rank, config.qk_rope_head_dim, config.n_routed_experts, config.moe_intermediate_size,
        config.num_experts_per_tok, config.topk_group, config.n_group, config.n_shared_experts,
        config.first_k_dense_replace);
  } else {
    text += fmt::format(", ffn {}", config.intermediate_size);
  }
  text += fmt::format(
      "\n       {:.3f} M parameters, {:.3f} M active a token{}{}\n", static_cast<double>(n.total) / 1e6,
      static_cast<double>(n.active) / 1e6,
      n.mtp > 0 ? fmt::format(", {:.3f} M more in the prediction module", static_cast<double>(n.mtp) / 1e6) : "",
      guessed ? fmt::format(" (vocabulary taken as {})", kPlanVocab) : "");
  const double params = static_cast<double>(ListParams(config).total);
  double total = 0, gradients = 1;
  std::string stages;
  for (const auto& stage : recipe.stages) {
    double seconds = 0;
    if (const auto* p = std::get_if<PretrainConfig>(&stage->settings)) {
      gradients = std::max(gradients, static_cast<double>(p->optimizer.grad_shards));
      const double tokens = static_cast<double>(p->max_steps * p->tokens_per_step);
      seconds = tokens / speed.train;
      stages += fmt::format("  {:<10} pretrain  {} steps x {} tokens = {:.2f} M tokens, {} shards, passes of {} tokens",
                            stage->name, p->max_steps, p->tokens_per_step, tokens / 1e6, p->optimizer.grad_shards,
                            p->optimizer.micro_tokens);
    } else if (const auto* rl = std::get_if<RlConfig>(&stage->settings)) {
      gradients = std::max(gradients, static_cast<double>(rl->optimizer.grad_shards));
      const double replies = static_cast<double>(rl->num_prompts * rl->num_generations);
      const double tokens = static_cast<double>(rl->max_steps) * replies * kExpectedLengthShare *
                            static_cast<double>(rl->max_completion_length);
      seconds = tokens / speed.sample + tokens * static_cast<double>(rl->num_iterations) / speed.train;
      stages += fmt::format(
          "  {:<10} rl        {} steps x {} prompts x {} samples = {} replies of at most {} tokens a step, {} "
          "update(s) each",
          stage->name, rl->max_steps, rl->num_prompts, rl->num_generations, rl->num_prompts * rl->num_generations,
          rl->max_completion_length, rl->num_iterations * rl->mini_batches);
    } else {
      const EvalConfig& e = std::get<EvalConfig>(stage->settings);
      seconds = static_cast<double>(e.problems * e.samples) * kExpectedLengthShare *
                static_cast<double>(e.max_completion_length) / speed.sample;
      stages += fmt::format("  {:<10} eval      {} held-out problems x {} samples, T {:g}", stage->name, e.problems,
                            e.samples, e.temperature);
    }
    stages += "  ~" + DurationText(seconds) + "\n";
    total += seconds;
  }
  const int64_t cache = KvCache::BytesPerSlot(config, std::min<int64_t>(192, config.max_position_embeddings));
  text += fmt::format(
      "memory {} for weights, packed copies, {} gradients and Adam; {} of keys and values a sequence of 192 tokens\n",
      BytesText(static_cast<int64_t>(params * (4 + 4 + 8 + 4 * gradients))), gradients, BytesText(cache));
  text += stages;
  text += fmt::format(
      "expected {} in all, at {:.1f}k tokens/s trained and {:.1f}k sampled (measured just now; replies taken as {:.0f} "
      "% of the longest)\n",
      DurationText(total), speed.train / 1000, speed.sample / 1000, 100 * kExpectedLengthShare);
  return text;
}

}  // namespace r1
