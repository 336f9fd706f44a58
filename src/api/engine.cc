// The public Engine over tokenizer, model and rollout engine.
#include "r1/engine.h"

#include <algorithm>

#include "base/files.h"
#include "base/threads.h"
#include "base/utf8.h"
#include "infer/rollout.h"
#include "model/io.h"
#include "model/params.h"
#include "store/checkpoint.h"
#include "text/tokenizer.h"

namespace r1 {

struct Engine::State {
  State(Model m, Tokenizer t, std::unique_ptr<ThreadPool> p)
      : model(std::move(m)), tokenizer(std::move(t)), pool(std::move(p)), rollout(model, *pool) {}
  Model model;
  Tokenizer tokenizer;
  std::unique_ptr<ThreadPool> pool;
  RolloutEngine rollout;
};

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::Open(const std::string& path, const EngineOptions& options) {
  if (options.threads < 0 || options.threads > 1024) return Error{ErrorCode::kRefused, "threads must be in 0 .. 1024"};
  std::string folder = path;
  if (!Exists(JoinPath(path, "config.json"))) {
    if (!IsDir(path)) return Error{ErrorCode::kBadInput, path + ": no such model folder"};
    R1_ASSIGN(const std::optional<CheckpointRef> found, FindCheckpoint(path));
    if (!found.has_value())
      return Error{ErrorCode::kBadInput, path + ": neither a config.json nor a checkpoint-N folder in it"};
    folder = found->path;
  }
  auto pool = std::make_unique<ThreadPool>(options.threads > 0 ? options.threads : AvailableCores());
  SetFloatMode();
  R1_ASSIGN(Tokenizer tokenizer, Tokenizer::Load(JoinPath(folder, "tokenizer.json")));
  R1_ASSIGN(Model model, LoadModel(folder, false, *pool));
  if (tokenizer.size() > model.config().vocab_size) {
    return Error{ErrorCode::kBadInput, folder + ": the tokenizer has " + std::to_string(tokenizer.size()) +
                                           " tokens, the model only " + std::to_string(model.config().vocab_size)};
  }
  return Result<Engine>(Engine(std::make_unique<State>(std::move(model), std::move(tokenizer), std::move(pool))));
}

Result<Generation> Engine::Generate(std::string_view prompt, const GenerateOptions& options,
                                    const std::function<bool(std::string_view)>& on_text) {
  State& s = *state_;
  RolloutOptions o;
  o.sampling = {options.temperature, options.top_k, options.top_p, options.min_p};
  R1_TRY(ValidateSamplingConfig(o.sampling, "Generate"));
  if (options.max_new_tokens < 1) return Error{ErrorCode::kRefused, "Generate: max_new_tokens must be at least 1"};
  SetFloatMode();
  o.max_new_tokens = options.max_new_tokens;
  const int32_t end = s.tokenizer.IdOf("<|end|>");
  if (end >= 0) o.stop = {end};
  o.token_limit = s.tokenizer.size();
  o.seed = options.seed;
  RolloutRequest request;
  if (options.raw) {
    request.prompt = s.tokenizer.Encode(prompt);
  } else {
    // What the user wrote never becomes a marker.
    request.prompt = s.tokenizer.Encode("<|begin|><|user|>");
    const std::string content =
        prompt.empty() || prompt.front() == ' ' ? std::string(prompt) : " " + std::string(prompt);
    const std::vector<int32_t> words = s.tokenizer.EncodeContent(content);
    request.prompt.insert(request.prompt.end(), words.begin(), words.end());
    request.prompt.push_back(s.tokenizer.IdOf("<|assistant|>"));
  }
  std::vector<int32_t> seen;
  size_t sent = 0;
  bool stopped = false;
  if (on_text) {
    o.on_token = [&](size_t, int64_t, int32_t token) {
      seen.push_back(token);
      if (token == end) return true;
      const std::string text = s.tokenizer.Decode(seen);
      const size_t whole = FirstInvalidUtf8(text);
      if (whole > sent) {
        stopped = !on_text(std::string_view(text).substr(sent, whole - sent));
        sent = whole;
      }
      return !stopped;
    };
  }
  R1_ASSIGN(auto results, s.rollout.Run({request}, o));
  if (on_text && !stopped) {  // bytes that never became a whole character
    if (!seen.empty() && seen.back() == end) seen.pop_back();
    const std::string text = s.tokenizer.Decode(seen);
    if (text.size() > sent) on_text(std::string_view(text).substr(sent));
  }
  Completion& c = results[0][0];
  Generation g;
  g.finished = c.finish == FinishReason::kStop;
  if (g.finished && !c.tokens.empty()) {
    c.tokens.pop_back();  // the end marker is not part of the answer
    c.logp.pop_back();
  }
  g.text = s.tokenizer.Decode(c.tokens);
  g.tokens = std::move(c.tokens);
  g.logprobs = std::move(c.logp);
  return g;
}

int64_t Engine::parameters() const { return CountParams(state_->model.config()).total; }
int64_t Engine::max_tokens() const { return state_->model.config().max_position_embeddings; }

std::string_view Version() { return R1_VERSION; }

}  // namespace r1
