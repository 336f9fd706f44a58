// The plan printed before a run: the graph of the stages, sizes from the config, times from a short measurement of one
// training pass and one decoding batch of each size of model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/files.h"
#include "base/memory.h"
#include "base/progress.h"
#include "infer/rollout.h"
#include "model/param_source.h"
#include "model/params.h"
#include "recipe/run.h"
#include "recipe/stage_memory.h"
#include "rl/algorithm.h"
#include "train/run_files.h"
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

// How a size of model is trained, where all stages that train it agree.
struct Training {
  OptimizerConfig optimizer;
  LoraConfig lora;
};

Speed Probe(const ModelConfig& config, ThreadPool& pool, const Training& training) {
  const OptimizerConfig& optimizer = training.optimizer;
  Model model(config, true);
  model.Init(0);
  if (training.lora.on() && !model.AddAdapter(training.lora, 0, "", "plan").ok()) return {};
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

bool TrainsValueModel(const RlConfig& config) {
  const Result<LossSettings> loss = ResolveLoss(config, "");
  return loss.ok() && loss.value().needs_value();
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
    w.trained = w.sampled * static_cast<double>(rl->num_iterations * (TrainsValueModel(*rl) ? 2 : 1));
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

// What the stages that train take, and how each size of model is trained.
struct Plan {
  std::map<std::string, TrainingMemory> memory;  // by stage
  std::map<std::string, Training> training;      // by preset
};

// The config of a model that a stage reads: of an earlier stage that makes one, or of a folder.
struct Models {
  std::map<std::string, std::string> preset_of;
  const Recipe& recipe;

  Result<ModelConfig> OfPreset(const std::string& preset) const {
    ModelConfig config = recipe.model;
    if (!preset.empty()) {
      R1_ASSIGN(config, ModelPreset(preset));
    }
    if (config.vocab_size == 0) config.vocab_size = kPlanVocab;
    return config;
  }
  Result<ModelConfig> Of(const std::string& name) const {
    if (recipe.Find(name) == nullptr && IsDir(name)) {
      const Result<std::string> folder = ResolveModelFolder(name);
      if (folder.ok()) return ReadModelConfig(*folder);
    }
    const auto found = preset_of.find(name);
    return OfPreset(found != preset_of.end() ? found->second : "");
  }
};

// Refuses stages that cannot fit, before anything is measured.
Result<Plan> PlanMemory(const Recipe& recipe, int threads) {
  Plan plan;
  Models models{{}, recipe};
  for (const auto& stage : recipe.stages) {
    const bool makes = stage->kind == "pretrain";
    const std::string preset = makes ? stage->in.preset : models.preset_of[stage->in.model];
    models.preset_of[stage->name] = preset;
    const OptimizerConfig* optimizer = StageOptimizer(*stage);
    if (optimizer == nullptr) continue;
    R1_ASSIGN(const ModelConfig config, makes ? models.OfPreset(preset) : models.Of(stage->in.model));
    std::vector<ModelConfig> beside;
    for (const std::string* name : {&stage->in.helpful, &stage->in.harmless, &stage->in.teacher}) {
      if (name->empty()) continue;
      R1_ASSIGN(beside.emplace_back(), models.Of(*name));
    }
    R1_ASSIGN(const auto memory, StageMemory(*stage, config, beside, threads));
    R1_TRY(CheckMemory(*memory, TotalMemoryBytes(), "stage '" + stage->name + "'"));
    plan.memory[stage->name] = *memory;
    const auto [training, first] = plan.training.try_emplace(preset, Training{*optimizer, StageLora(*stage)});
    if (!first && !StageLora(*stage).on()) training->second = {*optimizer, {}};
  }
  return Result<Plan>(std::move(plan));
}

}  // namespace

Result<std::string> PlanText(Recipe& recipe, int64_t threads) {
  ThreadPool pool(static_cast<int>(threads > 0 ? threads : AvailableCores()));
  SetFloatMode();
  const bool guessed = recipe.model.vocab_size == 0;
  R1_ASSIGN(const Plan plan, PlanMemory(recipe, pool.threads()));
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
      const auto training = plan.training.find(preset);
      size.speed = Probe(size.config, pool, training != plan.training.end() ? training->second : Training());
      sizes[preset] = size;
    }
    return sizes[preset];
  };
  R1_ASSIGN(const Size main, size_of(""));
  std::string text = fmt::format("recipe {}  seed {}  threads {}  kernels {}\n", recipe.name, recipe.seed,
                                 pool.threads(), kernels::Kernels().isa);
  text += ModelSummary(recipe.preset, main.config);
  double total = 0, trained = 0, sampled = 0;
  std::map<std::string, std::string> preset_of;  // of the model that a stage makes
  std::map<std::string, double> kept_tokens;
  std::string stages;
  for (const auto& stage : recipe.stages) {
    const std::string preset = stage->kind == "pretrain" ? stage->in.preset : preset_of[stage->in.model];
    preset_of[stage->name] = preset;
    R1_ASSIGN(const Size size, size_of(preset));
    if (stage->kind == "pretrain" && !preset.empty() && stages.find(preset) == std::string::npos)
      stages += ModelSummary(preset, size.config);
    const Work work = WorkOf(*stage, kept_tokens);
    const double seconds = work.trained / size.speed.train + work.sampled / size.speed.sample;
    stages += fmt::format("  {:<18} {:<11} {}\n{:33}{}  ~{}\n", stage->name, stage->kind, InputText(stage->in), "",
                          work.text, DurationText(seconds));
    if (const auto memory = plan.memory.find(stage->name); memory != plan.memory.end())
      stages += fmt::format("{:33}memory {}\n", "", MemoryText(memory->second));
    total += seconds;
    trained += work.trained;
    sampled += work.sampled;
  }
  const int64_t cache = KvCache::BytesPerSlot(main.config, std::min<int64_t>(192, main.config.max_position_embeddings));
  int64_t most = 0;
  for (const auto& [name, memory] : plan.memory) most = std::max(most, memory.total());
  text += fmt::format("memory {} at most in training, of {} here; {} of keys and values a sequence of 192 tokens{}\n",
                      BytesText(most), BytesText(TotalMemoryBytes()), BytesText(cache),
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
