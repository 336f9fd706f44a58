// For tests: run folders whose numbers are made up, in the shape that the recipe writes. Nothing in
// them was measured.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "base/files.h"
#include "base/rng.h"

namespace r1 {

struct FakeRun {
  std::string name = "made-up";
  int seed = 0;
  int rl_steps = 150;
  int pretrain_steps = 800;
  std::string reply_tail = {};  // put into every trace, to see what the page does with it
};

inline void PutFile(const std::string& path, std::string_view text) {
  const Status made = MakeDirs(ParentOf(path));
  R1_CHECK(made.ok(), "cannot make the folder of " + path);
  const Status written = WriteFileAtomic(path, text);
  R1_CHECK(written.ok(), "cannot write " + path);
}

inline std::string FakePretrainMetrics(const FakeRun& run) {
  Rng rng(static_cast<uint64_t>(run.seed), Stream::kTest, 1);
  std::string out;
  for (int i = 1; i <= run.pretrain_steps; ++i) {
    const double t = static_cast<double>(i) / run.pretrain_steps;
    out += fmt::format(
        R"({{"step":{},"num_tokens":{},"loss":{:.4f},"learning_rate":{:.6g},"grad_norm":{:.4f},"expert_load/max":{:.3f},)"
        R"("expert_load/min":{:.3f},"tokens_per_second":{:.0f},"step_time":{:.4f}}})"
        "\n",
        i, i * 8192, 0.9 + 5.2 * std::exp(-9 * t) + 0.05 * rng.Normal(),
        2.5e-3 * std::min(1.0, i / 50.0) * (0.55 + 0.45 * std::cos(3.14159 * t)),
        0.4 + 2 * std::exp(-20 * t) + 0.05 * std::abs(rng.Normal()),
        1.2 + 0.8 * std::exp(-6 * t) + 0.05 * std::abs(rng.Normal()), 0.8 - 0.5 * std::exp(-6 * t),
        46000 + 1500 * rng.Normal(), 0.18 + 0.01 * std::abs(rng.Normal()));
  }
  return out;
}

inline std::string FakeRlMetrics(const FakeRun& run) {
  Rng rng(static_cast<uint64_t>(run.seed), Stream::kTest, 2);
  std::string out;
  double tokens = 0;
  const auto share = [](double v) { return std::min(1.0, std::max(0.0, v)); };
  for (int i = 0; i < run.rl_steps; ++i) {
    const double t = 1 - std::exp(-i / 32.0);
    const double length = 20 + 52 * (1 - std::exp(-i / 14.0)) + 2.5 * rng.Normal();
    const double accuracy = share(0.18 + 0.6 * t + 0.035 * rng.Normal());
    tokens += 256 * length;
    out += fmt::format(
        R"({{"step":{},"num_tokens":{:.0f},"loss":{:.5f},"learning_rate":0.0003,"grad_norm":{:.4f},"reward":{:.4f},"reward_std":{:.4f},)"
        R"("frac_reward_zero_std":{:.4f},"rewards/accuracy/mean":{:.4f},"rewards/format/mean":{:.4f},"completions/mean_length":{:.2f},)"
        R"("completions/max_length":150,"completions/clipped_ratio":{:.4f},"kl":{:.4f},"entropy":{:.4f},"clip_ratio/low_mean":0.0,)"
        R"("clip_ratio/high_mean":0.0,"logp_mismatch/max":0.0,"reward/ungradable_frac":0.0,"think/mean_tokens":{:.2f},)"
        R"("think/reflections":{:.4f},"language/consistency":{:.4f},"language/mixed":{:.4f},"expert_load/max":{:.3f},"expert_load/min":{:.3f},)"
        R"("step_time":{:.3f},"time/rollout":{:.3f},"time/grade":{:.3f},"time/train":{:.3f},"tokens_per_second":{:.0f}{}}})"
        "\n",
        i, tokens, 0.01 * rng.Normal(), 0.5 + 0.1 * std::abs(rng.Normal()), accuracy + 0.19, 0.45 - 0.2 * t,
        share(0.05 + 0.25 * t + 0.04 * rng.Normal()), accuracy,
        share(0.52 + 0.46 * (1 - std::exp(-i / 8.0)) + 0.01 * rng.Normal()), length,
        share(0.03 * std::exp(-i / 20.0) + 0.004), 0.12 * t + 0.004 * std::abs(rng.Normal()),
        1.1 - 0.75 * t + 0.02 * rng.Normal(), length * 0.82, share(0.22 + 0.62 * t + 0.03 * rng.Normal()),
        share(0.82 - 0.3 * t + 0.02 * rng.Normal()), share(0.16 + 0.65 * t + 0.03 * rng.Normal()),
        1.3 + 0.1 * std::abs(rng.Normal()), 0.7, 1.1 + 0.004 * length, 0.5 + 0.003 * length, 0.01, 0.5 + 0.001 * length,
        256 * length / (1.1 + 0.004 * length),
        i % 10 == 0 ? fmt::format(R"(,"eval/pass@1":{:.4f})", share(0.185 + 0.6 * t + 0.008 * rng.Normal())) : "");
  }
  return out;
}

inline std::string FakeReply(Rng* rng, bool thinks, bool right, bool chinese) {
  const auto wait = chinese ? "等等" : "wait";
  if (!thinks)
    return fmt::format(" <answer> {} {} {} </answer><|end|>", rng->Range(1, 20), rng->Range(1, 20), rng->Range(1, 20));
  std::string out = fmt::format(" <think> {}", chinese ? "试" : "try");
  const int64_t tries = rng->Range(1, 6);
  for (int64_t i = 0; i < tries; ++i) {
    const int64_t a = rng->Range(1, 20), b = rng->Range(1, 20), c = rng->Range(1, 20);
    const bool last = i + 1 == tries;
    out += fmt::format(" {} + {} = {} + {} = {} {}", a, b, a + b, c, a + b + c,
                       last && right ? (chinese ? "对" : "yes") : (chinese ? "大" : "big"));
    if (!last) out += std::string(" ") + wait;
  }
  out += fmt::format(" {} </think> <answer> 2 9 17 </answer><|end|>",
                     right ? (chinese ? "所以" : "so") : (chinese ? "算了" : "stop"));
  return out;
}

inline std::string JsonText(std::string_view text) {  // enough for the texts above
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

inline std::string FakePrompt(Rng* rng, bool chinese) {
  return fmt::format("<|begin|><|user|> {} {} {} {} {} {} {} {}<|assistant|>", chinese ? "选" : "pick",
                     rng->Range(1, 20), rng->Range(1, 20), rng->Range(1, 20), rng->Range(1, 20), rng->Range(1, 20),
                     chinese ? "和" : "sum", rng->Range(10, 55));
}

inline std::string FakeTraces(const FakeRun& run, bool after) {
  std::string out;
  Rng prompts(0, Stream::kTest, 3), replies(static_cast<uint64_t>(run.seed), Stream::kTest, after ? 5 : 4);
  for (int i = 0; i < 40; ++i) {
    const bool chinese = i % 5 < 2;
    const std::string prompt = FakePrompt(&prompts, chinese);
    const bool right = replies.Chance(after ? 0.78 : 0.2);
    const std::string reply = FakeReply(&replies, after || replies.Chance(0.4), right, chinese) + run.reply_tail;
    out += fmt::format(R"({{"problem":{},"prompt":{},"completion":{},"correct":{},"tokens":{}}})"
                       "\n",
                       i, JsonText(prompt), JsonText(reply), right, reply.size() / 3);
  }
  return out;
}

inline std::string FakeCompletions(const FakeRun& run, int step) {
  std::string out;
  Rng rng(static_cast<uint64_t>(run.seed), Stream::kTest, static_cast<uint64_t>(100 + step));
  const std::string prompt = FakePrompt(&rng, false);
  for (int i = 0; i < 8; ++i) {
    const bool right = rng.Chance(0.2 + 0.6 * step / run.rl_steps);
    out += fmt::format(
        R"({{"step":{},"prompt_id":17,"sample":{},"prompt":{},"completion":{},"reward":{},"rewards":{{"accuracy":{},"format":1}},)"
        R"("advantage":{:.4f},"tokens":{},"finish_reason":"stop"}})"
        "\n",
        step, i, JsonText(prompt), JsonText(FakeReply(&rng, true, right, false)), right ? 1.2 : 0.2, right ? 1 : 0,
        right ? 0.9 : -0.9, rng.Range(20, 90));
  }
  return out;
}

inline std::string FakeResults(const FakeRun& run) {
  Rng rng(static_cast<uint64_t>(run.seed), Stream::kTest, 6);
  const double shift = 0.01 * rng.Normal();
  return fmt::format(
      R"({{"name":{},"seed":{},"preset":"mini","stages":[
{{"name":"base","eval":{{"problems":500,"samples":16,"temperature":1.0,"pass@1":{:.4f},"pass@1_stderr":0.005,"cons@16":0.478,"cons@16_stderr":0.022,
"cons@64":0.686,"format":0.52,"mean_tokens":20.4,"reflection":0.22,"mixed":0.16,"language":0.82,"think_share":0.335,"think_accuracy":0.281,
"general":0.863,"verifier_yes_given_wrong":0.012,"verifier_yes_given_right":0.97}}}},
{{"name":"zero","eval":{{"problems":500,"samples":16,"temperature":1.0,"pass@1":{:.4f},"pass@1_stderr":0.009,"cons@16":0.956,"cons@16_stderr":0.009,
"format":0.98,"mean_tokens":73.1,"reflection":0.82,"mixed":0.79,"language":0.61,"think_share":0.995,"think_accuracy":0.82,"general":0.83}}}}],
"times":{{"pretrain":152.2,"rl":171.9,"eval":31.0,"total":357.4}},"tokens":{{"pretrain":6553600,"rl_sampled":2480000,"rl_trained":2100000}}}})",
      JsonText(run.name), run.seed, 0.19 + shift, 0.776 + 2 * shift);
}

// Writes the whole folder.
inline void WriteFakeRun(const std::string& folder, const FakeRun& run) {
  PutFile(folder + "/results.json", FakeResults(run));
  PutFile(folder + "/manifest.json",
          R"({"version":"0.1.0","config_sha256":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",)"
          R"("stages":[{"name":"pretrain","parent":null},{"name":"zero","parent":"pretrain"}]})");
  PutFile(folder + "/recipe.toml",
          "name = \"made-up\"\nseed = 0\n\n[[stage]]\nkind = \"pretrain\"\ntokens = "
          "6500000\n\n[[stage]]\nkind = \"rl\"\nsteps = 150\n");
  PutFile(folder + "/pretrain/metrics.jsonl", FakePretrainMetrics(run));
  PutFile(folder + "/zero/metrics.jsonl", FakeRlMetrics(run));
  for (int step = 0; step < run.rl_steps; step += 10) {
    PutFile(folder + "/zero/completions/step_" + std::to_string(step) + ".jsonl", FakeCompletions(run, step));
  }
  PutFile(folder + "/eval_base/traces.jsonl", FakeTraces(run, false));
  PutFile(folder + "/eval_zero/traces.jsonl", FakeTraces(run, true));
}

}  // namespace r1
