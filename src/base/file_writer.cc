// FileWriter and LineWriter of files.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/files.h"
#include "base/kill_point.h"
#include "base/quote.h"
#include "base/sys_io.h"

namespace r1 {
namespace {

// Writes all of data; returns 0 or an errno.
int WriteAll(int fd, std::string_view data) {
  constexpr size_t kMaxCall = size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB a call
  while (!data.empty()) {
    const ssize_t put = sys::Write(fd, data.data(), std::min(data.size(), kMaxCall));
    if (put < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (put == 0) return EIO;
    data.remove_prefix(static_cast<size_t>(put));
  }
  return 0;
}

}  // namespace

Result<FileWriter> FileWriter::Create(const std::string& path, int64_t expected_bytes) {
  const int fd = sys::OpenForWrite(path.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW);
  if (fd < 0) return FileError("create", path, errno, expected_bytes);
  KillPoint("file.after_create");
  return FileWriter(fd, path, expected_bytes);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      expected_(other.expected_),
      bytes_(other.bytes_) {}

FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(expected_, other.expected_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

FileWriter::~FileWriter() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(path_.c_str());
}

Status FileWriter::Write(std::string_view data) {
  R1_CHECK(fd_ >= 0, "FileWriter::Write after Finish");
  if (const int error = WriteAll(fd_, data); error != 0) {
    const int64_t needed = expected_ >= 0 ? expected_ : bytes_ + static_cast<int64_t>(data.size());
    return FileError("write", path_, error, needed);
  }
  bytes_ += static_cast<int64_t>(data.size());
  KillPoint("file.after_write");
  return {};
}

Status FileWriter::Finish() {
  R1_CHECK(fd_ >= 0, "FileWriter::Finish called twice");
  // A failed sync may have dropped the pages, so it is not tried again: the file is given up.
  if (!DeferSync::Covers(path_) && sys::Sync(fd_) != 0) return FileError("sync", path_, errno, expected_);
  const int fd = std::exchange(fd_, -1);
  if (close(fd) != 0) {
    const int error = errno;
    unlink(path_.c_str());
    return FileError("close", path_, error, expected_);
  }
  KillPoint("file.after_sync");
  return {};
}

Result<LineWriter> LineWriter::Open(const std::string& path, int64_t keep_bytes) {
  // Not O_APPEND: bytes_ is the one place to write at, also after a failed write was cut off again.
  const int fd = sys::OpenForWrite(path.c_str(), O_RDWR);
  if (fd < 0) return FileError("create", path, errno);
  LineWriter writer(fd, path, 0);
  struct stat info {};
  if (fstat(fd, &info) != 0) return FileError("open", path, errno);
  if (!S_ISREG(info.st_mode)) return FileError("create", path, EINVAL);
  int64_t keep = keep_bytes;
  if (keep > info.st_size) {
    return Error{
        ErrorCode::kBadInput,
        fmt::format("{} has {} bytes, but the checkpoint to go on from was written when it had {}: lines are missing",
                    Quote(path, 1024), info.st_size, keep)};
  }
  if (keep < 0) {  // a last line that was cut off by a crash has no newline: it is dropped
    keep = info.st_size;
    char block[4096];
    while (keep > 0) {
      const int64_t from = std::max<int64_t>(0, keep - static_cast<int64_t>(sizeof(block)));
      const ssize_t got = pread(fd, block, static_cast<size_t>(keep - from), from);
      if (got != keep - from) return FileError("read", path, got < 0 ? errno : EIO);
      const size_t newline = std::string_view(block, static_cast<size_t>(got)).rfind('\n');
      keep = newline == std::string_view::npos ? from : from + static_cast<int64_t>(newline) + 1;
      if (newline != std::string_view::npos) break;
    }
  }
  if (keep != info.st_size && sys::Truncate(fd, keep) != 0) return FileError("cut", path, errno);
  if (lseek(fd, keep, SEEK_SET) < 0) return FileError("open", path, errno);
  writer.bytes_ = keep;
  return Result<LineWriter>(std::move(writer));
}

LineWriter::LineWriter(LineWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), bytes_(other.bytes_) {}

LineWriter& LineWriter::operator=(LineWriter&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

LineWriter::~LineWriter() {
  if (fd_ >= 0) close(fd_);
}

Status LineWriter::Append(std::string_view line) {
  R1_CHECK(line.find('\n') == std::string_view::npos, "LineWriter::Append: the line has a newline in it");
  std::string text(line);
  text += '\n';
  if (const int error = WriteAll(fd_, text); error != 0) {
    // Whole lines only: what got in is cut off again, so that a later Append starts at the end of the last whole line.
    if (ftruncate(fd_, bytes_) == 0) lseek(fd_, bytes_, SEEK_SET);
    return FileError("write", path_, error, bytes_ + static_cast<int64_t>(text.size()));
  }
  bytes_ += static_cast<int64_t>(text.size());
  KillPoint("line.after_append");
  return {};
}

Status LineWriter::Sync() {
  if (sys::Sync(fd_) != 0) return FileError("sync", path_, errno);
  return {};
}

}  // namespace r1
