// The write-side system calls of this folder, in one place so that tests can make the n-th one fail (io_fault.h).
// Each returns what the call returns, with errno set.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace r1::sys {

int OpenForWrite(const char* path, int flags);
ssize_t Write(int fd, const void* data, size_t bytes);
int Sync(int fd);
int Rename(const char* from, const char* to);
int Exchange(const char* a, const char* b);  // swaps two names in one step
int Truncate(int fd, off_t bytes);
int MakeDir(const char* path);

}  // namespace r1::sys
