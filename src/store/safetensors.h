// The safetensors format: 8 bytes little-endian N; N bytes of JSON
//   {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {string: string}}
// then the data, little-endian, row-major. Source: huggingface/safetensors README.
//
// Reading trusts nothing: a file is accepted only if every tensor lies inside it, sizes match shape and dtype without
// overflow, and the tensors cover the data exactly, without holes or overlaps. Errors name the file, the byte and the
// tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/tensors.h"

namespace r1 {

class SafetensorsFile final : public TensorSet {
 public:
  static constexpr int64_t kMaxHeaderBytes = 100'000'000;
  // Maps the file; the tensors point into it and live as long as this object.
  static Result<SafetensorsFile> Open(const std::string& path, int64_t max_header_bytes = kMaxHeaderBytes);
  // The same on bytes in memory (tests, fuzzing); they must outlive the object.
  static Result<SafetensorsFile> Parse(std::string_view file, std::string_view where,
                                       int64_t max_header_bytes = kMaxHeaderBytes);
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  Status CheckIntact() const override;

 private:
  SafetensorsFile() = default;
  std::optional<MappedFile> mapped_;  // nothing if the bytes are the caller's
  std::vector<std::pair<std::string, std::string>> metadata_;
};

int64_t SafetensorsFileBytes(const std::vector<TensorToStore>& tensors,
                             const std::vector<std::pair<std::string, std::string>>& metadata);
// Temporary file, sync, rename. The bytes are a function of the arguments: tensors and metadata in the order given,
// header padded with spaces to a multiple of 8. Duplicate or reserved names and block types are a bug of the caller
// (R1_CHECK).
Status WriteSafetensors(const std::string& path, const std::vector<TensorToStore>& tensors,
                        const std::vector<std::pair<std::string, std::string>>& metadata,
                        const TensorSource& source = nullptr);

}  // namespace r1
