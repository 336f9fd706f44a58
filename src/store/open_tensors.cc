// OpenTensors of tensors.h.
#include <fmt/format.h>

#include "base/files.h"
#include "base/quote.h"
#include "store/gguf.h"
#include "store/safetensors.h"
#include "store/safetensors_index.h"

namespace r1 {
namespace {

using Opened = Result<std::unique_ptr<TensorSet>>;

template <class Set>
Opened Own(Result<Set> set) {
  if (!set.ok()) return set.error();
  return Opened(std::make_unique<Set>(std::move(set).value()));
}

Opened OpenGguf(const std::string& path) {
  R1_ASSIGN(GgufFile file, GgufFile::Open(path));
  if (file.FindKey("split.count") != nullptr) {
    R1_ASSIGN(const int64_t parts, file.Integer("split.count"));
    if (parts > 1) {
      return Error{ErrorCode::kBadInput,
                   fmt::format("{}: it is one of {} parts of a model; join them into one file first", path, parts)};
    }
  }
  return Opened(std::make_unique<GgufFile>(std::move(file)));
}

Opened OpenFolder(const std::string& folder) {
  if (const std::string index = JoinPath(folder, kSafetensorsIndexName); Exists(index))
    return Own(ShardedSafetensors::Open(index));
  if (Exists(JoinPath(folder, "model.safetensors"))) {
    R1_ASSIGN(const std::string path, ResolveInFolder(folder, "model.safetensors"));
    return Own(SafetensorsFile::Open(path));
  }
  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  std::string found;
  for (const std::string& name : names) {
    if (!name.ends_with(".gguf")) continue;
    if (!found.empty()) {
      return Error{ErrorCode::kBadInput, fmt::format("{}: holds several GGUF files, {} and {}; name the one you mean",
                                                     folder, Quote(found), Quote(name))};
    }
    found = name;
  }
  if (found.empty()) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{}: no model.safetensors, {} or .gguf file is there", folder, kSafetensorsIndexName)};
  }
  R1_ASSIGN(const std::string path, ResolveInFolder(folder, found));
  return OpenGguf(path);
}

}  // namespace

bool LooksLikeGguf(const std::string& path) {
  const auto mapped = MappedFile::Open(path);
  return mapped.ok() && mapped->bytes().starts_with("GGUF");
}

Result<std::unique_ptr<TensorSet>> OpenTensors(const std::string& path) {
  if (IsDir(path)) return OpenFolder(path);
  if (path.ends_with(".index.json")) return Own(ShardedSafetensors::Open(path));
  if (path.ends_with(".gguf") || LooksLikeGguf(path)) return OpenGguf(path);
  return Own(SafetensorsFile::Open(path));
}

}  // namespace r1
