#include "base/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <string_view>

namespace r1 {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The leading integer of text; fallback if there is none ("max").
int64_t Integer(std::string_view text, int64_t fallback) {
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : fallback;
}

// Calls visit(folder) for this process's group of a hierarchy and every group above it: each sets a limit of its own.
void ForEachGroup(const std::string& root, const std::string& controller,
                  const std::function<void(const std::string&)>& visit) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = names == ",,";
    if (!v2 && names.find("," + controller + ",") == std::string::npos) continue;
    const std::string mount = root + "/sys/fs/cgroup" + (v2 ? "" : "/" + controller);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    for (;;) {
      visit(mount + path);
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
}

}  // namespace

double CgroupCpuLimit(const std::string& root) {
  double limit = 0;
  const auto lower = [&](int64_t quota, int64_t period) {
    if (quota <= 0 || period <= 0) return;
    const double cores = static_cast<double>(quota) / static_cast<double>(period);
    if (limit == 0 || cores < limit) limit = cores;
  };
  ForEachGroup(root, "cpu", [&](const std::string& group) {
    const std::string v2 = FirstLine(group + "/cpu.max");  // "150000 100000" or "max 100000"
    if (const size_t space = v2.find(' '); space != std::string::npos) {
      lower(Integer(v2, -1), Integer(std::string_view(v2).substr(space + 1), -1));
    }
    lower(Integer(FirstLine(group + "/cpu.cfs_quota_us"), -1), Integer(FirstLine(group + "/cpu.cfs_period_us"), -1));
  });
  return limit;
}

int64_t CgroupMemoryLimit(const std::string& root) {
  int64_t limit = 0;
  ForEachGroup(root, "memory", [&](const std::string& group) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      const int64_t bytes = Integer(FirstLine(group + name), 0);
      // Version 1 writes "no limit" as a huge page-rounded number.
      if (bytes > 0 && bytes < (int64_t{1} << 60) && (limit == 0 || bytes < limit)) limit = bytes;
    }
  });
  return limit;
}

}  // namespace r1
