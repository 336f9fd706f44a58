// A model folder opened for commands that sample: weights, tokenizer, and the prompt form the model was trained with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "data/model_text.h"
#include "model/model.h"

namespace r1::cli {

struct OpenedModel {
  std::string folder;  // with config.json: PATH itself or its newest checkpoint
  Model model;
  ModelText text;
  std::vector<int32_t> stop;  // tokens that end a reply
  const Tokenizer& tokenizer() const { return text.tokenizer(); }
};

// threads 0: all cores. Error kUsage for a negative or silly number.
Result<std::unique_ptr<ThreadPool>> MakePool(int64_t threads);

// path: a model folder, a stage or run folder with checkpoints (the newest whole one is taken).
Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool);

// A prompt in the model's format (data/model_text.h), after a system message if there is one: nothing in it becomes a
// marker. as_is: text with its markers, as in the training data.
Result<EncodedPrompt> PromptTokens(const ModelText& text, const std::string& system, const std::string& prompt,
                                   bool as_is);

}  // namespace r1::cli
