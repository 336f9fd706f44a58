// r1 generate: what a model answers to a prompt, streamed, or several samples of it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/model_source.h"
#include "cli/output.h"
#include "infer/float_rollout.h"
#include "infer/rollout.h"
#include "world/words.h"

namespace r1::cli {
namespace {

struct GenerateConfig {
  SamplingConfig sampling;
  int64_t num_generations = 1;
  int64_t max_completion_length = 150;
  int64_t seed = 0;
  bool stream = true;
  bool as_is = false;
  std::string system_prompt;
  bool show_thinking = true;
  std::string dtype = "bf16";
  std::string tokenizer;
  int64_t threads = 0;

  template <class V>
  void Fields(V& v) {
    sampling.Fields(v);
    v("num_generations", num_generations, "answers to sample");
    v("max_completion_length", max_completion_length, "longest answer, tokens");
    v("seed", seed,
      "of the random numbers: the same seed gives the same answers, on any machine and with any number of threads");
    v("stream", stream, "print a single answer word by word as it is sampled");
    v("as_is", as_is,
      "the prompt is complete, with its markers or special tokens (<|begin|><|user|> ... <|assistant|>): put none "
      "around "
      "it");
    v("system_prompt", system_prompt, "system message before the prompt; the model's chat template must take one");
    v("show_thinking", show_thinking, "print what stands between <think> and </think>");
    v("dtype", dtype,
      "bf16: what training computes with; f32: float32 throughout, for any model and one answer at a time");
    v("tokenizer", tokenizer,
      "tokenizer.json or vocabulary of llama2.c (.bin), and the prompt is a text to be continued; if not given, "
      "tokenizer and chat template of the model");
    v("threads", threads, "threads to compute with; 0: all cores. Changes the speed only");
  }
};

Status Validate(const GenerateConfig& config) {
  R1_TRY(ValidateSamplingConfig(config.sampling, "command line"));
  const auto outside = [](const char* name, int64_t value, int64_t low, int64_t high) {
    return Error{ErrorCode::kUsage, fmt::format("--{}: {} is not in {} .. {}", name, value, low, high)};
  };
  if (config.num_generations < 1 || config.num_generations > 65536)
    return outside("num-generations", config.num_generations, 1, 65536);
  if (config.max_completion_length < 1 || config.max_completion_length > (1 << 20))
    return outside("max-completion-length", config.max_completion_length, 1, 1 << 20);
  if (config.seed < 0) return Error{ErrorCode::kUsage, "--seed: must be 0 or more"};
  if (config.dtype != "f32" && config.dtype != "bf16")
    return Error{ErrorCode::kUsage, fmt::format("--dtype: '{}' is neither bf16 nor f32", config.dtype)};
  return {};
}

// Prints tokens as text; keeps back bytes that do not yet make a whole character. Thinking is dim on a terminal, or
// left out.
class Writer {
 public:
  // leading: the space that begins the first token is printed (text of the prompt stands before it).
  Writer(const ModelText& text, ThinkState think, bool leading, bool show_thinking)
      : tokenizer_(text.tokenizer()),
        stop_(text.stop()),
        leading_(leading),
        drop_space_(!leading),
        think_(text.tokenizer().IdOf(kThinkMarker)),
        end_think_(text.tokenizer().IdOf(kEndThinkMarker)),
        show_thinking_(show_thinking),
        colour_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr),
        opened_(think == ThinkState::kOpen) {}

  void Add(int32_t token) {
    if (std::find(stop_.begin(), stop_.end(), token) != stop_.end()) return;
    if (token == think_ || (opened_ && !thinking_ && !begun_)) {  // the prompt may have opened it
      thinking_ = true;
      if (show_thinking_ && colour_) Print("\x1b[2m");
    }
    begun_ = true;
    std::string text = tokenizer_.TextOf(token);
    if (drop_space_ && text.starts_with(' ')) text.erase(0, 1);
    drop_space_ = false;
    if (show_thinking_ || !thinking_) Text(text);
    if (token == end_think_) {
      if (show_thinking_ && colour_) Print("\x1b[0m");
      thinking_ = false;
    }
    std::fflush(stdout);
  }

  void Finish() {
    if (!pending_.empty()) Print("\xEF\xBF\xBD");  // a character that was never completed
    if (thinking_ && show_thinking_ && colour_) Print("\x1b[0m");
    Print("\n");
    pending_.clear();
    thinking_ = begun_ = false;
    drop_space_ = !leading_;
  }

 private:
  void Text(const std::string& bytes) {
    pending_ += bytes;
    size_t done = 0;
    while (done < pending_.size()) {
      const std::string_view rest = std::string_view(pending_).substr(done);
      const int length = Utf8Length(rest);
      if (length == 0 && rest.size() < 4 && (static_cast<unsigned char>(rest[0]) & 0xc0) == 0xc0)
        break;  // may still become one
      // Control characters of a model's making must not move the terminal.
      const bool control =
          length == 1 && static_cast<unsigned char>(rest[0]) < 0x20 && rest[0] != '\n' && rest[0] != '\t';
      Print(length == 0 || control ? std::string_view("\xEF\xBF\xBD") : rest.substr(0, static_cast<size_t>(length)));
      done += static_cast<size_t>(std::max(length, 1));
    }
    pending_.erase(0, done);
  }

  const Tokenizer& tokenizer_;
  std::vector<int32_t> stop_;
  bool leading_, drop_space_;
  int32_t think_, end_think_;
  bool show_thinking_, colour_;
  bool opened_;
  bool thinking_ = false, begun_ = false;
  std::string pending_;
};

Result<std::string> ReadPrompt(const Invocation& invocation) {
  const bool given = invocation.positionals.size() > 1 && invocation.positionals[1] != "-";
  if (given) return invocation.positionals[1];
  if (invocation.positionals.size() < 2 && isatty(STDIN_FILENO) != 0)
    return Error{ErrorCode::kUsage, "PROMPT is missing: give it after the model, or on standard input"};
  constexpr size_t kMostBytes = size_t{16} << 20;
  std::string text;
  char buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    text.append(buffer, n);
    if (text.size() > kMostBytes)
      return Error{ErrorCode::kBadInput, "the prompt on standard input is longer than 16 MiB"};
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

using Answers = Result<std::vector<Completion>>;

Answers Sample(const OpenedModel& opened, const std::vector<int32_t>& prompt, int64_t samples,
               const RolloutOptions& options, ThreadPool& pool) {
  RolloutEngine engine(opened.model, pool);
  R1_ASSIGN(auto results, engine.Run({{prompt, 0, samples}}, options));
  return std::move(results[0]);
}

Answers Sample(const OpenedFloatModel& opened, const std::vector<int32_t>& prompt, int64_t samples,
               const RolloutOptions& options, ThreadPool& pool) {
  const ModelConfig& config = opened.model.config;
  const int64_t wanted = static_cast<int64_t>(prompt.size()) + options.max_new_tokens;
  FloatRunner runner(config, opened.model.params.data(), std::min(wanted, config.max_position_embeddings), pool);
  return SampleFloat(runner, prompt, samples, options);
}

// The space that begins a text of SentencePiece is no part of it; behind other text it is.
bool HasLeadingSpace(const Tokenizer& tokenizer, const std::vector<int32_t>& prompt) {
  return tokenizer.parts().normalizer != Normalizer::kSpaceBefore || !tokenizer.Decode(prompt, true).empty();
}

std::string TextOf(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens, bool leading) {
  std::string text = tokenizer.Decode(tokens);
  const bool dropped = tokenizer.parts().normalizer == Normalizer::kSpaceBefore && !tokens.empty() &&
                       tokenizer.TextOf(tokens[0]).starts_with(' ');
  return leading && dropped ? " " + text : text;
}

template <class Opened>
Result<int> Generate(const GenerateConfig& config, const Invocation& invocation, const std::string& prompt,
                     const Opened& opened, ThreadPool& pool) {
  InstallInterruptHandler();
  R1_ASSIGN(const EncodedPrompt asked, PromptTokens(opened.text, config.system_prompt, prompt, config.as_is));
  RolloutOptions options;
  options.sampling = config.sampling;
  options.max_new_tokens = config.max_completion_length;
  options.stop = opened.stop;
  options.token_limit = opened.tokenizer().size();
  options.seed = static_cast<uint64_t>(config.seed);
  const bool leading = HasLeadingSpace(opened.tokenizer(), asked.tokens);
  Writer writer(opened.text, asked.think, leading, config.show_thinking);
  const bool streaming = config.stream && config.num_generations == 1 && !invocation.json;
  if (streaming) {
    options.on_token = [&](size_t, int64_t, int32_t token) {
      writer.Add(token);
      return !Interrupted();
    };
  }
  const auto began = std::chrono::steady_clock::now();
  R1_ASSIGN(const auto results, Sample(opened, asked.tokens, config.num_generations, options, pool));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (streaming) writer.Finish();
  if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted"};
  int64_t tokens = 0;
  nlohmann::ordered_json completions = nlohmann::ordered_json::array();
  for (const Completion& completion : results) {
    const auto n = static_cast<int64_t>(completion.tokens.size());
    tokens += n;
    double logp = 0;
    for (const float value : completion.logp) logp += static_cast<double>(value);
    if (invocation.json) {
      completions.push_back({{"text", TextOf(opened.tokenizer(), completion.tokens, leading)},
                             {"tokens", n},
                             {"finish_reason", completion.finish == FinishReason::kStop ? "stop" : "length"},
                             {"logprob", logp},
                             {"mean_entropy", n > 0 ? completion.entropy_sum / static_cast<double>(n) : 0.0}});
    } else if (!streaming) {
      for (const int32_t token : completion.tokens) writer.Add(token);
      writer.Finish();
    }
  }
  if (invocation.json) {
    PrintJson({{"model", opened.folder},
               {"prompt", prompt},
               {"prompt_tokens", asked.tokens.size()},
               {"completions", completions},
               {"seconds", seconds},
               {"tokens_per_second", seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0}});
  } else {
    LogInfo(fmt::format("{} prompt and {} new tokens in {:.2f} s", asked.tokens.size(), tokens, seconds));
  }
  return 0;
}

Result<int> Run(const GenerateConfig& config, const Invocation& invocation) {
  R1_TRY(Validate(config));
  R1_ASSIGN(const std::unique_ptr<ThreadPool> pool, MakePool(config.threads));
  R1_ASSIGN(const std::string prompt, ReadPrompt(invocation));
  const std::string& path = invocation.positionals[0];
  if (config.dtype == "f32") {
    R1_ASSIGN(const OpenedFloatModel opened, OpenFloatModel(path, config.tokenizer));
    return Generate(config, invocation, prompt, opened, *pool);
  }
  R1_ASSIGN(const OpenedModel opened, OpenModel(path, *pool, config.tokenizer));
  return Generate(config, invocation, prompt, opened, *pool);
}

}  // namespace

Command GenerateCommand() {
  Command command;
  command.name = "generate";
  command.group = "Use a model";
  command.summary = "print what a model answers to a prompt";
  command.description =
      "Reads a model folder, a checkpoint, or a stage folder of a run (then its newest checkpoint) and samples "
      "answers. The prompt is "
      "taken as a user's text: whatever it contains, it cannot forge the model's markers. Thinking is shown dim on a "
      "terminal.";
  command.examples = {{"r1 generate runs/zero/rl 'pick 14 8 20 3 5 sum 42'", "one answer, word by word"},
                      {"echo 'pick 14 8 20 3 5 sum 42' | r1 generate runs/zero/rl --temperature 0",
                       "the prompt from standard input, always the likeliest word"},
                      {"r1 generate runs/zero/rl 'pick 14 8 20 3 5 sum 42' --num-generations 16 --json",
                       "sixteen answers for a script"},
                      {"r1 generate stories260K.bin '' --tokenizer tok512.bin --dtype f32 --temperature 0",
                       "a story of a model of llama2.c, in float32"}};
  command.positionals = {
      {"MODEL", "a model folder, a checkpoint, a stage folder of a run, a GGUF file, or one of llama2.c (.bin)"},
      {"PROMPT", "what to ask; '-' or nothing: standard input", false}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
