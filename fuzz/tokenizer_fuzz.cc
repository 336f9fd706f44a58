// tokenizer.json as hostile input, and any bytes as text. The first byte chooses. What must hold: no crash; a file that
// is accepted writes itself back to the same bytes after one round; content decodes to itself and never holds an added
// token.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_train.h"
#include "text/tokenizer.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckText(const r1::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> content = tokenizer.EncodeContent(text);
  Require(tokenizer.Decode(content) == text);
  for (const int32_t id : content) {
    Require(id >= 0 && id < tokenizer.size());
    for (const r1::AddedToken& added : tokenizer.parts().added) Require(id != added.id);
  }
  for (const int32_t id : tokenizer.Encode(text)) Require(id >= 0 && id < tokenizer.size());
}

const r1::Tokenizer& Trained() {
  static const r1::Tokenizer tokenizer =
      r1::TrainBpe(std::vector<std::string>{" try 19 + 13 = 32 big wait aaaa aaaaaaaa 等等 \n\n  <think>"},
                   {{.id = -1, .content = "<think>", .lstrip = true}, {.id = -1, .content = "<|end|>", .rstrip = true}},
                   {.max_vocab = 400, .min_count = 1})
          .value();
  return tokenizer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    CheckText(Trained(), text);
    return 0;
  }
  const auto tokenizer = r1::Tokenizer::FromJson(text, "fuzz");
  if (!tokenizer.ok()) {
    Require(!tokenizer.error().message.empty());
    return 0;
  }
  const std::string json = tokenizer->ToJson();
  const auto again = r1::Tokenizer::FromJson(json, "again");
  Require(again.ok() && again->ToJson() == json);
  CheckText(*tokenizer, text);
  return 0;
}
