// Files of llama2.c as hostile input: a model if the first byte is 'm', else a vocabulary. What must hold: no crash; an
// accepted model has sizes that inference takes, and all its parameters can be read from within the file; an accepted
// vocabulary encodes any text and decodes it again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "model/llama2c.h"
#include "text/tokenizer_llama2c.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckModel(std::string_view bytes) {
  const auto source = r1::ParseLlama2c(bytes, "fuzz");
  if (!source.ok()) {
    Require(source.error().message.starts_with("fuzz") && source.error().message.size() < 10000);
    return;
  }
  Require(r1::ValidateStoredConfig(source->config, "fuzz").ok());
  const r1::ParamList list = r1::ListParams(source->config);
  Require(list.total <= static_cast<int64_t>(bytes.size()));  // 4 bytes a float leave room for padding
  std::vector<float> flat(static_cast<size_t>(list.total));
  Require(r1::ReadParams(*source->params, list, flat.data()).ok());
}

void CheckVocabulary(std::string_view bytes) {
  const auto tokenizer = r1::ParseLlama2cTokenizer(bytes, "fuzz");
  if (!tokenizer.ok()) {
    Require(tokenizer.error().message.starts_with("fuzz") && tokenizer.error().message.size() < 10000);
    return;
  }
  const std::vector<int32_t> ids = tokenizer->EncodeContent(bytes);
  for (const int32_t id : ids) Require(id >= 0 && id < tokenizer->size() && tokenizer->AddedOf(id) == nullptr);
  Require(tokenizer->Encode("", true).size() == 1);
  if (bytes.find("\xE2\x96\x81") == std::string_view::npos) Require(tokenizer->Decode(ids) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'm') {
    CheckModel(bytes);
  } else {
    CheckVocabulary(bytes);
  }
  return 0;
}
