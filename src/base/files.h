// Files and folders. Every failure is an Error that names the path, what the system said and what to do about it.
// Durable writes: data is synced before a name is given to it, and the folder is synced after.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

// "cannot write PATH: No space left on device: 12.0 MB needed, 3.1 MB free ...". `doing` is e.g. "write"; error is an
// errno; bytes_needed is named for a full disk where it is known (-1: not known).
Error FileError(std::string_view doing, const std::string& path, int error, int64_t bytes_needed = -1);

std::string JoinPath(std::string_view folder, std::string_view name);
std::string ParentOf(std::string_view path);  // "." if there is no slash
std::string BaseName(std::string_view path);
std::string BytesText(int64_t bytes);  // "12.3 MB" (powers of 1000)

bool Exists(const std::string& path);
bool IsDir(const std::string& path);
Result<int64_t> FileSize(const std::string& path);   // of a regular file
Result<int64_t> FreeBytes(const std::string& path);  // free for us on the file system of path, which need not exist yet
Result<std::vector<std::string>> ListDir(const std::string& path);  // names, sorted by bytes, without "." and ".."

Status MakeDirs(const std::string& path);    // with parents; no error if it is there
Status RemoveFile(const std::string& path);  // no error if it is not there
Status RemoveTree(const std::string& path);  // does not follow symbolic links; no error if it is not there
Status RenamePath(const std::string& from, const std::string& to);
Status SyncFile(const std::string& path);  // makes the bytes of a file last
Status SyncDir(const std::string& path);   // makes renames and new names in the folder last through a power cut

// Refuses what is not a regular file (a pipe would block) and what is larger than max_bytes.
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes);
// Temporary file in the same folder, sync, rename, sync of the folder: readers see the old bytes or the new ones.
Status WriteFileAtomic(const std::string& path, std::string_view data);
// Removes the temporary files that killed processes left in the folder, which must be there. For who alone writes into
// it.
Status RemoveTemporaries(const std::string& folder);

// While it lives, files that this thread finishes below the folder, and folders below it, are not synced one by one:
// the owner syncs them together (SyncFile, SyncDir after its end). Not nested.
class DeferSync {
 public:
  explicit DeferSync(std::string folder);
  ~DeferSync();
  DeferSync(const DeferSync&) = delete;
  DeferSync& operator=(const DeferSync&) = delete;
  static bool Covers(std::string_view path);
};

std::string Sha256(std::string_view data);                  // 64 lower-case hexadecimal digits
Result<std::string> Sha256OfFile(const std::string& path);  // read in blocks

// A new file written in pieces and counted on the way. Unless Finish() succeeds the file is removed at the end.
class FileWriter {
 public:
  // expected_bytes is only for the message of a full disk.
  static Result<FileWriter> Create(const std::string& path, int64_t expected_bytes = -1);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&& other) noexcept;
  ~FileWriter();
  Status Write(std::string_view data);
  Status Finish();  // sync and close
  int64_t bytes() const { return bytes_; }

 private:
  FileWriter(int fd, std::string path, int64_t expected) : fd_(fd), path_(std::move(path)), expected_(expected) {}
  int fd_ = -1;
  std::string path_;
  int64_t expected_ = -1;
  int64_t bytes_ = 0;
};

// Read-only view of a regular file. If another process shortens the file while it is mapped, reads past the new end
// give zeros and CheckIntact() fails, instead of the process dying of SIGBUS: call it after the last read.
class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::string_view bytes() const { return {data_, static_cast<size_t>(size_)}; }
  const std::string& path() const { return path_; }
  Status CheckIntact() const;

 private:
  MappedFile() = default;
  const char* data_ = nullptr;
  int64_t size_ = 0;
  int fd_ = -1;
  int slot_ = -1;  // of the table that the SIGBUS handler looks in
  std::string path_;
};

// Appends lines to a file (JSONL); each line is in the file, whole, when Append returns. Not synced line by line.
class LineWriter {
 public:
  // Creates the file if need be. keep_bytes >= 0 cuts it to that length first (resume: what followed was not in the
  // checkpoint); an error if the file is shorter than that.
  static Result<LineWriter> Open(const std::string& path, int64_t keep_bytes = -1);
  LineWriter(LineWriter&& other) noexcept;
  LineWriter& operator=(LineWriter&& other) noexcept;
  ~LineWriter();
  Status Append(std::string_view line);  // without its newline
  Status Sync();
  int64_t bytes() const { return bytes_; }  // length of the file: the value to give to keep_bytes later

 private:
  LineWriter(int fd, std::string path, int64_t bytes) : fd_(fd), path_(std::move(path)), bytes_(bytes) {}
  int fd_ = -1;
  std::string path_;
  int64_t bytes_ = 0;
};

}  // namespace r1
