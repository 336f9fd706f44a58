#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/kill_point.h"
#include "base/quote.h"
#include "base/sys_io.h"

namespace r1 {
namespace {

std::string Remedy(const std::string& path, int error, int64_t bytes_needed) {
  switch (error) {
    case ENOSPC:
    case EDQUOT: {
      std::string text = bytes_needed >= 0 ? BytesText(bytes_needed) + " needed" : "";
      if (const auto free = FreeBytes(path); free.ok())
        text += (text.empty() ? "" : ", ") + BytesText(*free) + " free there";
      return text + (text.empty() ? "" : "; ") + "free some space or choose another folder";
    }
    case EACCES:
    case EPERM:
      return fmt::format("user {} may not do that; check owner and permissions, or choose another folder", geteuid());
    case EROFS:
      return "the file system is mounted read-only; choose another folder";
    case EFBIG: {
      rlimit limit{};
      if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        return fmt::format("files are limited to {} (ulimit -f)", BytesText(static_cast<int64_t>(limit.rlim_cur)));
      }
      return "the file system does not hold files of that size";
    }
    case EIO:
      return "the device reported an error; look at the kernel log (dmesg) and check the disk";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n)";
    case ENOENT:
      return "check the path";
    case ENOTDIR:
      return "a part of the path is a file, not a folder";
    case EISDIR:
      return "it is a folder";
    case EEXIST:
      return "a file of that name is in the way";
    default:
      return "";
  }
}

ErrorCode CodeOf(std::string_view doing, int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::kTryAgain;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case EEXIST:
    case ELOOP:
      return doing == "create" ? ErrorCode::kCannotCreate : ErrorCode::kIo;
    case ENOENT:
      return doing == "create" ? ErrorCode::kCannotCreate : ErrorCode::kUnavailable;
    default:
      return ErrorCode::kIo;
  }
}

thread_local std::string t_deferred;  // the folder of the DeferSync that lives in this thread

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

DigestContext StartSha256() {
  DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  R1_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1,
           "SHA-256 is not available");
  return context;
}

std::string FinishSha256(EVP_MD_CTX* context) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  R1_CHECK(EVP_DigestFinal_ex(context, digest, &length) == 1, "SHA-256 failed");
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

// Opens a regular file for reading; anything else is refused without blocking.
Result<int> OpenRegular(const std::string& path, int64_t* size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return FileError("open", path, errno);
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return FileError("read", path, error);
  }
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return Error{ErrorCode::kBadInput, fmt::format("cannot read {}: it is {}, not a file", Quote(path, 1024),
                                                   S_ISDIR(info.st_mode) ? "a folder" : "a pipe or a device")};
  }
  *size = info.st_size;
  return fd;
}

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { close(fd_); }
  ssize_t Read(char* out, size_t bytes) const {
    ssize_t got = 0;
    do {
      got = read(fd_, out, bytes);
    } while (got < 0 && errno == EINTR);
    return got;
  }

 private:
  int fd_;
};

}  // namespace

std::string BytesText(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Error FileError(std::string_view doing, const std::string& path, int error, int64_t bytes_needed) {
  std::string message =
      fmt::format("cannot {} {}: {}", doing, Quote(path, 1024), std::system_category().message(error));
  if (const std::string remedy = Remedy(path, error, bytes_needed); !remedy.empty()) message += ": " + remedy;
  return Error{CodeOf(doing, error), std::move(message)};
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

std::string ParentOf(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

std::string BaseName(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1));
}

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

bool IsDir(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<int64_t> FileSize(const std::string& path) {
  int64_t size = 0;
  R1_ASSIGN(const int fd, OpenRegular(path, &size));
  close(fd);
  return size;
}

Result<int64_t> FreeBytes(const std::string& path) {
  std::string at = path;
  struct statvfs info {};
  while (statvfs(at.c_str(), &info) != 0) {
    const std::string parent = ParentOf(at);
    if ((errno != ENOENT && errno != ENOTDIR) || parent == at)
      return FileError("ask for the free space of", path, errno);
    at = parent;
  }
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

Result<std::vector<std::string>> ListDir(const std::string& path) {
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return FileError("list", path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  closedir(dir);
  if (error != 0) return FileError("list", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

Status MakeDirs(const std::string& path) {
  if (IsDir(path)) return {};
  const std::string parent = ParentOf(path);
  if (parent != path && parent != ".") R1_TRY(MakeDirs(parent));
  if (sys::MakeDir(path.c_str()) != 0 && !(errno == EEXIST && IsDir(path))) return FileError("create", path, errno);
  return {};
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError("remove", path, errno);
  return {};
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return FileError("remove", path, error.value());
  return {};
}

Status RenamePath(const std::string& from, const std::string& to) {
  if (sys::Rename(from.c_str(), to.c_str()) != 0) {
    Error error = FileError("rename", from, errno);
    error.message += fmt::format(" (to {})", Quote(to, 1024));
    return error;
  }
  return {};
}

Status SyncFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("sync", path, errno);
  const int error = sys::Sync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return FileError("sync", path, error);
  return {};
}

DeferSync::DeferSync(std::string folder) {
  R1_CHECK(t_deferred.empty() && !folder.empty(), "DeferSync is nested");
  t_deferred = std::move(folder);
}
DeferSync::~DeferSync() { t_deferred.clear(); }
bool DeferSync::Covers(std::string_view path) {
  if (t_deferred.empty() || path.substr(0, t_deferred.size()) != t_deferred) return false;
  return path.size() == t_deferred.size() || path[t_deferred.size()] == '/';
}

Status SyncDir(const std::string& path) {
  if (DeferSync::Covers(path)) return {};
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("sync", path, errno);
  // Some network file systems cannot sync a folder and say so with EINVAL; there is nothing more to do on them.
  const int error = sys::Sync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  if (error != 0) return FileError("sync", path, error);
  return {};
}

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  int64_t size = 0;
  R1_ASSIGN(const int fd, OpenRegular(path, &size));
  const OpenFile file(fd);
  const auto too_large = [&] {
    return Error{ErrorCode::kBadInput, fmt::format("cannot read {}: it is larger than the {} allowed here",
                                                   Quote(path, 1024), BytesText(max_bytes))};
  };
  if (size > max_bytes) return too_large();
  std::string text(static_cast<size_t>(size), '\0');
  size_t filled = 0;
  for (;;) {  // the file may have grown or shrunk meanwhile, and files of /proc have size 0
    if (filled == text.size()) text.resize(text.size() + 4096);
    const ssize_t got = file.Read(text.data() + filled, text.size() - filled);
    if (got < 0) return FileError("read", path, errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
    if (static_cast<int64_t>(filled) > max_bytes) return too_large();
  }
  text.resize(filled);
  return text;
}

Status WriteFileAtomic(const std::string& path, std::string_view data) {
  static std::atomic<uint64_t> counter{0};
  const std::string temporary = fmt::format("{}.tmp-{}-{}", path, getpid(), counter.fetch_add(1));
  {
    R1_ASSIGN(FileWriter writer, FileWriter::Create(temporary, static_cast<int64_t>(data.size())));
    R1_TRY(writer.Write(data));
    R1_TRY(writer.Finish());
  }
  if (Status renamed = RenamePath(temporary, path); !renamed.ok()) {
    unlink(temporary.c_str());
    return renamed;
  }
  KillPoint("file.after_rename");
  return SyncDir(ParentOf(path));
}

Status RemoveTemporaries(const std::string& folder) {
  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    const size_t mark = name.rfind(".tmp-");
    if (mark == std::string::npos || mark == 0 || IsDir(JoinPath(folder, name))) continue;
    const std::string_view numbers = std::string_view(name).substr(mark + 5);
    const size_t dash = numbers.find('-');
    const auto digits = [](std::string_view text) {
      return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (dash == std::string_view::npos || !digits(numbers.substr(0, dash)) || !digits(numbers.substr(dash + 1)))
      continue;
    R1_TRY(RemoveFile(JoinPath(folder, name)));
  }
  return {};
}

std::string Sha256(std::string_view data) {
  const DigestContext context = StartSha256();
  R1_CHECK(EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1, "SHA-256 failed");
  return FinishSha256(context.get());
}

Result<std::string> Sha256OfFile(const std::string& path) {
  int64_t size = 0;
  R1_ASSIGN(const int fd, OpenRegular(path, &size));
  const OpenFile file(fd);
  const DigestContext context = StartSha256();
  std::vector<char> block(size_t{1} << 18);
  for (;;) {
    const ssize_t got = file.Read(block.data(), block.size());
    if (got < 0) return FileError("read", path, errno);
    if (got == 0) break;
    R1_CHECK(EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(got)) == 1, "SHA-256 failed");
  }
  return FinishSha256(context.get());
}

}  // namespace r1
