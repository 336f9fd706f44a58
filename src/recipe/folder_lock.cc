#include "recipe/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"

namespace r1 {

Result<FolderLock> FolderLock::Take(const std::string& folder) {
  const std::string path = JoinPath(folder, ".lock");
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return Error{ErrorCode::kTryAgain,
                 folder + " is in use by another r1 process; wait for it or choose another --output-dir"};
  }
  return Result<FolderLock>(FolderLock(fd));
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace r1
