// tokenizer.json as hostile input, GGUF vocabularies, and any bytes as text. The first byte chooses. What must hold: no
// crash; a file that is accepted writes itself back to the same bytes after one round; content decodes to its
// normalized form and never holds an added token; every pre-tokenizer's words joined are the text; the normal form is
// its own normal form.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_train.h"
#include "text/token_spelling.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// What content decodes to.
std::string NormalForm(const r1::Tokenizer& tokenizer, std::string_view text) {
  std::string buffer;
  std::string replaced;  // bytes without a token
  for (const char c : text) {
    const bool known = tokenizer.IdOf(std::string_view(&c, 1)) >= 0;
    replaced += known ? std::string(1, c) : "\xEF\xBF\xBD";
  }
  text = replaced;
  switch (tokenizer.parts().normalizer) {
    case r1::Normalizer::kNone:
      break;
    case r1::Normalizer::kNfc:
      return std::string(r1::ToNfc(text, &buffer));
    case r1::Normalizer::kSpaceBefore:
      return r1::ReadSpelledCharacters(text);
  }
  return std::string(text);
}

void CheckText(const r1::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> content = tokenizer.EncodeContent(text);
  Require(tokenizer.Decode(content) == NormalForm(tokenizer, text));
  for (const int32_t id : content) {
    Require(id >= 0 && id < tokenizer.size());
    Require(tokenizer.AddedOf(id) == nullptr);
  }
  for (const int32_t id : tokenizer.Encode(text, true)) Require(id >= 0 && id < tokenizer.size());
}

const r1::Tokenizer& Trained() {
  static const r1::Tokenizer tokenizer =
      r1::TrainBpe(std::vector<std::string>{" try 19 + 13 = 32 big wait aaaa aaaaaaaa 等等 \n\n  <think>"},
                   {{.id = -1, .content = "<think>", .lstrip = true}, {.id = -1, .content = "<|end|>", .rstrip = true}},
                   {.max_vocab = 400, .min_count = 1})
          .value();
  return tokenizer;
}

void CheckJson(std::string_view text) {
  const auto tokenizer = r1::Tokenizer::FromJson(text, "fuzz");
  if (!tokenizer.ok()) {
    Require(!tokenizer.error().message.empty());
    return;
  }
  const std::string json = tokenizer->ToJson();
  const auto again = r1::Tokenizer::FromJson(json, "again");
  Require(again.ok() && again->ToJson() == json);
  CheckText(*tokenizer, text);
}

void CheckWords(std::string_view text) {
  for (const r1::WordPattern pattern :
       {r1::WordPattern::kR1, r1::WordPattern::kGpt2, r1::WordPattern::kLlama3, r1::WordPattern::kQwen2,
        r1::WordPattern::kDeepSeekV3, r1::WordPattern::kDeepSeekLlm, r1::WordPattern::kWhole}) {
    r1::WordSplitter words(pattern, text);
    size_t at = 0;
    for (std::string_view word; words.Next(&word); at += word.size()) {
      Require(!word.empty() && word.data() == text.data() + at);
    }
    Require(at == text.size());
  }
  std::string once;
  std::string twice;
  const std::string form(r1::ToNfc(text, &once));
  Require(r1::ToNfc(form, &twice) == form);
}

// Lines: a token each, or a merge if it holds a space. The bytes of `head` choose model, types and flags.
void CheckGguf(std::string_view head, std::string_view lines) {
  const bool characters = head[0] % 2 == 0;
  constexpr const char* kPre[] = {"gpt-2", "llama-bpe", "qwen2", "deepseek-v3", "deepseek-llm", "default"};
  r1::GgufVocabulary v;
  v.model = characters ? "llama" : "gpt2";
  v.pre = kPre[static_cast<unsigned char>(head[1]) % std::size(kPre)];
  for (int byte = 0; byte < 256; ++byte) {
    v.tokens.push_back(characters ? r1::SpellByteToken(byte) : r1::SpellBytes(std::string(1, static_cast<char>(byte))));
    v.types.push_back(characters ? 6 : 1);
  }
  std::string_view rest = lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (line.find(' ') != std::string_view::npos) {
      v.merges.emplace_back(line);
    } else {
      v.tokens.emplace_back(line);
      v.types.push_back(line.starts_with("<|") ? 3 : 1);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (size_t i = 0; characters && i < v.tokens.size(); ++i) v.scores.push_back(-static_cast<float>(i / 2));
  v.bos = static_cast<unsigned char>(head[2]);
  v.add_bos = head[3] % 2 != 0;
  const auto tokenizer = r1::TokenizerFromGguf(v, "fuzz");
  if (tokenizer.ok()) CheckText(*tokenizer, lines);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      CheckText(Trained(), text);
      break;
    case 1:
      CheckJson(text);
      break;
    case 2:
      CheckWords(text);
      break;
    case 3:
      if (text.size() > 4) CheckGguf(text.substr(0, 4), text.substr(4));
      break;
  }
  return 0;
}
