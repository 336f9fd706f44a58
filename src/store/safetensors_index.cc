#include "store/safetensors_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/quote.h"

namespace r1 {
namespace {

using Token = JsonScanner::Token;

constexpr int kMaxDepth = 32;
constexpr size_t kMaxNameBytes = 255;

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Reads the index token by token: a tree of a million entries would cost ten times the file.
class IndexReader {
 public:
  IndexReader(std::string_view text, std::string_view where) : text_(text), scanner_(text, kMaxDepth), where_(where) {}

  Status Read(SafetensorsIndex* index) {
    bool has_map = false, has_metadata = false;
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected("the index must be a JSON object");
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) break;
      if (token != Token::kKey) return Unexpected("a key is wanted");
      bool* seen = scanner_.value() == "weight_map" ? &has_map
                   : scanner_.value() == "metadata" ? &has_metadata
                                                    : nullptr;
      if (seen == nullptr) {
        R1_TRY(Skip(scanner_.Next()));
        continue;
      }
      if (*seen) return Fail(fmt::format("duplicate key {}", Quote(scanner_.value())));
      *seen = true;
      R1_TRY(seen == &has_map ? ReadMap(index) : ReadMetadata(index));
    }
    if (scanner_.Next() != Token::kEnd) return Unexpected("something follows the index");
    if (!has_map) return Fail("no object 'weight_map'");
    return {};
  }

 private:
  Error Fail(const std::string& message) const {
    return Error{ErrorCode::kBadInput, fmt::format("{}:{}: {}", where_, LineColumn(text_, scanner_.offset()), message)};
  }
  Error Unexpected(const std::string& message) const {
    return Fail(scanner_.error().empty() ? message : scanner_.error());
  }

  // Passes over the value that begins with this token.
  Status Skip(Token token) {
    const int around = scanner_.depth() - (token == Token::kObjectBegin || token == Token::kArrayBegin ? 1 : 0);
    while (token != Token::kError && scanner_.depth() > around) token = scanner_.Next();
    if (token == Token::kError) return Unexpected("a value is wanted");
    return {};
  }

  Status ReadMetadata(SafetensorsIndex* index) {
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected("'metadata' must be an object");
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) return {};
      if (token != Token::kKey) return Unexpected("a key is wanted");
      const bool is_size = scanner_.value() == "total_size";
      const Token value = scanner_.Next();
      if (is_size && value == Token::kInteger) {
        const std::string_view digits = scanner_.value();
        int64_t size = -1;
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size);
        if (parsed.ec == std::errc() && size >= 0) index->total_size = size;
      }
      R1_TRY(Skip(value));
    }
  }

  Status ReadMap(SafetensorsIndex* index) {
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected("'weight_map' must be an object");
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) return {};
      if (token != Token::kKey) return Unexpected("a tensor's name is wanted");
      std::string tensor(scanner_.value());
      if (scanner_.Next() != Token::kString)
        return Unexpected(fmt::format("the file of {} is not a text", Quote(tensor)));
      const std::string_view shard = scanner_.value();
      if (!IsPlainName(shard)) return Fail(fmt::format("{} is not a plain file name", Quote(shard)));
      // Neighbours mostly lie in one file; a new name is looked for among all.
      if (index->shards.empty() || index->shards[last_] != shard) {
        const auto found = std::find(index->shards.begin(), index->shards.end(), shard);
        last_ = static_cast<size_t>(found - index->shards.begin());
        if (found == index->shards.end()) index->shards.emplace_back(shard);
        if (index->shards.size() > kMaxShards)
          return Fail(fmt::format("more than {} files are named", static_cast<size_t>(kMaxShards)));
      }
      index->placement.emplace_back(std::move(tensor), static_cast<uint32_t>(last_));
    }
  }

  static constexpr size_t kMaxShards = 1000;  // also of mappings that can be open
  std::string_view text_;
  JsonScanner scanner_;
  std::string_view where_;
  size_t last_ = 0;
};

void SortShards(SafetensorsIndex* index) {
  const std::vector<std::string> before = index->shards;
  std::sort(index->shards.begin(), index->shards.end());
  std::vector<uint32_t> place(before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    place[i] = static_cast<uint32_t>(std::lower_bound(index->shards.begin(), index->shards.end(), before[i]) -
                                     index->shards.begin());
  }
  for (auto& [tensor, shard] : index->placement) shard = place[shard];
  std::sort(index->placement.begin(), index->placement.end());
}

Result<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) return FileError("open", path, errno);
  return std::string(resolved.get());
}

bool IsHex64(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<SafetensorsIndex> ParseSafetensorsIndex(std::string_view text, std::string_view where) {
  SafetensorsIndex index;
  R1_TRY(IndexReader(text, where).Read(&index));
  const auto fail = [&](const std::string& message) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: {}", where, message)};
  };
  SortShards(&index);
  for (size_t i = 1; i < index.placement.size(); ++i) {
    const auto& [tensor, shard] = index.placement[i];
    if (tensor == index.placement[i - 1].first) {
      return fail(fmt::format("tensor {} is placed twice, in {} and {}", Quote(tensor),
                              Quote(index.shards[index.placement[i - 1].second]), Quote(index.shards[shard])));
    }
  }
  std::vector<std::pair<std::string, size_t>> folded;
  for (size_t i = 0; i < index.shards.size(); ++i) folded.emplace_back(LowerCase(index.shards[i]), i);
  std::sort(folded.begin(), folded.end());
  for (size_t i = 1; i < folded.size(); ++i) {
    if (folded[i].first == folded[i - 1].first) {
      return fail(fmt::format("files {} and {} differ only in upper and lower case",
                              Quote(index.shards[folded[i - 1].second]), Quote(index.shards[folded[i].second])));
    }
  }
  return Result<SafetensorsIndex>(std::move(index));
}

std::string SafetensorsIndexText(const SafetensorsIndex& index) {
  nlohmann::ordered_json out;
  out["metadata"] = nlohmann::ordered_json::object();
  if (index.total_size >= 0) out["metadata"]["total_size"] = index.total_size;
  nlohmann::json map = nlohmann::json::object();  // sorted, which an ordered one is not quickly
  for (const auto& [tensor, shard] : index.placement) map[tensor] = index.shards[shard];
  out["weight_map"] = std::move(map);
  return ToPrettyText(out);
}

Result<std::string> ResolveInFolder(const std::string& folder, const std::string& name) {
  if (!IsPlainName(name))
    return Error{ErrorCode::kBadInput, fmt::format("{}: {} is not a plain file name", folder, Quote(name))};
  const std::string path = JoinPath(folder, name);
  R1_ASSIGN(const std::string root, RealPath(folder));
  R1_ASSIGN(const std::string target, RealPath(path));
  const auto below = [&](const std::string& top) { return target.starts_with(top == "/" ? top : top + "/"); };
  if (below(root)) return target;
  const std::string snapshots = ParentOf(root), repository = ParentOf(snapshots);
  if (BaseName(snapshots) == "snapshots" && BaseName(repository).starts_with("models--") &&
      below(JoinPath(repository, "blobs"))) {
    return target;
  }
  return Error{ErrorCode::kBadInput,
               fmt::format("{}: it is a link that leads out of its folder, to {}; copy the file there if you trust it",
                           path, Quote(target, 1024))};
}

Result<ShardedSafetensors> ShardedSafetensors::Open(const std::string& index_path) {
  ShardedSafetensors out;
  out.path_ = index_path;
  R1_ASSIGN(const std::string text, ReadFile(index_path, kMaxIndexBytes));
  R1_ASSIGN(const SafetensorsIndex index, ParseSafetensorsIndex(text, index_path));
  const std::string folder = ParentOf(index_path);
  const auto disagree = [](const std::string& file, const std::string& message) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: {}", file, message)};
  };
  size_t found = 0;
  for (uint32_t shard = 0; shard < index.shards.size(); ++shard) {
    const std::string path = JoinPath(folder, index.shards[shard]);
    if (!Exists(path)) {
      return disagree(index_path, fmt::format("file {} of the index is missing; fetch it, or fetch the model again",
                                              Quote(index.shards[shard])));
    }
    R1_ASSIGN(const std::string target, ResolveInFolder(folder, index.shards[shard]));
    R1_ASSIGN(SafetensorsFile file, SafetensorsFile::Open(target));
    for (const StoredTensor& tensor : file.tensors()) {
      const auto entry = std::lower_bound(index.placement.begin(), index.placement.end(), tensor.name,
                                          [](const auto& each, const std::string& name) { return each.first < name; });
      if (entry == index.placement.end() || entry->first != tensor.name)
        return disagree(path, fmt::format("holds tensor {} which the index does not name", Quote(tensor.name)));
      if (entry->second != shard) {
        return disagree(path, fmt::format("holds tensor {} which the index places in {}", Quote(tensor.name),
                                          Quote(index.shards[entry->second])));
      }
      out.tensors_.push_back(tensor);
      ++found;
    }
    out.shards_.push_back(std::move(file));
  }
  R1_TRY(out.IndexNames());
  if (found != index.placement.size()) {  // each was found at most once: some were not
    for (const auto& [tensor, shard] : index.placement) {
      if (out.Find(tensor) == nullptr)
        return disagree(index_path, fmt::format("tensor {} is not in {}", Quote(tensor), Quote(index.shards[shard])));
    }
  }
  return Result<ShardedSafetensors>(std::move(out));
}

Status ShardedSafetensors::CheckIntact() const {
  for (const SafetensorsFile& shard : shards_) R1_TRY(shard.CheckIntact());
  return {};
}

Status WriteShardedSafetensors(const std::string& folder, const std::vector<TensorToStore>& tensors,
                               const std::vector<std::pair<std::string, std::string>>& metadata,
                               int64_t max_shard_bytes, const TensorSource& source) {
  R1_CHECK(max_shard_bytes > 0, "WriteShardedSafetensors: the largest size must be positive");
  const std::string single = JoinPath(folder, "model.safetensors"),
                    index_path = JoinPath(folder, kSafetensorsIndexName);
  for (const std::string& path : {single, index_path}) {
    if (Exists(path))
      return Error{ErrorCode::kCannotCreate, fmt::format("{} is there already; choose an empty folder", path)};
  }
  std::vector<size_t> begins{0};  // of each shard, and the end
  int64_t total = 0, in_shard = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::optional<int64_t> bytes = StoredBytes(tensors[i].type, tensors[i].shape);
    R1_CHECK(bytes.has_value(), "WriteShardedSafetensors: bad shape of " + tensors[i].name);
    if (in_shard > 0 && *bytes > max_shard_bytes - in_shard) {
      begins.push_back(i);
      in_shard = 0;
    }
    in_shard += *bytes;
    total += *bytes;
  }
  begins.push_back(tensors.size());
  const size_t count = begins.size() - 1;
  if (count == 1) return WriteSafetensors(single, tensors, metadata, source);
  SafetensorsIndex index;
  index.total_size = total;
  for (size_t shard = 0; shard < count; ++shard) {
    const size_t begin = begins[shard];
    const std::vector<TensorToStore> part(tensors.begin() + static_cast<std::ptrdiff_t>(begin),
                                          tensors.begin() + static_cast<std::ptrdiff_t>(begins[shard + 1]));
    index.shards.push_back(fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, count));
    for (const TensorToStore& tensor : part) index.placement.emplace_back(tensor.name, static_cast<uint32_t>(shard));
    const TensorSource from = [&](size_t i) { return source(begin + i); };
    R1_TRY(WriteSafetensors(JoinPath(folder, index.shards.back()), part, metadata, source ? from : nullptr));
  }
  std::sort(index.placement.begin(), index.placement.end());
  for (size_t i = 1; i < index.placement.size(); ++i) {
    R1_CHECK(index.placement[i].first != index.placement[i - 1].first,
             "WriteShardedSafetensors: name used twice: " + Quote(index.placement[i].first));
  }
  return WriteFileAtomic(index_path, SafetensorsIndexText(index));
}

Result<int64_t> VerifySums(const std::string& folder) {
  const std::string path = JoinPath(folder, kSumsName);
  R1_ASSIGN(const std::string text, ReadFile(path, int64_t{1} << 20));
  int64_t count = 0, line_number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++line_number;
    if (line.size() < 67 || !IsHex64(line.substr(0, 64)) || line[64] != ' ' || (line[65] != ' ' && line[65] != '*')) {
      return Error{ErrorCode::kBadInput,
                   fmt::format("{}:{}: not a line of sha256sum: {}", path, line_number, Quote(line))};
    }
    const std::string name(line.substr(66));
    R1_ASSIGN(const std::string target, ResolveInFolder(folder, name));
    R1_ASSIGN(const std::string sum, Sha256OfFile(target));
    if (sum != line.substr(0, 64)) {
      return Error{ErrorCode::kBadInput, fmt::format("{}: its SHA-256 is {}, but {} says {}; fetch it again",
                                                     JoinPath(folder, name), sum, path, line.substr(0, 64))};
    }
    ++count;
  }
  return count;
}

}  // namespace r1
