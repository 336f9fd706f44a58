// A model folder opened for commands that sample: weights, tokenizer, and the prompt form the model was trained with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "infer/float_runner.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace r1::cli {

struct OpenedModel {
  std::string folder;  // with config.json: PATH itself or its newest checkpoint; or a model file
  Model model;
  Tokenizer tokenizer;
  std::vector<int32_t> stop;  // tokens that end a reply
};
struct OpenedFloatModel {  // the same for float32
  std::string folder;
  FloatModel model;
  Tokenizer tokenizer;
  std::vector<int32_t> stop;
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

// Tokens of a prompt. Content of a user: nothing in it becomes a marker; it is put between the markers the model knows
// (begin, user … assistant), or, if it knows none of them, after the tokenizer's begin token. as_is: text with its
// markers, as in the training data.
std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view prompt, bool as_is);

}  // namespace r1::cli
