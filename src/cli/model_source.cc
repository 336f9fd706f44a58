#include "cli/model_source.h"

#include <fmt/format.h>

#include "base/files.h"
#include "cli/token_input.h"
#include "infer/gguf_text.h"
#include "model/io.h"
#include "store/gguf.h"
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

namespace {

Status CheckSize(const Tokenizer& tokenizer, const std::string& path, int64_t vocab_size) {
  if (tokenizer.size() <= vocab_size) return {};
  return Error{ErrorCode::kBadInput,
               fmt::format("{}: the tokenizer has {} tokens, the model only {}", path, tokenizer.size(), vocab_size)};
}

}  // namespace

Result<std::string> ResolveModel(const std::string& path) {
  return Exists(path) && !IsDir(path) ? Result<std::string>(path) : ResolveModelFolder(path);
}

Result<Tokenizer> OpenTokenizerOf(const std::string& folder, const std::string& given, int64_t vocab_size) {
  const bool in_file = given.empty() && !IsDir(folder);
  if (in_file && !LooksLikeGguf(folder))
    return Error{ErrorCode::kUsage, fmt::format("{}: no tokenizer in it; name one with --tokenizer", folder)};
  const std::string path = !given.empty() ? given : in_file ? folder : JoinPath(folder, "tokenizer.json");
  R1_ASSIGN(Tokenizer tokenizer, OpenTokenizer(path));
  R1_TRY(CheckSize(tokenizer, path, vocab_size));
  return Result<Tokenizer>(std::move(tokenizer));
}

namespace {

// Of models without a chat template in files without room for one: the prompt is a text to be continued.
constexpr const char* kContinue = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}";

Result<ModelText> TextOfGguf(const std::string& path) {
  R1_ASSIGN(const GgufFile file, GgufFile::Open(path));
  R1_ASSIGN(StoredText stored, ReadGgufText(file));
  if (!stored.tokenizer.has_value())
    return Error{ErrorCode::kUsage, fmt::format("{}: no tokenizer in it; name one with --tokenizer", path)};
  ModelTextParts parts;
  parts.where = path;
  parts.chat_template = stored.chat_template.empty() ? kContinue : stored.chat_template;
  const auto name = [&](const char* key, int32_t id) {
    if (id >= 0) parts.tokens.emplace_back(key, stored.tokenizer->TextOf(id));
  };
  name("bos_token", stored.bos);
  name("eos_token", stored.eos);
  name("pad_token", stored.pad);
  parts.stop = std::move(stored.stop);
  return ModelText::Make(std::move(*stored.tokenizer), std::move(parts));
}

// A tokenizer that is a file of its own: what begins a text ends it too, for after it comes another one.
Result<ModelText> TextOfTokenizer(Tokenizer tokenizer, const std::string& where) {
  ModelTextParts parts;
  parts.where = where;
  parts.chat_template = kContinue;
  parts.stop = tokenizer.parts().before;
  for (const std::string_view end : {std::string_view(kEndMarker), std::string_view("</s>")}) {
    if (const int32_t id = tokenizer.IdOf(end); tokenizer.AddedOf(id) != nullptr) parts.stop.push_back(id);
  }
  return ModelText::Make(std::move(tokenizer), std::move(parts));
}

Result<ModelText> OpenText(const std::string& folder, const std::string& given, int64_t vocab_size) {
  if (!given.empty() || (!IsDir(folder) && !LooksLikeGguf(folder))) {
    R1_ASSIGN(Tokenizer tokenizer, OpenTokenizerOf(folder, given, vocab_size));
    return TextOfTokenizer(std::move(tokenizer), given);
  }
  R1_ASSIGN(ModelText text, IsDir(folder) ? ModelText::Load(folder) : TextOfGguf(folder));
  R1_TRY(CheckSize(text.tokenizer(), folder, vocab_size));
  return Result<ModelText>(std::move(text));
}

}  // namespace

Result<OpenedModel> OpenModel(const std::string& path, ThreadPool& pool, const std::string& given) {
  R1_ASSIGN(std::string folder, ResolveModel(path));
  R1_ASSIGN(Model model, LoadModel(folder, false, pool));
  R1_ASSIGN(ModelText text, OpenText(folder, given, model.config().vocab_size));
  std::vector<int32_t> stop = text.stop();
  return OpenedModel{std::move(folder), std::move(model), std::move(text), std::move(stop)};
}

Result<OpenedFloatModel> OpenFloatModel(const std::string& path, const std::string& given) {
  R1_ASSIGN(std::string folder, ResolveModel(path));
  R1_ASSIGN(FloatModel model, LoadFloatModel(folder));
  R1_ASSIGN(ModelText text, OpenText(folder, given, model.config.vocab_size));
  std::vector<int32_t> stop = text.stop();
  return OpenedFloatModel{std::move(folder), std::move(model), std::move(text), std::move(stop)};
}

Result<EncodedPrompt> PromptTokens(const ModelText& text, const std::string& system, const std::string& prompt,
                                   bool as_is) {
  if (!as_is) return text.Prompt(UserMessages(system, prompt), "the prompt");
  if (!system.empty()) return Error{ErrorCode::kUsage, "--system-prompt has no place in a prompt that is --as-is"};
  return EncodedPrompt{text.tokenizer().Encode(prompt)};
}

}  // namespace r1::cli
