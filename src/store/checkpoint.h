// Checkpoints: folders PARENT/checkpoint-N. A folder of that name is complete: it is written under a temporary name,
// hashed (manifest.json, written last, has every file's size and SHA-256), synced, and renamed. A process killed at any
// point leaves the old checkpoint or the new one, and rubbish that the next save removes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

struct CheckpointRef {
  std::string path;
  int64_t step = 0;
};

struct SaveOptions {
  int64_t save_total_limit = 0;  // checkpoints kept, newest first; 0 keeps all
  int64_t bytes_hint = 0;        // expected size: the free space is checked before anything is written
};

// write_files(folder) writes the files, which may be in subfolders. Replaces an existing checkpoint-N (a rerun of the
// step). Returns the new checkpoint's path. On an error nothing of an older checkpoint has changed.
Result<std::string> SaveCheckpoint(const std::string& parent, int64_t step,
                                   const std::function<Status(const std::string& folder)>& write_files,
                                   const SaveOptions& options = {});

// Compares the manifest with what this program writes, and every file in it with its size and hash; the error names the
// file. Files that are not in the manifest are not looked at.
Status VerifyCheckpoint(const std::string& path);

// The newest checkpoint that verifies. A damaged newer one is reported through the log. None there: nullopt. Some there
// but none verifies: Error kBadInput, so that nobody starts from scratch without knowing. Writes nothing.
Result<std::optional<CheckpointRef>> FindCheckpoint(const std::string& parent);

// All folders named checkpoint-N, ascending by step, not verified.
Result<std::vector<CheckpointRef>> ListCheckpoints(const std::string& parent);

// Removes the oldest checkpoints beyond the limit (>= 1). The one of step `proved`, just written or verified, always
// stays. SaveCheckpoint does it after saving.
Status RemoveOldCheckpoints(const std::string& parent, int64_t limit, int64_t proved);

// Removes what killed saves left behind; for the process that trains there. SaveCheckpoint does it too.
Status CleanCheckpointLeftovers(const std::string& parent);

// Every kill point of SaveCheckpoint, in order, for tests ("checkpoint.after_files", ...).
const std::vector<std::string>& CheckpointKillPoints();

}  // namespace r1
