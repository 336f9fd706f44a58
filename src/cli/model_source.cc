#include "cli/model_source.h"

#include <fmt/format.h>

#include "model/io.h"
#include "train/run_files.h"

namespace r1::cli {

Result<std::unique_ptr<ThreadPool>> MakePool(int64_t threads) {
  constexpr int64_t kMostThreads = 1024;
  if (threads < 0 || threads > kMostThreads)
    return Error{ErrorCode::kUsage,
                 fmt::format("--threads: {} is not in 0 .. {} (0: all cores)", threads, kMostThreads)};
  SetFloatMode();
  return std::make_unique<ThreadPool>(threads == 0 ? AvailableCores() : static_cast<int>(threads));
}

Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool) {
  R1_ASSIGN(std::string folder, ResolveModelFolder(path));
  R1_ASSIGN(Model model, LoadModel(folder, false, pool));
  R1_ASSIGN(ModelText text, ModelText::Load(folder));
  if (text.tokenizer().size() > model.config().vocab_size) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: the tokenizer has {} tokens, the model only {}", folder,
                                                   text.tokenizer().size(), model.config().vocab_size)};
  }
  std::vector<int32_t> stop = text.stop();
  return OpenedModel{std::move(folder), std::move(model), std::move(text), std::move(stop)};
}

Result<EncodedPrompt> PromptTokens(const ModelText& text, const std::string& system, const std::string& prompt,
                                   bool as_is) {
  if (!as_is) return text.Prompt(UserMessages(system, prompt), "the prompt");
  if (!system.empty()) return Error{ErrorCode::kUsage, "--system-prompt has no place in a prompt that is --as-is"};
  return EncodedPrompt{text.tokenizer().Encode(prompt)};
}

}  // namespace r1::cli
