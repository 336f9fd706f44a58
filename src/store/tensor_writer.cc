#include "store/tensor_writer.h"

#include <fmt/format.h>

#include "base/files.h"
#include "base/kill_point.h"
#include "base/quote.h"

namespace r1 {
namespace {

Status WriteAll(FileWriter& writer, std::string_view header, const std::vector<TensorToStore>& tensors,
                const TensorSource& source, int64_t alignment) {
  R1_TRY(writer.Write(header));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::optional<int64_t> bytes = StoredBytes(tensors[i].type, tensors[i].shape);
    R1_CHECK(bytes.has_value(), "WriteTensorFile: bad shape of " + tensors[i].name);
    std::string_view data(static_cast<const char*>(tensors[i].data), static_cast<size_t>(*bytes));
    if (source) {
      R1_ASSIGN(data, source(i));
      R1_CHECK(static_cast<int64_t>(data.size()) == *bytes,
               fmt::format("WriteTensorFile: {} bytes were given for {} of {}", data.size(), Quote(tensors[i].name),
                           *bytes));
    }
    R1_TRY(writer.Write(data));
    const int64_t padding = (alignment - *bytes % alignment) % alignment;
    if (padding > 0) R1_TRY(writer.Write(std::string(static_cast<size_t>(padding), '\0')));
  }
  return writer.Finish();
}

}  // namespace

Status WriteTensorFile(const std::string& path, std::string_view header, const std::vector<TensorToStore>& tensors,
                       const TensorSource& source, int64_t alignment, int64_t data_bytes, const char* kill_point) {
  const std::string temporary = path + ".tmp";
  {
    R1_ASSIGN(FileWriter writer, FileWriter::Create(temporary, static_cast<int64_t>(header.size()) + data_bytes));
    R1_TRY(WriteAll(writer, header, tensors, source, alignment));
  }
  if (Status renamed = RenamePath(temporary, path); !renamed.ok()) {
    (void)RemoveFile(temporary);
    return renamed;
  }
  KillPoint(kill_point);
  return SyncDir(ParentOf(path));
}

}  // namespace r1
