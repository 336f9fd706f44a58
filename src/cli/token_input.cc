#include "cli/token_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/files.h"
#include "base/quote.h"
#include "infer/gguf_text.h"
#include "store/gguf.h"
#include "text/tokenizer_llama2c.h"
#include "train/run_files.h"

namespace r1::cli {

namespace {

Result<Tokenizer> OpenGgufTokenizer(const std::string& path) {
  R1_ASSIGN(const GgufFile file, GgufFile::Open(path));
  R1_ASSIGN(StoredText text, ReadGgufText(file));
  if (!text.tokenizer.has_value()) return Error{ErrorCode::kBadInput, path + ": no tokenizer in it"};
  return Result<Tokenizer>(std::move(*text.tokenizer));
}

}  // namespace

Result<Tokenizer> OpenTokenizer(const std::string& path) {
  if (!IsDir(path)) {
    if (path.ends_with(".gguf") || LooksLikeGguf(path)) return OpenGgufTokenizer(path);
    return path.ends_with(".bin") ? LoadLlama2cTokenizer(path) : Tokenizer::Load(path);
  }
  const std::string file = JoinPath(path, "tokenizer.json");
  if (Exists(file)) return Tokenizer::Load(file);
  R1_ASSIGN(const std::string folder, ResolveModelFolder(path));
  return Tokenizer::Load(JoinPath(folder, "tokenizer.json"));
}

Result<std::vector<int32_t>> ReadTokenIds(std::string_view text, std::string_view option) {
  std::vector<int32_t> ids;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == ',') {
      ++at;
      continue;
    }
    const size_t end = std::min(text.find_first_of(" ,", at), text.size());
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end || id < 0) {
      return Error{ErrorCode::kUsage,
                   fmt::format("{}: {} is not a token id", option, Quote(text.substr(at, end - at)))};
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

}  // namespace r1::cli
