// The public interface: open a trained model and let it answer.
//
//   auto engine = r1::Engine::Open("runs/demo/zero");
//   if (!engine.ok()) return Fail(engine.error().message);
//   auto done = engine->Generate("pick 14 8 20 3 5 sum 42", {}, [](std::string_view piece) { std::cout << piece; return
//   true; });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "r1/result.h"

namespace r1 {

struct EngineOptions {
  int threads = 0;  // 0: every core this process may use; changes the speed only
};

struct GenerateOptions {
  int64_t max_new_tokens = 150;  // longest answer, tokens
  double temperature = 1.0;      // 0: always the most likely token
  int64_t top_k = 0;             // only the k most likely tokens; 0: all
  double top_p = 1.0;            // smallest set of tokens with this total probability
  double min_p = 0.0;            // tokens with at least this share of the likeliest one's probability
  uint64_t seed = 0;             // the same seed gives the same answer, whatever the machine and the threads
  bool raw = false;              // the prompt already has its markers
};

struct Generation {
  std::string text;  // the answer with its markers, e.g. "<think> ... </think><answer> 8 14 20</answer>"
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  // of each token, nats
  bool finished = false;        // the model ended by itself; false: max_new_tokens or the callback ended it
};

class Engine {
 public:
  // path: a model folder (config.json, model.safetensors, tokenizer.json) or a folder of checkpoints.
  // Errors: kBadInput (missing or malformed files, named), kRefused (a model kind this version does not run).
  static Result<Engine> Open(const std::string& path, const EngineOptions& options = {});
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  // on_text, if given, gets the answer piece by piece as it is made, whole UTF-8 characters at a time; false stops. One
  // call at a time. Errors: kBadInput (prompt empty or too long for the model), kRefused (impossible option).
  Result<Generation> Generate(std::string_view prompt, const GenerateOptions& options = {},
                              const std::function<bool(std::string_view piece)>& on_text = nullptr);

  int64_t parameters() const;
  int64_t max_tokens() const;  // longest prompt and answer together

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// "0.1.0"
std::string_view Version();

}  // namespace r1
