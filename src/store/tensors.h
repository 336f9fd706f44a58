// Named tensors in files, whatever the format: what a model loader needs to know of a safetensors file, a folder of
// safetensors shards or a GGUF file. Shapes are row-major, slowest dimension first: a PyTorch weight is [out, in].
//
// Bytes are views into mapped files and live as long as the set. They are as stored: quant.h turns them into floats.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

// Numbers of one value each, then GGUF's blocks, which hold 32 or 256 values of a row together with their scales.
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
  kF64,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ8_1,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kQ8K,
  kIQ2XXS,
  kIQ2XS,
  kIQ3XXS,
  kIQ1S,
  kIQ4NL,
  kIQ3S,
  kIQ2S,
  kIQ4XS,
  kIQ1M,
  kTQ1_0,
  kTQ2_0,
  kMXFP4
};
std::string_view StoredTypeName(StoredType type);                   // "BF16", "Q4_K"
std::optional<StoredType> StoredTypeOfName(std::string_view name);  // exact
int64_t StoredTypeBlock(StoredType type);                           // values in a block; 1: no blocks
int64_t StoredTypeBytes(StoredType type);                           // bytes of a block, or of one value
std::string ShapeText(const std::vector<int64_t>& shape);           // "[2, 3]"

// Bytes of a tensor; nothing if a dimension is negative, if the product of the dimensions that are not 0 overflows (so
// that no stride can overflow later), or if rows (the last dimension) are not whole blocks.
std::optional<int64_t> StoredBytes(StoredType type, const std::vector<int64_t>& shape);

struct StoredTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;  // empty: a scalar
  const char* data = nullptr;  // not aligned: copy with memcpy
  int64_t bytes = 0;
  int64_t elements() const { return bytes / StoredTypeBytes(type) * StoredTypeBlock(type); }
};

// Values that are NaN or infinite: of a floating-point tensor those, of a block with such a scale all. 0 for integers
// and for block types without a layout in quant.h.
int64_t CountNonFinite(const StoredTensor& tensor);

class TensorSet {
 public:
  virtual ~TensorSet() = default;

  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // in the order of their data
  const StoredTensor* Find(std::string_view name) const;
  // As Find, but an Error that names the file if it is absent or has another type or shape.
  Result<const StoredTensor*> Get(std::string_view name, StoredType type, const std::vector<int64_t>& shape) const;
  const std::string& path() const { return path_; }
  // Fails if a file was shortened while it was open. Call it after the data was copied.
  virtual Status CheckIntact() const = 0;

 protected:
  TensorSet() = default;
  TensorSet(TensorSet&&) noexcept = default;
  TensorSet& operator=(TensorSet&&) noexcept = default;
  // Makes Find work; call it once tensors_ is complete. Fails on a name that is there twice.
  Status IndexNames();

  std::string path_;
  std::vector<StoredTensor> tensors_;

 private:
  std::vector<uint32_t> by_name_;  // indices of tensors_
};

// Opens what is there: a .safetensors file, a model.safetensors.index.json, a .gguf file (told by their first bytes and
// name), or a folder with one of them. In a folder, links are followed as safetensors_index.h says.
Result<std::unique_ptr<TensorSet>> OpenTensors(const std::string& path);
bool LooksLikeGguf(const std::string& path);  // a regular file that begins with GGUF's magic

struct TensorToStore {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};
// For writers of models that do not fit in memory: gives the bytes of the tensor with this index in the list when its
// turn comes (in order, once); they must stay until the next call. TensorToStore::data is then ignored.
using TensorSource = std::function<Result<std::string_view>(size_t index)>;

}  // namespace r1
