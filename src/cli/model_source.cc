#include "cli/model_source.h"

#include <fmt/format.h>

#include "base/files.h"
#include "model/io.h"
#include "train/run_files.h"
#include "world/words.h"

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
  R1_ASSIGN(Tokenizer tokenizer, Tokenizer::Load(JoinPath(folder, "tokenizer.json")));
  if (tokenizer.size() > model.config().vocab_size) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: the tokenizer has {} tokens, the model only {}", folder,
                                                   tokenizer.size(), model.config().vocab_size)};
  }
  std::vector<int32_t> stop;
  if (const int32_t end = tokenizer.IdOf(kEndMarker); end >= 0) stop.push_back(end);
  return OpenedModel{std::move(folder), std::move(model), std::move(tokenizer), std::move(stop)};
}

std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view prompt, bool as_is) {
  if (as_is) return tokenizer.Encode(prompt);
  std::vector<int32_t> tokens;
  const auto marker = [&](std::string_view name) {
    if (const int32_t id = tokenizer.IdOf(name); id >= 0) tokens.push_back(id);
  };
  marker(kBeginMarker);
  marker(kUserMarker);
  // Every word of the world's texts has one space before it, the first one too.
  std::string content(prompt);
  if (content.empty() || content[0] != ' ') content.insert(0, 1, ' ');
  const std::vector<int32_t> inner = tokenizer.EncodeContent(content);
  tokens.insert(tokens.end(), inner.begin(), inner.end());
  marker(kAssistantMarker);
  return tokens;
}

}  // namespace r1::cli
