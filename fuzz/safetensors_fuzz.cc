// A safetensors file as hostile input. What must hold: no crash; every tensor of an accepted file lies inside it and
// can be read; a file that is accepted is still accepted when its tensors are written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "store/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  const auto file = r1::SafetensorsFile::Parse(bytes, "fuzz");
  if (!file.ok()) {
    require(file.error().message.size() > 6 && file.error().message.size() < 10000);
    return 0;
  }
  int64_t total = 0;
  unsigned sum = 0;
  for (const r1::StoredTensor& tensor : file->tensors()) {
    require(tensor.data >= bytes.data() && tensor.data + tensor.bytes <= bytes.data() + size && tensor.bytes >= 0);
    require(file->Find(tensor.name) == &tensor);
    int64_t elements = 1;
    for (const int64_t dim : tensor.shape) elements *= dim;
    require(elements == tensor.elements());
    for (int64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<unsigned char>(tensor.data[i]);
    if (tensor.bytes % r1::StoredTypeBytes(tensor.type) == 0) require(r1::CountNonFinite(tensor) <= tensor.elements());
    total += tensor.bytes;
  }
  require(total <= static_cast<int64_t>(size) && (sum != 0 || total >= 0));
  return 0;
}
