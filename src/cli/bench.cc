// r1 bench: how fast this machine trains and samples, beside the machine's own peak measured in the same run.
//
// Arithmetic per token: 2 x (matrix elements a token is multiplied with) forward, 6 x with backward and update;
// attention scores are not counted. Medians of the repetitions; the best stands beside them.
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
#include "infer/rollout.h"
#include "kernels/kernels.h"
#include "train/trainer.h"

namespace r1::cli {
namespace {

struct BenchConfig {
  std::string preset = "mini";
  int64_t repetitions = 5;
  int64_t batch_size = 32;
  int64_t sequence_length = 256;
  int64_t sequences = 64;
  int64_t prompt_length = 64;
  int64_t new_tokens = 128;
  int64_t threads = 1;

  template <class V>
  void Fields(V& v) {
    v("preset", preset, "shape of the model: mini|A|mini-v3|mini-dense|tiny|tiny-dense; its weights are random");
    v("repetitions", repetitions, "times each measurement is made; the median is shown, the best beside it");
    v("batch_size", batch_size, "train: sequences of a step");
    v("sequence_length", sequence_length, "train: tokens of a sequence, every one a target");
    v("sequences", sequences, "rollout: completions decoded together, of one shared prompt");
    v("prompt_length", prompt_length, "rollout: tokens of the prompt");
    v("new_tokens", new_tokens, "rollout: tokens of each completion");
    v("threads", threads, "threads to compute with; 0: all cores");
  }
};

Status Validate(const BenchConfig& config) {
  const auto check = [](const char* name, int64_t value, int64_t low, int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return Error{ErrorCode::kUsage, fmt::format("--{}: {} is not in {} .. {}", name, value, low, high)};
  };
  R1_TRY(check("repetitions", config.repetitions, 1, 1000));
  R1_TRY(check("batch-size", config.batch_size, 1, 65536));
  R1_TRY(check("sequence-length", config.sequence_length, 2, 1 << 20));
  R1_TRY(check("sequences", config.sequences, 1, 65536));
  R1_TRY(check("prompt-length", config.prompt_length, 1, 1 << 20));
  return check("new-tokens", config.new_tokens, 1, 1 << 20);
}

struct Measurement {
  std::string name;
  double per_second = 0;  // of `unit`
  std::string unit;
  double gflops = 0;   // 0: not a matter of arithmetic
  double seconds = 0;  // of one repetition, median
  double best = 0;     // seconds of the fastest repetition
};

struct Times {
  double median = 0, best = 0;
};

Times Measure(int64_t repetitions, const std::function<void()>& work) {
  work();  // warms caches and code
  std::vector<double> seconds;
  for (int64_t i = 0; i < repetitions && !Interrupted(); ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  if (seconds.empty()) return {1e-9, 1e-9};
  std::sort(seconds.begin(), seconds.end());
  return {std::max(seconds[seconds.size() / 2], 1e-9), std::max(seconds[0], 1e-9)};
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
    // Random values: tiles of equal or zero values run faster than real ones.
    Rng rng(1, Stream::kTest);
    for (Bf16& x : o.a) x = ToBf16(static_cast<float>(rng.Uniform() - 0.5));
    for (Bf16& x : o.b) x = ToBf16(static_cast<float>(rng.Uniform() - 0.5));
  }
  const Times times = Measure(repetitions, [&] {
    pool.ParallelFor(pool.threads(), [&](int64_t i, int) {
      Operands& o = operands[static_cast<size_t>(i)];
      for (int64_t round = 0; round < kRounds; ++round)
        table.gemm({o.a.data(), kK, o.b.data(), o.c.data(), kN, kM, kN, kK, false});
    });
  });
  const double flops = 2.0 * kM * kN * kK * kRounds * pool.threads();
  return {"matrix product, in cache",
          flops / times.median / 1e9,
          "GFLOP/s",
          flops / times.median / 1e9,
          times.median,
          times.best};
}

// Copies a block much larger than any cache; reads and writes are counted.
Measurement MeasureMemory(ThreadPool& pool, int64_t repetitions) {
  constexpr int64_t kFloats = int64_t{32} << 20, kParts = 64;
  AlignedBuffer<float> from(kFloats), to(kFloats);
  std::fill(from.begin(), from.end(), 1.0F);
  const Times times = Measure(repetitions, [&] {
    pool.ParallelFor(kParts, [&](int64_t i, int) {
      const int64_t part = kFloats / kParts;
      std::copy(from.data() + i * part, from.data() + (i + 1) * part, to.data() + i * part);
    });
  });
  return {"memory copy", 2.0 * kFloats * sizeof(float) / times.median / 1e9, "GB/s", 0, times.median, times.best};
}

class ModelBench {
 public:
  ModelBench(const BenchConfig& config, Model& model, ThreadPool& pool)
      : config_(config),
        model_(model),
        pool_(pool),
        matmul_(static_cast<double>(CountParams(model.config()).active_matmul)) {}

  Measurement Train() {
    std::vector<std::vector<int32_t>> tokens;
    for (int64_t i = 0; i < config_.batch_size; ++i)
      tokens.push_back(RandomTokens(static_cast<uint64_t>(i), config_.sequence_length + 1));
    std::vector<TrainSequence> sequences;
    for (const std::vector<int32_t>& t : tokens) sequences.push_back({t.data(), static_cast<int64_t>(t.size()), 1});
    OptimizerConfig optimizer;
    optimizer.learning_rate = 1e-6;  // weights stay as good as random
    Trainer trainer(model_, optimizer, pool_);
    const double count = static_cast<double>(config_.batch_size * config_.sequence_length);
    const float weight = static_cast<float>(-1.0 / count);
    int64_t step = 0;
    const Times times = Measure(config_.repetitions, [&] {
      trainer.Step(step++, int64_t{1} << 20, sequences, {}, [&](int, const MicroBatch& micro, LogProbs& logp) {
        std::fill(logp.dlogp, logp.dlogp + micro.rows, weight);
      });
    });
    return Tokens(fmt::format("training step, {} x {}", config_.batch_size, config_.sequence_length), count, 6, times);
  }

  Result<Measurement> Rollout() {
    RolloutEngine engine(model_, pool_);
    std::vector<RolloutRequest> requests;
    // A group is worked on by one thread: as many groups as threads, of the same prompt.
    const int64_t groups = std::min<int64_t>(pool_.threads(), config_.sequences);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t share = config_.sequences * (g + 1) / groups - config_.sequences * g / groups;
      requests.push_back({RandomTokens(0, config_.prompt_length), static_cast<uint32_t>(g), share});
    }
    RolloutOptions options;
    options.max_new_tokens = config_.new_tokens;  // there is no stop token: every completion is as long
    options.slots_per_lane = config_.sequences;
    Status failed;
    const Times times = Measure(config_.repetitions, [&] {
      const auto results = engine.Run(requests, options);
      if (!results.ok()) failed = results.error();
    });
    if (!failed.ok()) return failed.error();
    return Tokens(fmt::format("rollout, {} sequences, {} + {} tokens", config_.sequences, config_.prompt_length,
                              config_.new_tokens),
                  static_cast<double>(config_.sequences * config_.new_tokens), 2, times);
  }

 private:
  std::vector<int32_t> RandomTokens(uint64_t index, int64_t count) const {
    Rng rng(1, Stream::kTest, index);
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t& t : tokens) t = static_cast<int32_t>(rng.Below(static_cast<uint64_t>(model_.config().vocab_size)));
    return tokens;
  }
  Measurement Tokens(std::string name, double tokens, double flops_per_element, const Times& times) const {
    return {std::move(name), tokens / times.median,
            "tokens/s",      flops_per_element * matmul_ * tokens / times.median / 1e9,
            times.median,    times.best};
  }

  const BenchConfig& config_;
  Model& model_;
  ThreadPool& pool_;
  double matmul_;
};

Result<int> Run(const BenchConfig& config, const Invocation& invocation) {
  R1_TRY(Validate(config));
  const std::string work = invocation.positionals.empty() ? "all" : invocation.positionals[0];
  R1_ASSIGN(const std::unique_ptr<ThreadPool> pool, MakePool(config.threads));
  R1_ASSIGN(ModelConfig shape, ModelPreset(config.preset));
  constexpr int64_t kVocabulary = 512;  // of presets that take it from a tokenizer
  if (shape.vocab_size == 0) shape.vocab_size = kVocabulary;
  shape.max_position_embeddings =
      std::max({shape.max_position_embeddings, config.sequence_length, config.prompt_length + config.new_tokens});
  R1_TRY(ValidateModelConfig(shape, "preset " + config.preset));
  InstallInterruptHandler();
  Model model(shape, true);
  model.Init(1);
  model.Pack(*pool);
  ModelBench bench(config, model, *pool);
  std::vector<Measurement> results;
  const auto add = [&](const char* doing, const std::function<Result<Measurement>()>& measure) -> Status {
    if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted"};
    LogInfo(fmt::format("measuring {}", doing));
    R1_ASSIGN(Measurement measurement, measure());
    results.push_back(std::move(measurement));
    return {};
  };
  // The machine's own peak stands before and after: shared machines change speed while one looks.
  R1_TRY(add("the machine's arithmetic", [&] { return MeasurePeak(*pool, config.repetitions); }));
  if (work == "all") R1_TRY(add("memory", [&] { return MeasureMemory(*pool, config.repetitions); }));
  if (work == "all" || work == "train") R1_TRY(add("training", [&] { return bench.Train(); }));
  if (work == "all" || work == "rollout") R1_TRY(add("rollouts", [&] { return bench.Rollout(); }));
  if (work != "gemm")
    R1_TRY(add("the machine's arithmetic again", [&] { return MeasurePeak(*pool, config.repetitions); }));
  if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted"};
  const double peak = results[0].gflops;
  const ParamCounts counts = CountParams(shape);
  if (invocation.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Measurement& m : results) {
      list.push_back({{"name", m.name},
                      {"per_second", m.per_second},
                      {"unit", m.unit},
                      {"gflops", m.gflops},
                      {"share_of_peak", m.gflops / peak},
                      {"seconds", m.seconds},
                      {"best_seconds", m.best}});
    }
    PrintJson({{"preset", config.preset},
               {"parameters", counts.total},
               {"parameters_used_per_token", counts.active},
               {"isa", kernels::Kernels().isa},
               {"threads", pool->threads()},
               {"results", list}});
    return 0;
  }
  Print(fmt::format("{}: {} parameters, {} used for a token; {} thread{}, {}\n\n", config.preset,
                    CountText(counts.total), CountText(counts.active), pool->threads(), pool->threads() == 1 ? "" : "s",
                    kernels::Kernels().isa));
  std::vector<std::vector<std::string>> rows = {{"what", "speed", "best", "arithmetic", "of the peak"}};
  for (const Measurement& m : results) {
    const bool tokens = m.unit == "tokens/s";
    rows.push_back({m.name,
                    tokens ? CountText(static_cast<int64_t>(m.per_second)) + " tokens/s"
                           : fmt::format("{:.1f} {}", m.per_second, m.unit),
                    tokens ? CountText(static_cast<int64_t>(m.per_second * m.seconds / m.best))
                           : fmt::format("{:.1f}", m.per_second * m.seconds / m.best),
                    tokens ? fmt::format("{:.1f} GFLOP/s", m.gflops) : "",
                    m.gflops > 0 ? fmt::format("{:.0f} %", 100 * m.gflops / peak) : ""});
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
      "Measures a training step and a rollout (many completions of one prompt) of a model with random weights, and "
      "sets the arithmetic done "
      "beside the peak that this machine reaches, in the same run, in a product that stays in its cache. Arithmetic is "
      "that of the matrix "
      "elements a token is multiplied with: 6 operations each in training, 2 in sampling; attention scores are not "
      "counted. Close other "
      "programs first.";
  command.examples = {
      {"r1 bench", "both, one core, the small dense shape"},
      {"r1 bench rollout --preset A --json", "64 completions of 128 tokens, a larger shape, for a script"},
      {"r1 bench train --preset mini-v3 --threads 0", "the demonstration's model on all cores"}};
  command.positionals = {{"WORK", "what to measure", false, false, {"all", "gemm", "train", "rollout"}}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
