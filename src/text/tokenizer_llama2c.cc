#include "text/tokenizer_llama2c.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/files.h"
#include "text/tokenizer_gguf.h"

namespace r1 {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{16} << 20;
constexpr size_t kFirstByteToken = 3, kFirstText = kFirstByteToken + 256;
constexpr const char* kFirstTokens[kFirstByteToken] = {"<unk>", "<s>", "</s>"};

template <class T>
T Take(std::string_view* file) {  // which must have that many bytes
  T value;
  std::memcpy(&value, file->data(), sizeof value);
  file->remove_prefix(sizeof value);
  return value;
}

}  // namespace

Result<Tokenizer> ParseLlama2cTokenizer(std::string_view file, std::string_view where) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::kBadInput, std::string(where) + ": " + what + " (as a vocabulary of llama2.c)"};
  };
  if (file.size() < 4) return bad("fewer than 4 bytes");
  const int32_t longest = Take<int32_t>(&file);
  if (longest < 1) return bad("its longest token has " + std::to_string(longest) + " bytes");
  GgufVocabulary v;
  v.model = "llama";
  while (!file.empty()) {
    const std::string name = "token " + std::to_string(v.tokens.size());
    if (file.size() < 8) return bad("the file ends inside " + name);
    v.scores.push_back(Take<float>(&file));
    const int32_t length = Take<int32_t>(&file);
    if (length < 0 || length > longest) {
      return bad(name + " has the length " + std::to_string(length) + "; the longest is " + std::to_string(longest));
    }
    if (static_cast<size_t>(length) > file.size()) return bad("the file ends inside " + name);
    const size_t id = v.tokens.size();
    v.tokens.emplace_back(id < kFirstByteToken ? kFirstTokens[id] : file.substr(0, static_cast<size_t>(length)));
    v.types.push_back(id == 0 ? 2 : id < kFirstByteToken ? 3 : id < kFirstText ? 6 : 1);
    file.remove_prefix(static_cast<size_t>(length));
  }
  if (v.tokens.size() < kFirstText) {
    return bad(std::to_string(v.tokens.size()) + " tokens; the first 259 must be three marks and 256 bytes");
  }
  v.unknown = 0;
  v.bos = 1;
  v.eos = 2;
  return TokenizerFromGguf(v, where);
}

Result<Tokenizer> LoadLlama2cTokenizer(const std::string& path) {
  R1_ASSIGN(const std::string file, ReadFile(path, kMaxFileBytes));
  return ParseLlama2cTokenizer(file, path);
}

}  // namespace r1
