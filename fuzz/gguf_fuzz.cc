// A GGUF file as hostile input. What must hold: no crash; every tensor and every value of an accepted file lies inside
// it and can be read; what was accepted is written and accepted again with the same keys and tensors.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "store/gguf.h"
#include "store/quant.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  const auto inside = [&](const char* at, size_t length) {
    return length == 0 || (at >= bytes.data() && at + length <= bytes.data() + size);
  };
  const auto file = r1::GgufFile::Parse(bytes, "fuzz");
  if (!file.ok()) {
    require(file.error().message.size() > 6 && file.error().message.size() < 10000);
    return 0;
  }
  (void)r1::CheckGgufModel(*file);
  r1::GgufMetadata keys;
  for (const r1::GgufEntry& entry : file->metadata()) {
    require(file->FindKey(entry.key) == &entry && inside(entry.bytes.data(), entry.bytes.size()));
    r1::GgufElements elements(entry);
    r1::GgufEntry element;
    uint64_t count = 0;
    for (; elements.Next(&element); ++count) {
      require(inside(element.bytes.data(), element.bytes.size()));
      (void)element.Number();
    }
    require(entry.type != r1::GgufType::kArray || count == entry.count);
    keys.Raw(entry);
  }
  std::vector<r1::TensorToStore> tensors;
  uint64_t total = 0;
  for (const r1::StoredTensor& tensor : file->tensors()) {
    require(inside(tensor.data, static_cast<size_t>(tensor.bytes)) && file->Find(tensor.name) == &tensor);
    require(r1::CountNonFinite(tensor) <= tensor.elements());
    if (r1::CanDecode(tensor.type) && tensor.type != r1::StoredType::kF8E4M3) {
      std::vector<float> values(static_cast<size_t>(tensor.elements()));
      require(r1::DecodeTensor(*file, tensor, values.data()).ok());
    }
    total += static_cast<uint64_t>(tensor.bytes);
    tensors.push_back({tensor.name, tensor.type, tensor.shape, tensor.data});
  }
  require(total <= size);
  const auto written = r1::GgufFileBytes(keys, tensors);
  // The same but for zeros at the end.
  require(written.ok() && std::abs(*written - static_cast<int64_t>(size)) < file->alignment());
  return 0;
}
