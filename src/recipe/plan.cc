// The plan printed before a run: the graph of the stages, sizes from the config, times from a short measurement of one
// training pass and one decoding batch of each size of model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/files.h"
#include "base/progress.h"
#include "infer/rollout.h"
#include "model/params.h"
#include "recipe/run.h"
#include "rl/algorithm.h"
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

// Models that an RL stage holds beside its own.
struct RlCompanions {
  bool value = false, reference = false;
};
RlCompanions Companions(const RlConfig& config) {
  const Result<LossSettings> loss = ResolveLoss(config, "");
  return loss.ok() ? RlCompanions{loss.value().needs_value(), loss.value().beta > 0} : RlCompanions{};
}

// What a stage does in numbers of tokens, as far as the recipe says; replies are taken as kExpectedLengthShare of the
// longest.
struct Work {
  double trained = 0, sampled = 0;
  std::string text;
};

// Tokens of a stage's data: what earlier stages keep; of files their bytes, divided by what a token takes.
double DataTokens(const std::string& names, const std::map<std::string, double>& kept_tokens) {
  constexpr double kBytesPerToken = 6;  // 5.3 in the JSONL of the built-in world, prompts counted
  double tokens = 0;
  for (const std::string& name : SplitList(names)) {
    if (const auto kept = kept_tokens.find(name); kept != kept_tokens.end()) {
      tokens += kept->second;
    } else if (const Result<int64_t> bytes = FileSize(name); bytes.ok()) {
      tokens += static_cast<double>(bytes.value()) / kBytesPerToken;
    }
  }
  return tokens;
}

double ReplyTokens(int64_t replies, int64_t longest) {
  return static_cast<double>(replies) * kExpectedLengthShare * static_cast<double>(longest);
}

Work WorkOf(const RecipeStage& stage, std::map<std::string, double>& kept_tokens) {
  Work w;
  if (const auto* p = std::get_if<PretrainConfig>(&stage.settings)) {
    w.trained = static_cast<double>(p->max_steps * p->tokens_per_step);
    w.text = fmt::format("{} steps x {} tokens = {:.2f} M tokens, {} shards, passes of {} tokens", p->max_steps,
                         p->tokens_per_step, w.trained / 1e6, p->optimizer.grad_shards, p->optimizer.micro_tokens);
  } else if (const auto* rl = std::get_if<RlConfig>(&stage.settings)) {
    w.sampled = static_cast<double>(rl->max_steps) *
                ReplyTokens(rl->num_prompts * rl->num_generations, rl->max_completion_length);
    if (rl->max_sampled_tokens > 0) w.sampled = std::min(w.sampled, static_cast<double>(rl->max_sampled_tokens));
    w.trained = w.sampled * static_cast<double>(rl->num_iterations * (Companions(*rl).value ? 2 : 1));
    w.text = fmt::format("{} on {}: {} steps x {} prompts x {} samples of at most {} tokens, {} update(s) a step",
                         rl->loss.algorithm, rl->task, rl->max_steps, rl->num_prompts, rl->num_generations,
                         rl->max_completion_length, rl->num_iterations * rl->mini_batches);
  } else if (const auto* sample = std::get_if<SampleConfig>(&stage.settings)) {
    w.sampled = ReplyTokens(sample->problems * sample->num_generations, sample->max_completion_length);
    const int64_t most = sample->max_per_prompt > 0 ? std::min(sample->max_per_prompt, sample->num_generations)
                                                    : sample->num_generations;
    kept_tokens[stage.name] = ReplyTokens(sample->problems * most, sample->max_completion_length);
    w.text = fmt::format("{} problems of {} x {} replies, T {:g}", sample->problems, sample->task,
                         sample->num_generations, sample->temperature);
  } else if (const auto* prefs = std::get_if<PreferencesConfig>(&stage.settings)) {
    w.sampled = ReplyTokens(2 * prefs->problems * prefs->num_generations, prefs->max_completion_length);
    kept_tokens[stage.name] = w.sampled;
    w.text = fmt::format("{} requests of each kind x {} replies", prefs->problems, prefs->num_generations);
  } else if (const auto* sft = std::get_if<SftConfig>(&stage.settings)) {
    w.trained = DataTokens(stage.in.data, kept_tokens) * static_cast<double>(sft->num_train_epochs);
    w.text =
        fmt::format("{} epochs of {}, about {:.2f} M tokens", sft->num_train_epochs, stage.in.data, w.trained / 1e6);
  } else if (const auto* rm = std::get_if<RewardModelConfig>(&stage.settings)) {
    w.trained = DataTokens(stage.in.data, kept_tokens) * static_cast<double>(rm->num_train_epochs);
    w.text = fmt::format("{}, {} epochs of {}", rm->reward_kind, rm->num_train_epochs, stage.in.data);
  } else if (const auto* e = std::get_if<EvalConfig>(&stage.settings)) {
    w.sampled = ReplyTokens(e->problems * e->samples, e->max_completion_length);
    w.text = fmt::format("{} held-out problems x {} samples, T {:g}", e->problems, e->samples, e->temperature);
  }
  return w;
}

// "model <- a, data <- b, c"
std::string InputText(const StageInputs& in) {
  std::string text;
  const auto add = [&](const char* role, const std::string& value) {
    if (!value.empty()) text += (text.empty() ? "" : ", ") + std::string(role) + " <- " + value;
  };
  add("model", in.model);
  add("data", in.data);
  add("helpful", in.helpful);
  add("harmless", in.harmless);
  add("teacher", in.teacher);
  return text.empty() ? "random weights" : text;
}

std::string ModelSummary(const std::string& preset, const ModelConfig& config) {
  const ParamCounts n = CountParams(config);
  std::string text = fmt::format("model  {} ({}): {} layers, width {}, {} heads", preset, config.model_type,
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
  return text + fmt::format("\n       {:.3f} M parameters, {:.3f} M active a token{}\n",
                            static_cast<double>(n.total) / 1e6, static_cast<double>(n.active) / 1e6,
                            n.mtp > 0 ? fmt::format(", {:.3f} M more in the prediction module",
                                                    static_cast<double>(n.mtp) / 1e6)
                                      : "");
}

}  // namespace

Result<std::string> PlanText(Recipe& recipe, int64_t threads) {
  ThreadPool pool(static_cast<int>(threads > 0 ? threads : AvailableCores()));
  SetFloatMode();
  const bool guessed = recipe.model.vocab_size == 0;
  OptimizerConfig optimizer;
  struct Size {
    ModelConfig config;
    Speed speed;
  };
  std::map<std::string, Size> sizes;  // by preset; "" is the recipe's own model
  const auto size_of = [&](const std::string& preset) -> Result<Size> {
    if (!sizes.contains(preset)) {
      Size size{recipe.model, {}};
      if (!preset.empty()) {
        R1_ASSIGN(size.config, ModelPreset(preset));
      }
      if (size.config.vocab_size == 0) size.config.vocab_size = kPlanVocab;
      size.speed = Probe(size.config, pool, optimizer);
      sizes[preset] = size;
    }
    return sizes[preset];
  };
  R1_ASSIGN(const Size main, size_of(""));
  std::string text = fmt::format("recipe {}  seed {}  threads {}  kernels {}\n", recipe.name, recipe.seed,
                                 pool.threads(), kernels::Kernels().isa);
  text += ModelSummary(recipe.preset, main.config);
  const double params = static_cast<double>(ListParams(main.config).total);
  double total = 0, trained = 0, sampled = 0, gradients = 1;
  RlCompanions beside;
  std::map<std::string, std::string> preset_of;  // of the model that a stage makes
  std::map<std::string, double> kept_tokens;
  std::string stages;
  for (const auto& stage : recipe.stages) {
    const std::string preset = stage->kind == "pretrain" ? stage->in.preset : preset_of[stage->in.model];
    preset_of[stage->name] = preset;
    R1_ASSIGN(const Size size, size_of(preset));
    if (stage->kind == "pretrain" && !preset.empty() && stages.find(preset) == std::string::npos)
      stages += ModelSummary(preset, size.config);
    for (const Field& f : StageFields(*stage)) {
      if (f.name == "grad_shards") gradients = std::max(gradients, static_cast<double>(*std::get<int64_t*>(f.value)));
    }
    if (const auto* rl = std::get_if<RlConfig>(&stage->settings)) {
      const RlCompanions companions = Companions(*rl);
      beside = {beside.value || companions.value, beside.reference || companions.reference};
    }
    const Work work = WorkOf(*stage, kept_tokens);
    const double seconds = work.trained / size.speed.train + work.sampled / size.speed.sample;
    stages += fmt::format("  {:<18} {:<11} {}\n{:33}{}  ~{}\n", stage->name, stage->kind, InputText(stage->in), "",
                          work.text, DurationText(seconds));
    total += seconds;
    trained += work.trained;
    sampled += work.sampled;
  }
  const int64_t cache = KvCache::BytesPerSlot(main.config, std::min<int64_t>(192, main.config.max_position_embeddings));
  const double trainable = params * (4 + 4 + 8 + 4 * gradients);
  const double memory = trainable * (beside.value ? 2 : 1) + params * (beside.reference ? 8 : 0);
  text += fmt::format(
      "memory {} for weights, packed copies, {} gradients and Adam{}{}; {} of keys and values a sequence of 192 "
      "tokens{}\n",
      BytesText(static_cast<int64_t>(memory)), gradients, beside.value ? ", twice: policy and value model" : "",
      beside.reference ? ", and the reference model" : "", BytesText(cache),
      guessed ? fmt::format(" (vocabulary taken as {})", kPlanVocab) : "");
  text += stages;
  text += fmt::format(
      "expected {} in all: {:.1f} M tokens trained, {:.1f} M sampled; the main model at {:.1f}k tokens/s trained and "
      "{:.1f}k sampled (measured just now; replies taken as {:.0f} % of the longest)\n",
      DurationText(total), trained / 1e6, sampled / 1e6, main.speed.train / 1000, main.speed.sample / 1000,
      100 * kExpectedLengthShare);
  return text;
}

}  // namespace r1
