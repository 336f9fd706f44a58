// Fault injection for tests of what happens when the disk fails: the n-th write-side system call of base/files fails.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace r1 {

// The n-th call from now (1 = the next) of open for writing, write, fsync, rename, truncate, mkdir fails with `error`,
// once. error == 0 with n == 0 disarms. A failing write may write half of its bytes first, as a disk that fills up
// does.
void InjectIoFault(int64_t n, int error);
// Calls counted since the last InjectIoFault.
int64_t IoCalls();
// From now on every such call that succeeds is noted, e.g. "write PATH", "sync PATH", "rename FROM TO"; nullptr ends
// it. For tests of the order of writes and syncs, on one thread.
void RecordIo(std::vector<std::string>* out);

}  // namespace r1
