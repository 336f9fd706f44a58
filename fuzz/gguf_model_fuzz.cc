// A GGUF file as the description of a model, hostile. What must hold: no crash and no more memory than the file
// warrants; an error names the file; of an accepted model every parameter can be read, its config is written and read
// back as it was, and its tokenizer encodes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "infer/gguf_text.h"
#include "model/gguf_config.h"
#include "model/gguf_params.h"
#include "store/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  auto parsed = r1::GgufFile::Parse(bytes, "fuzz");
  if (!parsed.ok()) return 0;
  auto file = std::make_unique<r1::GgufFile>(std::move(parsed).value());
  const auto text = r1::ReadGgufText(*file);
  if (!text.ok()) {
    require(text.error().message.find("fuzz") != std::string::npos);
  } else if (text->tokenizer) {
    const std::vector<int32_t> ids = text->tokenizer->EncodeContent("a b");
    require(text->tokenizer->Decode(ids).find('a') != std::string::npos);
  }
  const auto config = r1::ModelConfigFromGguf(*file);
  if (!config.ok()) {
    require(config.error().message.starts_with("fuzz"));
    return 0;
  }
  r1::GgufMetadata keys;
  require(r1::AddConfigKeys(*config, &keys).ok());
  const auto params = r1::ParamsOfGguf(std::move(file), *config);
  if (!params.ok()) {
    require(params.error().message.starts_with("fuzz"));
    return 0;
  }
  std::vector<float> values;
  for (size_t i = 0; i < (*params)->entries().size(); ++i) {
    const int64_t count = (*params)->entries()[i].elements();
    require(count > 0 && static_cast<uint64_t>(count) <= size * 256);  // blocks hold at most two values a byte
    values.assign(static_cast<size_t>(count), 0);
    require((*params)->Read(i, values.data()).ok());
  }
  return 0;
}
