// WriteSafetensors of safetensors.h.
#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "base/kill_point.h"
#include "base/quote.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

int64_t BytesOf(const TensorToStore& tensor) {
  int64_t bytes = StoredTypeBytes(tensor.type);
  for (const int64_t dim : tensor.shape) {
    R1_CHECK(dim >= 0 && (dim == 0 || bytes <= std::numeric_limits<int64_t>::max() / dim),
             "WriteSafetensors: bad shape of " + tensor.name);
    bytes *= dim;
  }
  return bytes;
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

Status WriteSafetensors(const std::string& path, const std::vector<TensorToStore>& tensors, const Metadata& metadata) {
  int64_t data_bytes = 0;
  const std::string header = Header(tensors, metadata, &data_bytes);
  const std::string temporary = path + ".tmp";
  {
    R1_ASSIGN(FileWriter writer, FileWriter::Create(temporary, static_cast<int64_t>(header.size()) + data_bytes));
    R1_TRY(writer.Write(header));
    for (const TensorToStore& tensor : tensors) {
      R1_TRY(writer.Write({static_cast<const char*>(tensor.data), static_cast<size_t>(BytesOf(tensor))}));
    }
    R1_TRY(writer.Finish());
  }
  if (Status renamed = RenamePath(temporary, path); !renamed.ok()) {
    (void)RemoveFile(temporary);
    return renamed;
  }
  KillPoint("safetensors.after_rename");
  return SyncDir(ParentOf(path));
}

}  // namespace r1
