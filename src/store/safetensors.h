// The safetensors format: 8 bytes little-endian N; N bytes of JSON {"name": {"dtype", "shape", "data_offsets": [begin,
// end]},
// ..., "__metadata__": {string: string}}; then the data, little-endian, row-major. Source: huggingface/safetensors
// README.
//
// Reading trusts nothing: a file is accepted only if every tensor lies inside it, sizes match shape and dtype without
// overflow, and the tensors cover the data exactly, without holes or overlaps. Errors name the file, the byte and the
// tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace r1 {

enum class StoredType {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64
};
std::string_view StoredTypeName(StoredType type);  // "BF16"
int64_t StoredTypeBytes(StoredType type);

struct StoredTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;  // empty: a scalar
  const char* data = nullptr;  // not aligned: copy with memcpy
  int64_t bytes = 0;
  int64_t elements() const { return bytes / StoredTypeBytes(type); }
};

class SafetensorsFile {
 public:
  static constexpr int64_t kMaxHeaderBytes = 100'000'000;
  // Maps the file; the tensors point into it and live as long as this object.
  static Result<SafetensorsFile> Open(const std::string& path, int64_t max_header_bytes = kMaxHeaderBytes);
  // The same on bytes in memory (tests, fuzzing); they must outlive the object.
  static Result<SafetensorsFile> Parse(std::string_view file, std::string_view where,
                                       int64_t max_header_bytes = kMaxHeaderBytes);
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  const std::vector<StoredTensor>& tensors() const;  // in the order of their data
  const StoredTensor* Find(std::string_view name) const;
  // As Find, but an Error that names the file if it is absent or has another type or shape.
  Result<const StoredTensor*> Get(std::string_view name, StoredType type, const std::vector<int64_t>& shape) const;
  const std::vector<std::pair<std::string, std::string>>& metadata() const;
  const std::string& path() const;
  // Fails if the file was shortened while it was open. Call it after the data was copied.
  Status CheckIntact() const;

 private:
  struct State;
  explicit SafetensorsFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Elements of a floating-point tensor that are NaN or infinite; 0 for other types.
int64_t CountNonFinite(const StoredTensor& tensor);

struct TensorToStore {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};
int64_t SafetensorsFileBytes(const std::vector<TensorToStore>& tensors,
                             const std::vector<std::pair<std::string, std::string>>& metadata);
// Temporary file, sync, rename. The bytes are a function of the arguments: tensors and metadata in the order given,
// header padded with spaces to a multiple of 8. Duplicate or reserved names are a bug of the caller (R1_CHECK).
Status WriteSafetensors(const std::string& path, const std::vector<TensorToStore>& tensors,
                        const std::vector<std::pair<std::string, std::string>>& metadata);

}  // namespace r1
