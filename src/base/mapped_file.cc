// MappedFile of files.h. A page of a mapped file beyond its (new) end raises SIGBUS. The handler looks the address up
// in a fixed table of mappings, puts a page of zeros there, marks the mapping as torn and lets the read go on.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

#include "base/files.h"
#include "base/quote.h"

namespace r1 {
namespace {

constexpr int kSlots = 1024;
struct Slot {
  std::atomic<bool> used{false};
  std::atomic<bool> torn{false};
  std::atomic<uintptr_t> begin{0}, end{0};
};
Slot g_slots[kSlots];
struct sigaction g_previous;

void OnBusError(int signal, siginfo_t* info, void* context) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Slot& slot : g_slots) {
    if (info->si_code <= 0) break;  // sent by a process, not a fault
    if (!slot.used.load() || address < slot.begin.load() || address >= slot.end.load()) continue;
    const uintptr_t page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    void* page = reinterpret_cast<void*>(address / page_bytes * page_bytes);
    const int saved = errno;
    void* mapped = mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = saved;
    if (mapped == MAP_FAILED) break;
    slot.torn = true;
    return;
  }
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    g_previous.sa_sigaction(signal, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    g_previous.sa_handler(signal);
  } else {
    ::signal(signal, SIG_DFL);  // end the process as it would have ended
    raise(signal);
  }
}

int TakeSlot() {
  static std::once_flag installed;
  std::call_once(installed, [] {
    struct sigaction action {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &g_previous);
  });
  for (int i = 0; i < kSlots; ++i) {
    bool free = false;
    if (g_slots[i].used.compare_exchange_strong(free, true)) {
      g_slots[i].torn = false;
      return i;
    }
  }
  return -1;
}

void ReturnSlot(int slot) {
  g_slots[slot].begin = 0;
  g_slots[slot].end = 0;
  g_slots[slot].used = false;
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  MappedFile file;
  file.path_ = path;
  file.fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file.fd_ < 0) return FileError("open", path, errno);
  struct stat info {};
  if (fstat(file.fd_, &info) != 0) return FileError("read", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kBadInput, fmt::format("cannot read {}: it is {}, not a file", Quote(path, 1024),
                                                   S_ISDIR(info.st_mode) ? "a folder" : "a pipe or a device")};
  }
  if (info.st_size == 0) return Result<MappedFile>(std::move(file));
  file.slot_ = TakeSlot();
  if (file.slot_ < 0) {
    return Error{ErrorCode::kTryAgain,
                 fmt::format("cannot read {}: {} files are mapped already", Quote(path, 1024), kSlots)};
  }
  void* data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file.fd_, 0);
  if (data == MAP_FAILED) return FileError("map", path, errno);
  file.data_ = static_cast<const char*>(data);
  file.size_ = info.st_size;
  g_slots[file.slot_].begin = reinterpret_cast<uintptr_t>(data);
  g_slots[file.slot_].end = reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(info.st_size);
  return Result<MappedFile>(std::move(file));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      slot_(std::exchange(other.slot_, -1)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(fd_, other.fd_);
  std::swap(slot_, other.slot_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (slot_ >= 0) ReturnSlot(slot_);
  if (data_ != nullptr) munmap(const_cast<char*>(data_), static_cast<size_t>(size_));
  if (fd_ >= 0) close(fd_);
}

Status MappedFile::CheckIntact() const {
  if (data_ == nullptr) return {};
  struct stat info {};
  if (fstat(fd_, &info) != 0) return FileError("read", path_, errno);
  if (g_slots[slot_].torn.load() || info.st_size < size_) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{} was shortened by another process while it was being read ({} to {} bytes)",
                             Quote(path_, 1024), size_, info.st_size)};
  }
  return {};
}

}  // namespace r1
