// A model folder opened for commands that sample: weights, tokenizer, and the prompt form the model was trained with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "data/model_text.h"
#include "infer/float_runner.h"
#include "model/model.h"

namespace r1::cli {

struct OpenedModel {
  std::string folder;  // with config.json: PATH itself or its newest checkpoint; or a model file
  Model model;
  ModelText text;
  std::vector<int32_t> stop;  // tokens that end a reply
  const Tokenizer& tokenizer() const { return text.tokenizer(); }
};
struct OpenedFloatModel {  // the same for float32
  std::string folder;
  FloatModel model;
  ModelText text;
  std::vector<int32_t> stop;
  const Tokenizer& tokenizer() const { return text.tokenizer(); }
};

// threads 0: all cores. Error kUsage for a negative or silly number.
Result<std::unique_ptr<ThreadPool>> MakePool(int64_t threads);

// A model file as it is, a model folder, or the newest whole checkpoint of a stage or run folder.
Result<std::string> ResolveModel(const std::string& path);
// path: as for ResolveModel. tokenizer: as for OpenTokenizer; "": the one in the model's folder.
Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool, const std::string& tokenizer = "");
Result<OpenedFloatModel> OpenFloatModel(const std::string& path, const std::string& tokenizer);
// The tokenizer alone. folder: as ResolveModel gives it. Error if it has more tokens than the model.
Result<Tokenizer> OpenTokenizerOf(const std::string& folder, const std::string& tokenizer, int64_t vocab_size);

// A prompt in the model's format (data/model_text.h), after a system message if there is one: nothing in it becomes a
// marker. With --tokenizer, or in a file without a chat template, it is a text to be continued. as_is: text with its
// markers, as in the training data.
Result<EncodedPrompt> PromptTokens(const ModelText& text, const std::string& system, const std::string& prompt,
                                   bool as_is);

}  // namespace r1::cli
