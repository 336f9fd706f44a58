// A model in several safetensors files: model.safetensors.index.json
//   {"metadata": {"total_size": bytes of all tensors}, "weight_map": {"tensor": "model-00001-of-00003.safetensors",
//   ...}}
// Source: Hugging Face transformers. Other keys are passed over; total_size is not relied on, published indices have
// wrong ones.
//
// The index and the files must agree: every tensor lies where the index says and nowhere else. Which file may be
// opened:
//   a plain name (no slash, not beginning with a dot) in the folder of the index, a regular file, or a link whose
//   target lies in that folder or, if the folder is HUB/models--*/snapshots/REVISION as in Hugging Face's cache, in its
//   blobs/.
// Names that differ only in upper and lower case are refused: on some disks they are one file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/safetensors.h"
#include "store/tensors.h"

namespace r1 {

inline constexpr char kSafetensorsIndexName[] = "model.safetensors.index.json";
inline constexpr int64_t kMaxIndexBytes = int64_t{256} << 20;

struct SafetensorsIndex {
  std::vector<std::string> shards;                          // sorted
  std::vector<std::pair<std::string, uint32_t>> placement;  // tensor and index of its shard, sorted by tensor
  int64_t total_size = -1;                                  // as the file says; -1: it does not
};
Result<SafetensorsIndex> ParseSafetensorsIndex(std::string_view text, std::string_view where);
std::string SafetensorsIndexText(const SafetensorsIndex& index);

// The path to open for a file of that name in the folder, by the rules above.
Result<std::string> ResolveInFolder(const std::string& folder, const std::string& name);

class ShardedSafetensors final : public TensorSet {
 public:
  // index_path: the .index.json; path() is that too.
  static Result<ShardedSafetensors> Open(const std::string& index_path);
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  Status CheckIntact() const override;

 private:
  ShardedSafetensors() = default;
  std::vector<SafetensorsFile> shards_;
};

// Writes the tensors in the order given into the folder: one model.safetensors if they fit into max_shard_bytes of
// data, otherwise model-00001-of-0000N.safetensors with an index, written last. A tensor larger than that gets a file
// of its own. The folder must be there and hold no model.safetensors and no index. Metadata goes into every file.
Status WriteShardedSafetensors(const std::string& folder, const std::vector<TensorToStore>& tensors,
                               const std::vector<std::pair<std::string, std::string>>& metadata,
                               int64_t max_shard_bytes, const TensorSource& source = nullptr);

// Compares the files of a folder with its SHA256SUMS (lines of the sha256sum program: 64 hexadecimal digits, a space, a
// space or '*', a plain name) and gives how many there are. An Error names the first that differs or cannot be read.
inline constexpr char kSumsName[] = "SHA256SUMS";
Result<int64_t> VerifySums(const std::string& folder);

}  // namespace r1
