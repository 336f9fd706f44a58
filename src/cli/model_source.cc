#include "cli/model_source.h"

#include <fmt/format.h>

#include "base/files.h"
#include "cli/token_input.h"
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

Result<std::string> ResolveModel(const std::string& path) {
  return Exists(path) && !IsDir(path) ? Result<std::string>(path) : ResolveModelFolder(path);
}

Result<Tokenizer> OpenTokenizerOf(const std::string& folder, const std::string& given, int64_t vocab_size) {
  if (given.empty() && !IsDir(folder))
    return Error{ErrorCode::kUsage, fmt::format("{}: no tokenizer in it; name one with --tokenizer", folder)};
  const std::string path = given.empty() ? JoinPath(folder, "tokenizer.json") : given;
  R1_ASSIGN(Tokenizer tokenizer, OpenTokenizer(path));
  if (tokenizer.size() > vocab_size) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{}: the tokenizer has {} tokens, the model only {}", path, tokenizer.size(), vocab_size)};
  }
  return Result<Tokenizer>(std::move(tokenizer));
}

namespace {

// Our end marker, or that of SentencePiece, and what begins a text: after it comes another one.
std::vector<int32_t> StopTokens(const Tokenizer& tokenizer) {
  std::vector<int32_t> stop = tokenizer.parts().before;
  for (const std::string_view end : {std::string_view(kEndMarker), std::string_view("</s>")}) {
    if (const int32_t id = tokenizer.IdOf(end); tokenizer.AddedOf(id) != nullptr) stop.push_back(id);
  }
  return stop;
}

}  // namespace

Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool, const std::string& given) {
  R1_ASSIGN(std::string folder, ResolveModel(path));
  R1_ASSIGN(Model model, LoadModel(folder, false, pool));
  R1_ASSIGN(Tokenizer tokenizer, OpenTokenizerOf(folder, given, model.config().vocab_size));
  std::vector<int32_t> stop = StopTokens(tokenizer);
  return OpenedModel{std::move(folder), std::move(model), std::move(tokenizer), std::move(stop)};
}

Result<OpenedFloatModel> OpenFloatModel(const std::string& path, const std::string& given) {
  R1_ASSIGN(std::string folder, ResolveModel(path));
  R1_ASSIGN(FloatModel model, LoadFloatModel(folder));
  R1_ASSIGN(Tokenizer tokenizer, OpenTokenizerOf(folder, given, model.config.vocab_size));
  std::vector<int32_t> stop = StopTokens(tokenizer);
  return OpenedFloatModel{std::move(folder), std::move(model), std::move(tokenizer), std::move(stop)};
}

std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view prompt, bool as_is) {
  if (as_is) return tokenizer.Encode(prompt);
  std::vector<int32_t> tokens;
  const auto marker = [&](std::string_view name) {
    if (const int32_t id = tokenizer.IdOf(name); id >= 0) tokens.push_back(id);
  };
  if (tokenizer.IdOf(kUserMarker) < 0 && tokenizer.IdOf(kBeginMarker) < 0) {
    tokens = tokenizer.parts().before;
    const std::vector<int32_t> inner = tokenizer.EncodeContent(prompt);
    tokens.insert(tokens.end(), inner.begin(), inner.end());
    return tokens;
  }
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
