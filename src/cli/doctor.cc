// r1 doctor: what this machine offers, line by line, with a remedy wherever something is missing. Exit 69 if r1 cannot
// work here.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/files.h"
#include "base/memory.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/kernel_agreement.h"
#include "cli/output.h"
#include "kernels/kernels.h"

namespace r1::cli {
namespace {

struct DoctorConfig {
  std::string runs_dir = "runs";

  template <class V>
  void Fields(V& v) {
    v("runs_dir", runs_dir, "folder in which runs will be written; it need not exist yet");
  }
};

enum class Health { kOk, kNote, kWarn, kFail };
constexpr const char* kHealthNames[] = {"ok", "note", "warn", "FAIL"};

struct Finding {
  std::string name;
  Health health;
  std::string text;
  std::string remedy;  // "" if all is well
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
};

std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The text after "name\t: " in /proc/cpuinfo.
std::string CpuInfo(std::string_view name) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.rfind(name, 0) != 0) continue;
    return colon + 2 <= line.size() ? line.substr(colon + 2) : "";
  }
  return "";
}

Finding CheckSystem() {
  utsname system{};
  uname(&system);
  std::string model = CpuInfo("model name");
  if (model.empty()) model = "unnamed processor";
  Finding finding{"machine", Health::kOk,
                  fmt::format("{}, {} {}, {}", model, system.sysname, system.release, system.machine), ""};
  finding.values = {
      {"processor", model}, {"system", system.sysname}, {"release", system.release}, {"machine", system.machine}};
  return finding;
}

Finding CheckBuild() {
  const std::string type = R1_BUILD_TYPE;
  Finding finding{"build", Health::kOk, fmt::format("version {}, {}", R1_VERSION, type), ""};
  if (type != "Release" && type != "RelWithDebInfo") {
    finding.health = Health::kWarn;
    finding.remedy = "this build is for development and slow: run 'make build' for a fast one";
  }
  finding.values = {{"version", R1_VERSION}, {"build_type", type}};
  return finding;
}

Finding CheckCores() {
  const int usable = AvailableCores();
  const int64_t present = sysconf(_SC_NPROCESSORS_ONLN);
  Finding finding{"cores", Health::kOk, fmt::format("{} usable of {}", usable, present), ""};
  if (usable < 2) {
    finding.health = Health::kWarn;
    finding.remedy = "everything works on one core, only slower; give the process or container more";
  }
  finding.values = {{"usable", usable}, {"present", present}};
  return finding;
}

Finding CheckMemory() {
  constexpr int64_t kGigabyte = 1'000'000'000;
  const int64_t total = TotalMemoryBytes(), free = FreeMemoryBytes();
  Finding finding{"memory", Health::kOk, fmt::format("{} free of {}", BytesText(free), BytesText(total)), ""};
  if (free < 2 * kGigabyte) {
    finding.health = free < kGigabyte / 4 ? Health::kFail : Health::kWarn;
    finding.remedy =
        "the built-in demonstration is comfortable with 2 GB free: close other programs or raise the container's limit";
  }
  finding.values = {{"total_bytes", total}, {"free_bytes", free}};
  return finding;
}

Finding CheckIsa() {
  std::vector<std::string> available;
  for (const char* const* isa = kernels::AvailableIsas(); *isa != nullptr; ++isa) available.emplace_back(*isa);
  const char* forced = std::getenv("R1_ISA");
  const std::string in_use = kernels::Kernels().isa;
  Finding finding{"instruction set", Health::kOk,
                  fmt::format("{} in use; this machine runs {}", in_use, fmt::join(available, ", ")), ""};
  if (forced != nullptr && *forced != '\0' && in_use != available.back()) {
    finding.health = Health::kNote;
    finding.remedy = fmt::format("R1_ISA={} holds back the faster '{}': unset R1_ISA", forced, available.back());
  } else if (available.size() == 1) {
    finding.health = Health::kWarn;
    finding.remedy =
        "only the portable code runs here, which is slow; r1 is fast on processors with AVX2, AVX-512 or AMX";
  }
  finding.values = {{"in_use", in_use}, {"available", available}};
  return finding;
}

Finding CheckAmx() {
  Finding finding{"matrix tiles (AMX)", Health::kOk, "", ""};
  std::istringstream flags(CpuInfo("flags"));
  bool has_tiles = false;
  for (std::string flag; flags >> flag;) has_tiles = has_tiles || flag == "amx_bf16";
  bool permitted = false;
#if defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
  permitted = has_tiles && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#endif
  finding.values = {{"present", has_tiles}, {"permitted", permitted}};
  if (permitted) {
    finding.text = "present, and the kernel lets this process use them";
  } else if (has_tiles) {
    finding.health = Health::kWarn;
    finding.text = "present, but the kernel does not let this process use them";
    finding.remedy = "Linux 5.16 or newer is needed, and a container or sandbox must allow the arch_prctl call";
  } else {
    finding.text = "not on this processor; wide vectors are used instead";
  }
  return finding;
}

Finding CheckAgreement() {
  const KernelAgreement agreement = CompareKernels();
  Finding finding{"arithmetic", Health::kOk, agreement.text, ""};
  if (!agreement.agree) {
    finding.health = Health::kFail;
    finding.remedy =
        "runs would not be exactly repeatable: test the machine's memory and cooling, and report this line";
  } else if (agreement.compared < 2) {
    finding.health = Health::kNote;
  }
  finding.values = {{"agree", agreement.agree}, {"compared", agreement.compared}};
  return finding;
}

Finding CheckHugePages() {
  const std::string modes = FirstLine("/sys/kernel/mm/transparent_hugepage/enabled");  // "always [madvise] never"
  const size_t begin = modes.find('['), end = modes.find(']');
  const std::string mode =
      begin == std::string::npos || end == std::string::npos ? "unknown" : modes.substr(begin + 1, end - begin - 1);
  Finding finding{"huge pages", Health::kOk, mode, ""};
  if (mode == "never" || mode == "unknown") {
    finding.health = Health::kNote;
    finding.remedy =
        "a few percent slower without: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";
  }
  finding.values = {{"mode", mode}};
  return finding;
}

// Permission bits say too much (root, read-only mounts): make a file without a name, which vanishes with its
// descriptor.
bool CanWriteIn(const std::string& folder) {
  const int fd = open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno == EOPNOTSUPP && access(folder.c_str(), W_OK | X_OK) == 0;  // a file system without such files
  close(fd);
  return true;
}

Finding CheckRunsDir(const std::string& runs_dir) {
  constexpr int64_t kGigabyte = 1'000'000'000;
  std::string there = runs_dir;
  while (!Exists(there) && there != "." && there != "/") there = ParentOf(there);
  Finding finding{"runs folder", Health::kOk, "", ""};
  finding.values = {{"path", runs_dir}};
  if (!IsDir(there) || !CanWriteIn(there)) {
    finding.health = Health::kFail;
    finding.text = fmt::format("{}: {} {}", runs_dir, there, IsDir(there) ? "cannot be written" : "is not a folder");
    finding.remedy =
        fmt::format("choose another folder with --runs-dir here and --output-dir in the commands, or: chmod u+w {}",
                    ShellQuote(there));
    return finding;
  }
  const Result<int64_t> free = FreeBytes(there);
  if (!free.ok()) {
    finding.health = Health::kWarn;
    finding.text = free.error().message;
    return finding;
  }
  finding.text = fmt::format("{}: {} free", runs_dir, BytesText(*free));
  if (*free < kGigabyte) {
    finding.health = *free < kGigabyte / 20 ? Health::kFail : Health::kWarn;
    finding.remedy =
        "the built-in demonstration is comfortable with 1 GB: free some space or choose another disk with --output-dir";
  }
  finding.values["free_bytes"] = *free;
  return finding;
}

Finding CheckSandbox() {
  Finding finding{"sandbox", Health::kNote,
                  "not built yet: this version runs no model-written programs, so it needs none", ""};
  finding.values = {{"tier", nullptr}};
  return finding;
}

Finding CheckTerminal() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string locale = variable("LC_ALL");
  if (locale.empty()) locale = variable("LC_CTYPE");
  if (locale.empty()) locale = variable("LANG");
  std::string folded = locale;
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool utf8 = folded.find("utf-8") != std::string::npos || folded.find("utf8") != std::string::npos;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  Finding finding{
      "terminal", Health::kOk,
      fmt::format("{}, locale {}",
                  terminal ? "progress is shown on one line" : "not a terminal: progress is one line a step",
                  locale.empty() ? "not set" : locale),
      ""};
  if (!utf8) {
    finding.health = Health::kNote;
    finding.remedy = "Chinese words in the traces may not show: export LC_ALL=C.UTF-8";
  }
  finding.values = {{"is_terminal", terminal}, {"locale", locale}, {"utf8", utf8}};
  return finding;
}

Result<int> Run(const DoctorConfig& config, const Invocation& invocation) {
  const std::vector<Finding> findings = {CheckSystem(),    CheckBuild(),     CheckCores(),
                                         CheckMemory(),    CheckIsa(),       CheckAmx(),
                                         CheckAgreement(), CheckHugePages(), CheckRunsDir(config.runs_dir),
                                         CheckSandbox(),   CheckTerminal()};
  const auto count = [&](Health health) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& finding) { return finding.health == health; });
  };
  const int code = count(Health::kFail) > 0 ? static_cast<int>(ErrorCode::kUnavailable) : 0;
  if (invocation.json) {
    nlohmann::ordered_json checks = nlohmann::ordered_json::array();
    for (const Finding& finding : findings) {
      const std::string health =
          finding.health == Health::kFail ? "fail" : kHealthNames[static_cast<int>(finding.health)];
      checks.push_back({{"name", finding.name},
                        {"health", health},
                        {"text", finding.text},
                        {"remedy", finding.remedy},
                        {"values", finding.values}});
    }
    PrintJson({{"ok", code == 0}, {"checks", checks}});
    return code;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Finding& finding : findings) {
    rows.push_back({kHealthNames[static_cast<int>(finding.health)], finding.name, finding.text});
    if (!finding.remedy.empty()) rows.push_back({"", "", "-> " + finding.remedy});
  }
  Print(ColumnsText(rows, 0));
  Print(fmt::format("\n{}\n", code != 0                  ? "r1 cannot work here until what is marked FAIL is mended."
                              : count(Health::kWarn) > 0 ? "r1 works here; see the lines marked warn."
                                                         : "r1 works here."));
  return code;
}

}  // namespace

Command DoctorCommand() {
  Command command;
  command.name = "doctor";
  command.group = "This machine and this program";
  command.summary = "show what this machine offers and what to do about what it lacks";
  command.description =
      "Looks at processor, memory, instruction sets, disk and terminal, and computes a small product with every "
      "instruction set to see "
      "that all give the same bits. Changes nothing. Exit code 0 if r1 can work here, 69 if not.";
  command.examples = {{"r1 doctor", "look at this machine"},
                      {"r1 doctor --runs-dir /data/runs --json", "look at another disk, for a script"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
