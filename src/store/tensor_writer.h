// What the writers of tensor files share: header, then every tensor's bytes, each padded with zeros to a multiple of
// `alignment`; in a temporary file that is synced, renamed to `path` and made to last. Nothing stays on failure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/tensors.h"

namespace r1 {

// data_bytes: of all tensors with padding. source may be null: then the tensors' data is written.
Status WriteTensorFile(const std::string& path, std::string_view header, const std::vector<TensorToStore>& tensors,
                       const TensorSource& source, int64_t alignment, int64_t data_bytes, const char* kill_point);

}  // namespace r1
