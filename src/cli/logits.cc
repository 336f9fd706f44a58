// r1 logits: what a model thinks of every next token.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>

#include "base/quote.h"
#include "cli/commands.h"
#include "cli/model_source.h"
#include "cli/output.h"
#include "cli/token_input.h"
#include "infer/float_runner.h"
#include "model/io.h"

namespace r1::cli {
namespace {

struct LogitsConfig {
  std::string model;
  std::string tokens;
  std::string prompt;
  std::string tokenizer;
  std::string dtype = "f32";
  bool absorbed = false;
  bool all_positions = false;
  bool last = false;
  int64_t top = 0;
  int64_t threads = 0;

  template <class V>
  void Fields(V& v) {
    v("model", model, "a model folder, a checkpoint, a stage folder of a run, or a file of llama2.c (.bin)");
    v("tokens", tokens, "token ids with commas or spaces between");
    v("prompt", prompt, "or a text: its tokens, added tokens in it being tokens, with the begin token if there is one");
    v("tokenizer", tokenizer,
      "tokenizer.json or vocabulary of llama2.c (.bin); if not given, the model folder's tokenizer.json");
    v("dtype", dtype,
      "f32: float32 throughout, for comparing with other programs; bf16: what training and sampling compute with");
    v("absorbed", absorbed, "with f32 and latent attention: over the latents themselves");
    v("all_positions", all_positions, "the logits after every token (so it is unless --last is given)");
    v("last", last, "only those after the last token");
    v("top", top, "only the largest N, sorted; 0: all of them (as text: 5)");
    v("threads", threads, "threads to compute with; 0: all cores. Changes the speed only");
  }
};

// Logits of rows of one sequence, given in blocks.
class LogitSource {
 public:
  virtual ~LogitSource() = default;
  virtual const ModelConfig& config() const = 0;
  virtual Status Prepare(int64_t positions) = 0;
  virtual Result<std::span<const float>> Append(std::span<const int32_t> tokens, bool last_only) = 0;
};

class FloatSource final : public LogitSource {
 public:
  FloatSource(FloatModel model, bool absorbed, ThreadPool& pool)
      : model_(std::move(model)), absorbed_(absorbed), pool_(pool) {}
  const ModelConfig& config() const override { return model_.config; }
  Status Prepare(int64_t positions) override {
    runner_.emplace(model_.config, model_.params.data(), positions, pool_,
                    absorbed_ ? FloatRunner::Latent::kAbsorbed : FloatRunner::Latent::kExpanded);
    return {};
  }
  Result<std::span<const float>> Append(std::span<const int32_t> tokens, bool last_only) override {
    return runner_->Append(tokens, last_only ? FloatRunner::Rows::kLast : FloatRunner::Rows::kAll);
  }

 private:
  FloatModel model_;
  bool absorbed_;
  ThreadPool& pool_;
  std::optional<FloatRunner> runner_;
};

class ExactSource final : public LogitSource {
 public:
  explicit ExactSource(Model model) : model_(std::move(model)) {}
  const ModelConfig& config() const override { return model_.config(); }
  Status Prepare(int64_t positions) override {
    cache_.emplace(model_.config(), 1, positions);
    return {};
  }
  Result<std::span<const float>> Append(std::span<const int32_t> tokens, bool last_only) override {
    const auto n = static_cast<int64_t>(tokens.size());
    std::vector<int32_t> position(tokens.size());
    std::iota(position.begin(), position.end(), static_cast<int32_t>(done_));
    const Segment segment{0, n, done_, 0};
    ctx_.Reset();
    const Var* h = model_.Forward(ctx_, {tokens.data(), position.data(), n, {&segment, 1}}, &*cache_, nullptr);
    done_ += n;
    const auto last = static_cast<int32_t>(n - 1);
    const int64_t rows = last_only ? 1 : n;
    const float* logits = HeadLogits(ctx_, h, model_.head(), last_only ? &last : nullptr, rows);
    return std::span<const float>(logits, static_cast<size_t>(rows * model_.config().vocab_size));
  }

 private:
  Model model_;
  std::optional<KvCache> cache_;
  Context ctx_;
  int64_t done_ = 0;
};

Status Validate(const LogitsConfig& config) {
  const auto usage = [](const std::string& what) -> Status { return Error{ErrorCode::kUsage, what}; };
  if (config.model.empty()) return usage("--model is missing");
  if (config.tokens.empty() == config.prompt.empty()) return usage("give one of --tokens and --prompt");
  if (config.dtype != "f32" && config.dtype != "bf16")
    return usage(fmt::format("--dtype: {} is neither f32 nor bf16", Quote(config.dtype)));
  if (config.absorbed && config.dtype != "f32") return usage("--absorbed needs --dtype f32");
  if (config.all_positions && config.last) return usage("--all-positions and --last exclude each other");
  if (config.top < 0) return usage("--top: must be 0 or more");
  return {};
}

Result<std::unique_ptr<LogitSource>> OpenSource(const LogitsConfig& config, const std::string& path, ThreadPool& pool) {
  if (config.dtype == "f32") {
    R1_ASSIGN(FloatModel model, LoadFloatModel(path));
    return std::unique_ptr<LogitSource>(std::make_unique<FloatSource>(std::move(model), config.absorbed, pool));
  }
  R1_ASSIGN(Model model, LoadModel(path, false, pool));
  return std::unique_ptr<LogitSource>(std::make_unique<ExactSource>(std::move(model)));
}

struct Candidate {
  int32_t token;
  float logit;
  double logp;
};

// The largest logits first, equal ones in token order. count 0: all.
std::vector<Candidate> Largest(std::span<const float> row, int64_t count) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const float x : row) top = std::max(top, static_cast<double>(x));
  for (const float x : row) sum += std::exp(static_cast<double>(x) - top);
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t kept = std::min(row.size(), static_cast<size_t>(count));
  const auto at = [&](int32_t token) {  // what is no number comes last
    const float x = row[static_cast<size_t>(token)];
    return std::isnan(x) ? -std::numeric_limits<float>::infinity() : x;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(kept), order.end(),
                    [&](int32_t a, int32_t b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
  std::vector<Candidate> out;
  for (size_t i = 0; i < kept; ++i)
    out.push_back({order[i], at(order[i]), static_cast<double>(at(order[i])) - top - std::log(sum)});
  return out;
}

// One line of JSON a position, so that no more than a block is in memory; or a table.
class Report {
 public:
  Report(const LogitsConfig& config, const std::string& path, std::span<const int32_t> tokens,
         const Tokenizer* tokenizer, bool json)
      : top_(config.top), tokenizer_(tokenizer), json_(json) {
    if (json_) {
      const nlohmann::ordered_json head = {
          {"model", path}, {"dtype", config.dtype}, {"tokens", std::vector<int32_t>(tokens.begin(), tokens.end())}};
      std::string text = head.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
      text.pop_back();  // the closing brace
      Print(text + ",\"positions\":[");
    } else {
      Print("position    token     next     logit  probability\n");
    }
  }
  void Add(int64_t position, int32_t token, std::span<const float> row) {
    const std::vector<Candidate> best = Largest(row, top_ > 0 ? top_ : json_ ? 1 : 5);
    if (!json_) {
      for (const Candidate& c : best) {
        Print(fmt::format("{:>8}  {:>7}  {:>7}  {:>8.4f}  {:>11.6f}  {}\n", position, token, c.token, c.logit,
                          std::exp(c.logp), tokenizer_ != nullptr ? Quote(tokenizer_->TextOf(c.token)) : ""));
      }
      return;
    }
    nlohmann::ordered_json line = {{"position", position}, {"token", token}, {"argmax", best[0].token}};
    if (top_ == 0) {
      line["logits"] = std::vector<float>(row.begin(), row.end());
    } else {
      for (const Candidate& c : best)
        line["top"].push_back({{"token", c.token}, {"logit", c.logit}, {"logprob", c.logp}});
    }
    Print((first_ ? "\n" : ",\n") + line.dump());
    first_ = false;
  }
  void Finish() const {
    if (json_) Print("\n]}\n");
  }

 private:
  int64_t top_;
  const Tokenizer* tokenizer_;
  bool json_, first_ = true;
};

Result<int> Run(const LogitsConfig& config, const Invocation& invocation) {
  R1_TRY(Validate(config));
  R1_ASSIGN(const std::unique_ptr<ThreadPool> pool, MakePool(config.threads));
  R1_ASSIGN(const std::string path, ResolveModel(config.model));
  R1_ASSIGN(const std::unique_ptr<LogitSource> source, OpenSource(config, path, *pool));
  const ModelConfig& model = source->config();
  if (model.num_labels != 0)
    return Error{ErrorCode::kRefused, path + " is a reward or value model (num_labels 1): it has no logits"};
  std::optional<Tokenizer> tokenizer;
  std::vector<int32_t> tokens;
  if (!config.prompt.empty() || !config.tokenizer.empty()) {
    R1_ASSIGN(tokenizer, OpenTokenizerOf(path, config.tokenizer, model.vocab_size));
  }
  if (config.prompt.empty()) {
    R1_ASSIGN(tokens, ReadTokenIds(config.tokens, "--tokens"));
  } else {
    tokens = tokenizer->Encode(config.prompt, true);
  }
  const auto n = static_cast<int64_t>(tokens.size());
  if (n == 0) return Error{ErrorCode::kUsage, "there is no token"};
  if (n > model.max_position_embeddings) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{} tokens are more than the model's {} positions", n, model.max_position_embeddings)};
  }
  for (const int32_t token : tokens) {
    if (token >= model.vocab_size) {
      return Error{ErrorCode::kBadInput,
                   fmt::format("token {} is outside the vocabulary of {}", token, model.vocab_size)};
    }
  }
  R1_TRY(source->Prepare(n));
  Report report(config, path, tokens, tokenizer ? &*tokenizer : nullptr, invocation.json);
  constexpr int64_t kBlock = 64;
  const auto width = static_cast<size_t>(model.vocab_size);
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = std::min(kBlock, n - at);
    const std::span<const int32_t> block =
        std::span(tokens).subspan(static_cast<size_t>(at), static_cast<size_t>(count));
    R1_ASSIGN(const std::span<const float> rows, source->Append(block, config.last));
    if (config.last && at + count < n) continue;
    const int64_t first = config.last ? n - 1 : at;
    for (int64_t i = first; i < at + count; ++i) {
      report.Add(i, tokens[static_cast<size_t>(i)], rows.subspan(static_cast<size_t>(i - first) * width, width));
    }
  }
  report.Finish();
  return 0;
}

}  // namespace

Command LogitsCommand() {
  Command command;
  command.name = "logits";
  command.group = "Look at results";
  command.summary = "print the logits of every next token";
  command.description =
      "Runs tokens through a model and prints its logits after each of them: with --json all of them, as text the "
      "largest. The numbers are those of float32 arithmetic throughout, to be compared with other programs; --dtype "
      "bf16 "
      "gives those that training and sampling compute with. Neither depends on threads or machine.";
  command.examples = {
      {"r1 logits --model runs/zero/rl --prompt \"<|begin|><|user|> pick 14 8\" --last", "the likeliest next tokens"},
      {"r1 logits --model Qwen3-0.6B --tokens 9707,11 --json", "all logits, for a script"},
      {"r1 logits --model stories260K.bin --tokenizer tok512.bin --prompt Once --top 3",
       "a model of llama2.c with its vocabulary"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
