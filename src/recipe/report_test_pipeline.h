// For tests: run folders of the whole pipeline, of a comparison of algorithms and of a grid of bases, whose numbers are
// made up, in the shape that the recipe writes. Nothing in them was measured.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "recipe/report_test_runs.h"

namespace r1 {

struct FakePipeline {
  std::string name = "made-up-r1";
  int seed = 0;
  int steps = 120;      // of each RL stage
  bool hacking = true;  // the overlong stage is gamed
  double shift = 0;     // added to every pass@1 but the base's
  bool without_language_reward = true;
};

struct FakeStage {
  std::string name, kind, model;
  std::vector<std::string> data = {};
  std::string helpful = {}, harmless = {}, preset = "mini-v3", algorithm = {}, reasoning = {};
  double parameters = 1.31e6, trained = 0, sampled = 0, seconds = 0;
};

inline std::string FakePipelineJson(const std::vector<FakeStage>& stages) {
  std::string out;
  for (const FakeStage& s : stages) {
    std::string data;
    for (const std::string& one : s.data) data += (data.empty() ? "" : ",") + JsonText(one);
    out += fmt::format(R"({}{{"name":{},"kind":{},"model":{},"data":[{}],"helpful":{},"harmless":{},"preset":{},{}{})"
                       R"("parameters":{:.0f},"trained_tokens":{:.0f},"sampled_tokens":{:.0f},"seconds":{:.1f}}})",
                       out.empty() ? "" : ",\n", JsonText(s.name), JsonText(s.kind), JsonText(s.model), data,
                       JsonText(s.helpful), JsonText(s.harmless), JsonText(s.preset),
                       s.algorithm.empty() ? "" : "\"algorithm\":" + JsonText(s.algorithm) + ",",
                       s.reasoning.empty() ? "" : "\"reasoning\":" + JsonText(s.reasoning) + ",", s.parameters,
                       s.trained, s.sampled, s.seconds);
  }
  return "[" + out + "]";
}

struct FakeEval {
  std::string name, model;
  double right, code = -1, tokens = 30, reflection = 0.2, mixed = 0.1, helpful = -1, safe = -1, direct = -1;
};

inline std::string FakeEvalJson(const FakeEval& e) {
  std::string more;
  const auto share = [&](const char* metric, double value, double error) {
    if (value >= 0) more += fmt::format(R"(,"{0}":{1:.4f},"{0}_stderr":{2:.4f})", metric, value, error);
  };
  share("code@1", e.code, 0.013);
  share("helpful", e.helpful, 0.009);
  share("safe", e.safe, 0.012);
  share("direct_pass@1", e.direct, 0.008);
  if (e.direct >= 0) more += fmt::format(R"(,"direct_mean_tokens":9.4)");
  if (e.safe >= 0) more += fmt::format(R"(,"over_refusal":{:.3f})", 0.02 + 0.05 * e.safe);
  return fmt::format(
      R"({{"name":{},"model":{},"eval":{{"problems":500,"samples":16,"temperature":1.0,"pass@1":{:.4f},"pass@1_stderr":0.0091,)"
      R"("cons@16":{:.4f},"cons@16_stderr":0.013,"format":0.97,"mean_tokens":{:.1f},"reflection":{:.3f},"mixed":{:.3f},)"
      R"("language":{:.3f},"think_share":0.9,"think_accuracy":{:.3f},"general":0.86{}}}}})",
      JsonText(e.name), JsonText(e.model), e.right, std::min(0.99, e.right + 0.16), e.tokens, e.reflection, e.mixed,
      1 - 0.6 * e.mixed, std::min(0.99, e.right + 0.02), more);
}

struct FakeCurve {
  double from = 0.2, to = 0.8, tokens_from = 30, tokens_to = 75, mixed_from = 0.1, mixed_to = 0.4;
  bool rewards_models = false, hacked = false;
  uint64_t stream = 0;
  int steps = 120;
  double pace = 0.25;  // share of the steps after which two thirds are learnt
};

inline std::string FakeCurveMetrics(int seed, const FakeCurve& c) {
  Rng rng(static_cast<uint64_t>(seed), Stream::kTest, 1000 + c.stream);
  const auto share = [](double v) { return std::min(1.0, std::max(0.0, v)); };
  std::string out;
  double tokens = 0;
  for (int i = 0; i < c.steps; ++i) {
    const double t = 1 - std::exp(-i / (c.pace * c.steps));
    const double late = c.hacked ? std::max(0.0, 2.0 * i / c.steps - 0.8) : 0;
    const double right = share(c.from + (c.to - c.from) * t - 0.25 * late),
                 length = c.tokens_from + (c.tokens_to - c.tokens_from) * t;
    tokens += 512 * length;
    std::string more;
    if (c.rewards_models) {
      more += fmt::format(R"(,"rewards/helpful/mean":{:.3f},"rewards/harmless/mean":{:.3f})",
                          -0.4 + 1.5 * t + 0.9 * late + 0.05 * rng.Normal(), 0.3 + 0.5 * t + 0.03 * rng.Normal());
    }
    if (i % 10 == 0) {
      more += fmt::format(R"(,"eval/pass@1":{:.4f},"eval/mean_tokens":{:.1f},"eval/mixed":{:.3f},"eval/code@1":{:.4f})",
                          share(right + 0.006 * rng.Normal()), length, c.mixed_from + (c.mixed_to - c.mixed_from) * t,
                          share(0.7 * right + 0.01 * rng.Normal()));
      if (c.rewards_models) {
        more += fmt::format(R"(,"eval/helpful":{:.4f},"eval/safe":{:.4f})",
                            share(0.45 + 0.4 * t - 0.3 * late + 0.006 * rng.Normal()), share(0.6 + 0.35 * t));
      }
    }
    out += fmt::format(
        R"({{"step":{},"num_tokens":{:.0f},"loss":{:.4f},"learning_rate":0.0003,"grad_norm":{:.3f},"reward":{:.4f},"reward_std":0.4,)"
        R"("frac_reward_zero_std":0.2,"rewards/accuracy/mean":{:.4f},"rewards/format/mean":0.97,"completions/mean_length":{:.2f},)"
        R"("completions/clipped_ratio":0.01,"kl":{:.4f},"entropy":{:.4f},"logp_mismatch/max":0.0,"think/mean_tokens":{:.2f},)"
        R"("think/reflections":{:.4f},"language/mixed":{:.4f},"language/consistency":{:.4f},"step_time":1.5{}}})"
        "\n",
        i, tokens, 0.01 * rng.Normal(), 0.4 + 0.1 * std::abs(rng.Normal()), right + 0.19,
        share(right + 0.03 * rng.Normal()), length + 2 * rng.Normal(), 0.1 * t + 0.003 * std::abs(rng.Normal()),
        1.1 - 0.7 * t + 0.02 * rng.Normal(), 0.8 * length, share(0.2 + 0.6 * t + 0.03 * rng.Normal()),
        share(c.mixed_from + (c.mixed_to - c.mixed_from) * t + 0.02 * rng.Normal()),
        share(0.9 - 0.5 * (c.mixed_from + (c.mixed_to - c.mixed_from) * t)), more);
  }
  return out;
}

inline std::string FakeLossMetrics(int seed, uint64_t stream, int steps, double from, double to, bool accuracy) {
  Rng rng(static_cast<uint64_t>(seed), Stream::kTest, 2000 + stream);
  std::string out;
  for (int i = 1; i <= steps; ++i) {
    const double t = 1 - std::exp(-6.0 * i / steps);
    out += fmt::format(
        R"({{"step":{},"num_tokens":{},"loss":{:.4f},"grad_norm":0.5,"learning_rate":0.001{}}})"
        "\n",
        i, i * 4096, from + (to - from) * t + 0.02 * rng.Normal(),
        accuracy ? fmt::format(R"(,"rewards/accuracies":{:.3f})", std::min(1.0, 0.5 + 0.38 * t + 0.03 * rng.Normal()))
                 : "");
  }
  return out;
}

inline void PutManifest(const std::string& folder, const std::vector<FakeStage>& stages, int seed) {
  std::string entries;
  for (const FakeStage& s : stages) {
    uint64_t key = 0;
    for (const char c : s.name) key = key * 31 + static_cast<unsigned char>(c);
    Rng rng(static_cast<uint64_t>(seed), Stream::kTest, key);
    std::string hash;
    for (int i = 0; i < 64; ++i) hash += "0123456789abcdef"[rng.Range(0, 15)];
    const bool weights = s.kind == "pretrain" || s.kind == "sft" || s.kind == "rl" || s.kind == "rm";
    entries += fmt::format(R"({}{{"name":{},"kind":{}{}}})", entries.empty() ? "" : ",", JsonText(s.name),
                           JsonText(s.kind), weights ? ",\"result_sha256\":\"" + hash + "\"" : "");
  }
  PutFile(folder + "/manifest.json", R"({"version":"0.2.0","command":"r1 run mini-r1","stages":[)" + entries + "]}");
}

inline void PutResults(const std::string& folder, const std::string& name, int seed,
                       const std::vector<FakeStage>& stages, const std::vector<FakeEval>& evals) {
  std::string list, times, tokens;
  double total = 60;
  for (const FakeEval& e : evals) list += (list.empty() ? "" : ",\n") + FakeEvalJson(e);
  for (const FakeStage& s : stages) {
    if (s.kind == "eval") continue;
    times += fmt::format("{}:{:.1f},", JsonText(s.name), s.seconds);
    tokens += fmt::format("{}{}:{:.0f}", tokens.empty() ? "" : ",", JsonText(s.name), s.trained);
    total += s.seconds;
  }
  PutFile(
      folder + "/results.json",
      fmt::format(
          R"({{"name":{},"seed":{},"preset":"mini-v3","stages":[{}],"times":{{{}"eval":60,"total":{:.1f}}},"tokens":{{{}}},"pipeline":{}}})",
          JsonText(name), seed, list, times, total, tokens, FakePipelineJson(stages)));
  PutFile(folder + "/recipe.toml", "name = \"made-up\"\n");
  PutManifest(folder, stages, seed);
}

inline std::string FakeRewardModel(const char* kind, int train, int held_out, double accuracy) {
  std::string bins;
  for (int i = 0; i < 5; ++i) {
    const double said = 0.55 + 0.1 * i;
    bins += fmt::format(R"({}{{"confidence":{:.2f},"accuracy":{:.3f},"count":{}}})", i > 0 ? "," : "", said,
                        said - 0.02 * i + 0.01, 40 + 30 * i);
  }
  return fmt::format(
      R"({{"kind":"{}","train":{},"held_out":{},"accuracy":{:.3f},"accuracy_stderr":0.014,"brier":0.121,"ece":0.043,"bins":[{}]}})",
      kind, train, held_out, accuracy, bins);
}

inline std::vector<FakeStage> FakeR1Stages(bool without_language_reward) {
  std::vector<FakeStage> s = {
      {.name = "pretrain", .kind = "pretrain", .model = "", .trained = 8.2e6, .seconds = 151},
      {.name = "eval_base", .kind = "eval", .model = "pretrain", .seconds = 20},
      {.name = "zero",
       .kind = "rl",
       .model = "pretrain",
       .algorithm = "grpo",
       .trained = 6.1e6,
       .sampled = 7.0e6,
       .seconds = 172},
      {.name = "eval_zero", .kind = "eval", .model = "zero", .seconds = 11},
      {.name = "cold", .kind = "sample", .model = "zero", .sampled = 0.6e6, .seconds = 14},
      {.name = "dev1", .kind = "sft", .model = "pretrain", .data = {"cold"}, .trained = 0.4e6, .seconds = 9},
      {.name = "dev2",
       .kind = "rl",
       .model = "dev1",
       .algorithm = "grpo",
       .trained = 4.0e6,
       .sampled = 5.1e6,
       .seconds = 130}};
  if (without_language_reward) {
    s.push_back({.name = "dev2_nolang",
                 .kind = "rl",
                 .model = "dev1",
                 .algorithm = "grpo",
                 .trained = 4.1e6,
                 .sampled = 5.2e6,
                 .seconds = 131});
  }
  const std::vector<FakeStage> rest = {
      {.name = "reject", .kind = "sample", .model = "dev2", .sampled = 3.2e6, .seconds = 61},
      {.name = "dev3",
       .kind = "sft",
       .model = "pretrain",
       .data = {"reject/samples.jsonl"},
       .trained = 2.4e6,
       .seconds = 50},
      {.name = "prefs", .kind = "preferences", .model = "dev3", .sampled = 0.5e6, .seconds = 12},
      {.name = "rm_helpful", .kind = "rm", .model = "dev3", .data = {"prefs"}, .trained = 0.7e6, .seconds = 17},
      {.name = "rm_safety", .kind = "rm", .model = "dev3", .data = {"prefs"}, .trained = 0.6e6, .seconds = 15},
      {.name = "r1",
       .kind = "rl",
       .model = "dev3",
       .helpful = "rm_helpful",
       .harmless = "rm_safety",
       .algorithm = "grpo",
       .trained = 3.0e6,
       .sampled = 4.0e6,
       .seconds = 110},
      {.name = "overlong",
       .kind = "rl",
       .model = "dev3",
       .helpful = "rm_helpful",
       .harmless = "rm_safety",
       .algorithm = "grpo",
       .trained = 9.0e6,
       .sampled = 12.0e6,
       .seconds = 330},
      {.name = "traces", .kind = "sample", .model = "r1", .sampled = 2.9e6, .seconds = 57},
      {.name = "student64_base",
       .kind = "pretrain",
       .model = "",
       .preset = "student64",
       .parameters = 3.4e5,
       .trained = 8.2e6,
       .seconds = 70},
      {.name = "student32_base",
       .kind = "pretrain",
       .model = "",
       .preset = "student32",
       .parameters = 1.1e5,
       .trained = 8.2e6,
       .seconds = 40},
      {.name = "student64_distill",
       .kind = "sft",
       .model = "student64_base",
       .data = {"traces"},
       .preset = "student64",
       .parameters = 3.4e5,
       .trained = 2.0e6,
       .seconds = 20},
      {.name = "student32_distill",
       .kind = "sft",
       .model = "student32_base",
       .data = {"traces"},
       .preset = "student32",
       .parameters = 1.1e5,
       .trained = 2.0e6,
       .seconds = 12},
      {.name = "student64_rl",
       .kind = "rl",
       .model = "student64_base",
       .preset = "student64",
       .algorithm = "grpo",
       .parameters = 3.4e5,
       .trained = 8.0e6,
       .sampled = 9.5e6,
       .seconds = 150},
      {.name = "student32_rl",
       .kind = "rl",
       .model = "student32_base",
       .preset = "student32",
       .algorithm = "grpo",
       .parameters = 1.1e5,
       .trained = 8.0e6,
       .sampled = 9.5e6,
       .seconds = 100}};
  s.insert(s.end(), rest.begin(), rest.end());
  return s;
}

// The whole folder of an R1 run.
inline void WriteFakePipeline(const std::string& folder, const FakePipeline& run) {
  Rng rng(static_cast<uint64_t>(run.seed), Stream::kTest, 77);
  const double s = run.shift + 0.006 * rng.Normal();
  const std::vector<FakeStage> stages = FakeR1Stages(run.without_language_reward);
  std::vector<FakeEval> evals = {
      {"base", "pretrain", 0.19, 0.04, 20.4, 0.22, 0.16, 0.31, 0.48, 0.17},
      {"zero", "zero", 0.776 + s, 0.42, 73.1, 0.82, 0.79, 0.35, 0.47, 0.21},
      {"dev1", "dev1", 0.55 + s, 0.40, 48.2, 0.52, 0.08, 0.49, 0.55, 0.22},
      {"dev2", "dev2", 0.74 + s, 0.55, 66.0, 0.75, 0.03, 0.51, 0.56, 0.24},
      {"dev3", "dev3", 0.752 + s, 0.57, 64.1, 0.74, 0.02, 0.62, 0.71, 0.30},
      {"r1", "r1", 0.79 + s, 0.61, 68.0, 0.78, 0.02, 0.86, 0.94, 0.31},
      {"student64_base", "student64_base", 0.09, 0.01, 18, 0.15, 0.2},
      {"student64_distill", "student64_distill", 0.58 + s, 0.34, 60, 0.7, 0.03, -1, -1, 0.16},
      {"student64_rl", "student64_rl", 0.36 + s, 0.11, 50, 0.5, 0.5, -1, -1, 0.12},
      {"student32_base", "student32_base", 0.05, 0.0, 18, 0.15, 0.2},
      {"student32_distill", "student32_distill", 0.31 + s, 0.12, 58, 0.6, 0.05},
      {"student32_rl", "student32_rl", 0.29 + s, 0.03, 33, 0.2, 0.3}};
  if (run.without_language_reward)
    evals.insert(evals.begin() + 4, {"dev2_nolang", "dev2_nolang", 0.748 + s, 0.56, 67, 0.76, 0.37, 0.5, 0.55});
  PutResults(folder, run.name, run.seed, stages, evals);
  uint64_t stream = 0;
  for (const FakeStage& stage : stages) {
    const std::string metrics = folder + "/" + stage.name + "/metrics.jsonl";
    FakeCurve curve{.stream = ++stream, .steps = run.steps};
    if (stage.kind == "pretrain") PutFile(metrics, FakePretrainMetrics({.seed = run.seed, .pretrain_steps = 400}));
    if (stage.kind == "sft") PutFile(metrics, FakeLossMetrics(run.seed, stream, 90, 1.4, 0.55, false));
    if (stage.kind == "rm") PutFile(metrics, FakeLossMetrics(run.seed, stream, 90, 0.69, 0.36, true));
    if (stage.kind != "rl") continue;
    if (stage.name == "dev2") curve = {0.55, 0.75, 48, 66, 0.08, 0.03};
    if (stage.name == "dev2_nolang") curve = {0.55, 0.75, 48, 67, 0.08, 0.37};
    if (stage.name == "r1")
      curve = {.from = 0.75,
               .to = 0.79,
               .tokens_from = 64,
               .tokens_to = 68,
               .mixed_from = 0.02,
               .mixed_to = 0.02,
               .rewards_models = true};
    if (stage.name == "overlong")
      curve = {.from = 0.75,
               .to = 0.79,
               .tokens_from = 64,
               .tokens_to = 90,
               .mixed_from = 0.02,
               .mixed_to = 0.05,
               .rewards_models = true,
               .hacked = run.hacking};
    if (stage.name == "student64_rl") curve = {.from = 0.09, .to = 0.36};
    if (stage.name == "student32_rl") curve = {.from = 0.05, .to = 0.29};
    curve.stream = stream;
    curve.steps = stage.name == "overlong" ? 3 * run.steps : run.steps;
    PutFile(metrics, FakeCurveMetrics(run.seed, curve));
    const FakeRun fake{.seed = run.seed, .rl_steps = run.steps};
    for (const int step : {0, run.steps / 2, run.steps - 1}) {
      PutFile(folder + "/" + stage.name + "/completions/step_" + std::to_string(step) + ".jsonl",
              FakeCompletions(fake, step));
    }
  }
  PutFile(folder + "/rm_helpful/eval.json", FakeRewardModel("helpful", 2400, 600, 0.861));
  PutFile(folder + "/rm_safety/eval.json", FakeRewardModel("safety", 3000, 600, 0.93));
  PutFile(folder + "/cold/stats.json",
          R"({"prompts":2000,"samples":8000,"kept":1400,"general":0,)"
          R"("dropped":{"wrong":5210,"mixed languages":1100,"repeats":190,"held out":100},"tokens":98000})");
  PutFile(folder + "/reject/stats.json",
          R"({"prompts":8000,"samples":32000,"kept":12400,"general":4000,)"
          R"("dropped":{"wrong":17000,"mixed languages":600,"too long":1200,"repeats":800},"tokens":900000})");
  PutFile(folder + "/traces/stats.json",
          R"({"prompts":8000,"samples":16000,"kept":9000,"general":2000,"dropped":{"wrong":5000},"tokens":700000})");
  PutFile(folder + "/prefs/stats.json",
          R"({"requests":3000,"judged":6000,"pairs":2400,"dropped_margin":3400,"dropped_balance":200,)"
          R"("safety_examples":5200,"safe":2600,"sampled_tokens":500000})");
  for (const char* name : {"base", "zero", "dev1", "dev2", "dev3", "r1"}) {
    FakeRun fake{.seed = run.seed + static_cast<int>(name[0]) + static_cast<int>(name[std::string(name).size() - 1])};
    PutFile(folder + "/eval_" + name + "/traces.jsonl", FakeTraces(fake, std::string(name) != "base"));
  }
}

// Twelve algorithms from one base.
inline void WriteFakeComparison(const std::string& folder, int seed, int steps = 80) {
  const char* names[] = {"grpo", "dr_grpo", "dapo",  "rloo",           "reinforce_pp", "remax",
                         "ppo",  "gspo",    "cispo", "grpo_dual_clip", "grpo_no_kl",   "expert_iteration"};
  std::vector<FakeStage> stages = {
      {.name = "pretrain", .kind = "pretrain", .model = "", .trained = 8.2e6, .seconds = 151}};
  std::vector<FakeEval> evals = {{"base", "pretrain", 0.19}};
  Rng rng(static_cast<uint64_t>(seed), Stream::kTest, 99);
  int index = 0;
  for (const char* name : names) {
    ++index;
    const std::string algorithm = std::string(name).rfind("grpo", 0) == 0 ? "grpo" : name;
    stages.push_back({.name = name,
                      .kind = "rl",
                      .model = "pretrain",
                      .algorithm = algorithm,
                      .trained = 5e6,
                      .sampled = 6e6 + 1e5 * index,
                      .seconds = 150.0 + index});
    const double end = 0.8 - 0.03 * index + 0.01 * rng.Normal();
    evals.push_back({name, name, end, -1, 70});
    PutFile(folder + "/" + name + "/metrics.jsonl",
            FakeCurveMetrics(seed, {.from = 0.19,
                                    .to = end,
                                    .stream = static_cast<uint64_t>(300 + index),
                                    .steps = steps,
                                    .pace = 0.12 + 0.02 * index}));
  }
  PutFile(folder + "/pretrain/metrics.jsonl", FakePretrainMetrics({.seed = seed, .pretrain_steps = 200}));
  PutResults(folder, "made-up-algorithms", seed, stages, evals);
}

// Two sizes by three shares of reasoning.
inline void WriteFakeBaseGrid(const std::string& folder, int seed, int steps = 80) {
  std::vector<FakeStage> stages;
  std::vector<FakeEval> evals;
  int index = 0;
  for (const char* preset : {"student64", "mini-v3"}) {
    for (const char* reasoning : {"none", "little", "much"}) {
      const std::string base = std::string(preset) + "_" + reasoning, rl = base + "_rl";
      const int row = index / 3, column = index % 3;
      stages.push_back({.name = base,
                        .kind = "pretrain",
                        .model = "",
                        .preset = preset,
                        .reasoning = reasoning,
                        .parameters = row == 0 ? 3.4e5 : 1.31e6,
                        .trained = 8.2e6,
                        .seconds = 100});
      stages.push_back({.name = rl,
                        .kind = "rl",
                        .model = base,
                        .preset = preset,
                        .algorithm = "grpo",
                        .parameters = row == 0 ? 3.4e5 : 1.31e6,
                        .trained = 4e6,
                        .sampled = 5e6,
                        .seconds = 120});
      const double before = 0.06 + 0.06 * column + 0.02 * row,
                   after = before + (column == 0 ? 0.004 : 0.1 * column * (row + 1.4));
      evals.push_back({base, base, before, -1, 20, 0.1 * column, 0.1});
      evals.push_back({rl, rl, after, -1, 20.0 + 20 * column, 0.35 * column, 0.2});
      PutFile(folder + "/" + base + "/metrics.jsonl", FakePretrainMetrics({.seed = seed, .pretrain_steps = 100}));
      PutFile(folder + "/" + rl + "/metrics.jsonl",
              FakeCurveMetrics(
                  seed, {.from = before, .to = after, .stream = static_cast<uint64_t>(500 + index), .steps = steps}));
      ++index;
    }
  }
  PutResults(folder, "made-up-bases", seed, stages, evals);
}

}  // namespace r1
