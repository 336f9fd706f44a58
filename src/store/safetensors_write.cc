// WriteSafetensors of safetensors.h.
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/quote.h"
#include "store/safetensors.h"
#include "store/tensor_writer.h"

namespace r1 {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

int64_t BytesOf(const TensorToStore& tensor) {
  const std::optional<int64_t> bytes = StoredBytes(tensor.type, tensor.shape);
  R1_CHECK(bytes.has_value() && StoredTypeBlock(tensor.type) == 1,
           "WriteSafetensors: bad shape or type of " + tensor.name);
  return *bytes;
}

std::string JsonText(const std::string& text) { return ToLineText(nlohmann::json(text)); }

// Length, JSON, padding: everything before the data.
std::string Header(const std::vector<TensorToStore>& tensors, const Metadata& metadata, int64_t* data_bytes) {
  std::set<std::string_view> names;
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (size_t i = 0; i < metadata.size(); ++i) {
      json += (i == 0 ? "" : ",") + JsonText(metadata[i].first) + ":" + JsonText(metadata[i].second);
    }
    json += "}";
  }
  int64_t offset = 0;
  for (const TensorToStore& tensor : tensors) {
    R1_CHECK(tensor.name != "__metadata__" && names.insert(tensor.name).second,
             "WriteSafetensors: name used twice or reserved: " + Quote(tensor.name));
    const int64_t bytes = BytesOf(tensor);
    json += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        json.size() == 1 ? "" : ",", JsonText(tensor.name), StoredTypeName(tensor.type),
                        fmt::join(tensor.shape, ","), offset, offset + bytes);
    offset += bytes;
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const uint64_t length = json.size();
  std::string header(8, '\0');
  std::memcpy(header.data(), &length, 8);
  *data_bytes = offset;
  return header + json;
}

}  // namespace

int64_t SafetensorsFileBytes(const std::vector<TensorToStore>& tensors, const Metadata& metadata) {
  int64_t data_bytes = 0;
  const std::string header = Header(tensors, metadata, &data_bytes);
  return static_cast<int64_t>(header.size()) + data_bytes;
}

Status WriteSafetensors(const std::string& path, const std::vector<TensorToStore>& tensors, const Metadata& metadata,
                        const TensorSource& source) {
  int64_t data_bytes = 0;
  const std::string header = Header(tensors, metadata, &data_bytes);
  return WriteTensorFile(path, header, tensors, source, 1, data_bytes, "safetensors.after_rename");
}

}  // namespace r1
