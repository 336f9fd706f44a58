// Limits that a container or service manager has set on this process through control groups (version 2 or 1).
#pragma once

#include <cstdint>
#include <string>

namespace r1 {

// Processors' worth of time, e.g. 1.5; 0 if unlimited. root is put before /proc and /sys ("" for the machine; tests
// give a folder).
double CgroupCpuLimit(const std::string& root);
// Bytes; 0 if unlimited.
int64_t CgroupMemoryLimit(const std::string& root);

}  // namespace r1
