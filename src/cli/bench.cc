// r1 bench: how fast this machine does what r1 does, on the built-in world's texts, beside the machine's own measured peak.
//
// Arithmetic per token: 2 x (matrix elements a token is multiplied with) forward, 6 x with backward and update; attention scores
// are not counted. Times are the best of the repetitions: interruptions by others only ever add.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/model_source.h"
#include "cli/output.h"
#include "data/corpus_stream.h"
#include "infer/rollout.h"
#include "kernels/kernels.h"
#include "train/trainer.h"
#include "world/pick.h"

namespace r1::cli {
namespace {

struct BenchConfig {
  std::string preset = "mini-v3";
  int64_t repetitions = 5;
  int64_t batch = 256;
  int64_t new_tokens = 64;
  int64_t tokens_per_step = 4096;
  int64_t threads = 0;

  template <class V>
  void Fields(V& v) {
    static const std::string preset_help = fmt::format("shape of the model, its weights are random: {}", fmt::join(ModelPresetNames(), "|"));
    v("preset", preset, preset_help.c_str());
    v("repetitions", repetitions, "times each measurement is made; the best counts");
    v("batch", batch, "completions decoded together");
    v("new_tokens", new_tokens, "tokens of each of them");
    v("tokens_per_step", tokens_per_step, "tokens of a training step");
    v("threads", threads, "threads to compute with; 0: all cores");
  }
};

Status Validate(const BenchConfig& config) {
  const auto check = [](const char* name, int64_t value, int64_t low, int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return Error{ErrorCode::kUsage, fmt::format("--{}: {} is not in {} .. {}", name, value, low, high)};
  };
  R1_TRY(check("repetitions", config.repetitions, 1, 1000));
  R1_TRY(check("batch", config.batch, 1, 65536));
  R1_TRY(check("new-tokens", config.new_tokens, 1, 65536));
  return check("tokens-per-step", config.tokens_per_step, 32, 1 << 24);
}

struct Measurement {
  std::string name;
  double per_second = 0;  // of `unit`
  std::string unit;
  double gflops = 0;      // 0: not a matter of arithmetic
  double seconds = 0;     // of one repetition
};

double BestSeconds(int64_t repetitions, const std::function<void()>& work) {
  work();  // warms caches and code
  double best = 0;
  for (int64_t i = 0; i < repetitions && !Interrupted(); ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (i == 0 || seconds < best) best = seconds;
  }
  return std::max(best, 1e-9);
}

// A product that stays in the cache, one per thread: what the machine's arithmetic can do through our code.
Measurement MeasurePeak(ThreadPool& pool, int64_t repetitions) {
  constexpr int64_t kM = 128, kN = 512, kK = 512, kRounds = 200;
  const kernels::KernelTable& table = kernels::Kernels();
  struct Operands {
    AlignedBuffer<Bf16> a{kM * kK}, b{kernels::PackedElements(kK, kN)};
    AlignedBuffer<float> c{kM * kN};
  };
  std::vector<Operands> operands(static_cast<size_t>(pool.threads()));
  for (Operands& o : operands) {
    std::fill(o.a.begin(), o.a.end(), ToBf16(0.5F));
    std::fill(o.b.begin(), o.b.end(), ToBf16(0.25F));
  }
  const double seconds = BestSeconds(repetitions, [&] {
    pool.ParallelFor(pool.threads(), [&](int64_t i, int) {
      Operands& o = operands[static_cast<size_t>(i)];
      for (int64_t round = 0; round < kRounds; ++round) table.gemm({o.a.data(), kK, o.b.data(), o.c.data(), kN, kM, kN, kK, false});
    });
  });
  const double flops = 2.0 * kM * kN * kK * kRounds * pool.threads();
  return {"matrix product, in cache", flops / seconds / 1e9, "GFLOP/s", flops / seconds / 1e9, seconds};
}

// Copies a block much larger than any cache; reads and writes are counted.
Measurement MeasureMemory(ThreadPool& pool, int64_t repetitions) {
  constexpr int64_t kFloats = int64_t{32} << 20, kParts = 64;
  AlignedBuffer<float> from(kFloats), to(kFloats);
  std::fill(from.begin(), from.end(), 1.0F);
  const double seconds = BestSeconds(repetitions, [&] {
    pool.ParallelFor(kParts, [&](int64_t i, int) {
      const int64_t part = kFloats / kParts;
      std::copy(from.data() + i * part, from.data() + (i + 1) * part, to.data() + i * part);
    });
  });
  return {"memory copy", 2.0 * kFloats * sizeof(float) / seconds / 1e9, "GB/s", 0, seconds};
}

class ModelBench {
 public:
  ModelBench(const BenchConfig& config, Model& model, const Tokenizer& tokenizer, ThreadPool& pool)
      : config_(config), model_(model), tokenizer_(tokenizer), pool_(pool), matmul_(static_cast<double>(CountParams(model.config()).active_matmul)) {}

  Measurement TrainingStep() {
    const CorpusBatch batch = CorpusBatchAt(tokenizer_, 1, 0, config_.tokens_per_step);
    std::vector<TrainSequence> sequences;
    for (const TokenDocument& d : batch.documents) sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from});
    OptimizerConfig optimizer;
    optimizer.learning_rate = 1e-6;  // weights stay as good as random
    Trainer trainer(model_, optimizer, pool_);
    const float weight = -1.0F / static_cast<float>(batch.tokens);
    int64_t step = 0;
    const double seconds = BestSeconds(config_.repetitions, [&] {
      trainer.Step(step++, 1 << 20, sequences, {}, [&](int, const MicroBatch& micro, LogProbs& logp) { std::fill(logp.dlogp, logp.dlogp + micro.rows, weight); });
    });
    return Tokens("training step", static_cast<double>(batch.tokens), 6, seconds);
  }

  Measurement Prefill() {
    std::vector<std::vector<int32_t>> texts;
    double tokens = 0;
    while (tokens < 4096) {
      std::vector<int32_t> text;
      const auto length = static_cast<size_t>(std::min<int64_t>(256, model_.config().max_position_embeddings));
      for (uint64_t i = texts.size() * 64; text.size() < length; ++i) {
        const std::vector<int32_t> prompt = tokenizer_.Encode(PromptText(TrainProblem(1, i)));
        text.insert(text.end(), prompt.begin(), prompt.end());
      }
      text.resize(length);
      tokens += static_cast<double>(length);
      texts.push_back(std::move(text));
    }
    const std::vector<std::vector<int32_t>> candidates(texts.size(), {0});
    const double seconds = BestSeconds(config_.repetitions, [&] { (void)NextTokenProbabilities(model_, pool_, texts, candidates); });
    return Tokens("reading prompts", tokens, 2, seconds);
  }

  Result<Measurement> Decode(int64_t completions, const char* name) {
    RolloutEngine engine(model_, pool_);
    constexpr int64_t kGroup = 8;
    std::vector<RolloutRequest> requests;
    for (int64_t left = completions; left > 0; left -= kGroup) {
      const auto key = static_cast<uint32_t>(requests.size());
      requests.push_back({tokenizer_.Encode(PromptText(TrainProblem(1, key))), key, std::min(left, kGroup)});
    }
    RolloutOptions options;
    options.max_new_tokens = config_.new_tokens;  // nothing stops a completion earlier: random weights have no end
    options.token_limit = tokenizer_.size();
    Status failed;
    const double seconds = BestSeconds(config_.repetitions, [&] {
      const auto results = engine.Run(requests, options);
      if (!results.ok()) failed = results.error();
    });
    if (!failed.ok()) return failed.error();
    return Tokens(name, static_cast<double>(completions * config_.new_tokens), 2, seconds);
  }

 private:
  Measurement Tokens(std::string name, double tokens, double flops_per_element, double seconds) const {
    return {std::move(name), tokens / seconds, "tokens/s", flops_per_element * matmul_ * tokens / seconds / 1e9, seconds};
  }

  const BenchConfig& config_;
  Model& model_;
  const Tokenizer& tokenizer_;
  ThreadPool& pool_;
  double matmul_;
};

Result<int> Run(const BenchConfig& config, const Invocation& invocation) {
  R1_TRY(Validate(config));
  R1_ASSIGN(const std::unique_ptr<ThreadPool> pool, MakePool(config.threads));
  R1_ASSIGN(ModelConfig shape, ModelPreset(config.preset));
  constexpr uint64_t kTokenizerDocuments = 4000;
  R1_ASSIGN(const Tokenizer tokenizer, TrainTokenizer(1, kTokenizerDocuments));
  shape.vocab_size = std::max<int64_t>(shape.vocab_size, kernels::RoundUp(tokenizer.size(), 32));
  R1_TRY(ValidateModelConfig(shape, "preset " + config.preset));
  InstallInterruptHandler();
  Model model(shape, true);
  model.Init(1);
  model.Pack(*pool);
  ModelBench bench(config, model, tokenizer, *pool);
  std::vector<Measurement> results;
  const auto add = [&](const char* doing, const std::function<Result<Measurement>()>& measure) -> Status {
    if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted"};
    LogInfo(fmt::format("measuring {}", doing));
    R1_ASSIGN(Measurement measurement, measure());
    results.push_back(std::move(measurement));
    return {};
  };
  R1_TRY(add("the machine's arithmetic", [&] { return MeasurePeak(*pool, config.repetitions); }));
  R1_TRY(add("memory", [&] { return MeasureMemory(*pool, config.repetitions); }));
  R1_TRY(add("training", [&] { return bench.TrainingStep(); }));
  R1_TRY(add("prompts", [&] { return bench.Prefill(); }));
  R1_TRY(add("one answer", [&] { return bench.Decode(1, "one answer"); }));
  R1_TRY(add("many answers", [&] { return bench.Decode(config.batch, "many answers together"); }));
  if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted"};
  const double peak = results[0].gflops;
  const ParamCounts counts = CountParams(shape);
  if (invocation.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Measurement& m : results) {
      list.push_back({{"name", m.name}, {"per_second", m.per_second}, {"unit", m.unit}, {"gflops", m.gflops}, {"share_of_peak", m.gflops / peak}, {"seconds", m.seconds}});
    }
    PrintJson({{"preset", config.preset},
               {"parameters", counts.total},
               {"parameters_used_per_token", counts.active},
               {"isa", kernels::Kernels().isa},
               {"threads", pool->threads()},
               {"results", list}});
    return 0;
  }
  Print(fmt::format("{}: {} parameters, {} used for a token; {} thread{}, {}\n\n", config.preset, CountText(counts.total), CountText(counts.active), pool->threads(),
                    pool->threads() == 1 ? "" : "s", kernels::Kernels().isa));
  std::vector<std::vector<std::string>> rows = {{"what", "speed", "arithmetic", "of the peak"}};
  for (const Measurement& m : results) {
    const bool tokens = m.unit == "tokens/s";
    rows.push_back({m.name, tokens ? CountText(static_cast<int64_t>(m.per_second)) + " tokens/s" : fmt::format("{:.1f} {}", m.per_second, m.unit),
                    tokens ? fmt::format("{:.1f} GFLOP/s", m.gflops) : "", m.gflops > 0 ? fmt::format("{:.0f} %", 100 * m.gflops / peak) : ""});
  }
  Print(ColumnsText(rows, 2));
  return 0;
}

}  // namespace

Command BenchCommand() {
  Command command;
  command.name = "bench";
  command.group = "This machine and this program";
  command.summary = "measure how fast this machine trains and samples, as a share of its own peak";
  command.description =
      "Measures a training step, reading prompts, one answer and many answers together, on a model with random weights and the built-in "
      "world's texts, and sets the arithmetic done beside the peak that this machine reaches in a product that stays in its cache. "
      "Close other programs first; the best of several repetitions counts.";
  command.examples = {{"r1 bench", "the model of the built-in demonstration"}, {"r1 bench --preset A --threads 1 --json", "a larger one on one core, for a script"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
