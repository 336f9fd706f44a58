// A model folder opened for commands that sample: weights, tokenizer, and the prompt form the model was trained with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace r1::cli {

struct OpenedModel {
  std::string folder;  // with config.json: PATH itself or its newest checkpoint
  Model model;
  Tokenizer tokenizer;
  std::vector<int32_t> stop;  // tokens that end a reply
};

// threads 0: all cores. Error kUsage for a negative or silly number.
Result<std::unique_ptr<ThreadPool>> MakePool(int64_t threads);

// path: a model folder, a stage or run folder with checkpoints (the newest whole one is taken).
Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool);

// Tokens of a prompt. Content of a user: nothing in it becomes a marker; it is put between the markers the model knows
// (begin, user … assistant). as_is: text with its markers, as in the training data.
std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view prompt, bool as_is);

}  // namespace r1::cli
