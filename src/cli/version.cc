// r1 version: which build this is. R1_VERSION and R1_BUILD_TYPE come from CMake.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "kernels/kernels.h"

namespace r1::cli {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

#if defined(__x86_64__)
constexpr const char* kMachine = "x86-64";
const std::vector<std::string> kBuiltIsas = {"portable", "avx2", "avx512", "amx"};
#elif defined(__aarch64__)
constexpr const char* kMachine = "aarch64";
const std::vector<std::string> kBuiltIsas = {"portable"};
#else
constexpr const char* kMachine = "other";
const std::vector<std::string> kBuiltIsas = {"portable"};
#endif

Result<int> Run(const Invocation& invocation) {
  const std::string in_use = kernels::Kernels().isa;
  if (invocation.json) {
    PrintJson({{"name", "r1"},
               {"version", R1_VERSION},
               {"compiler", kCompiler},
               {"build_type", R1_BUILD_TYPE},
               {"machine", kMachine},
               {"isas", kBuiltIsas},
               {"isa_in_use", in_use}});
    return 0;
  }
  Print(fmt::format("r1 {}\n", R1_VERSION));
  Print(ColumnsText({{"compiler", kCompiler},
                     {"build type", R1_BUILD_TYPE},
                     {"machine", kMachine},
                     {"instruction sets built in", fmt::format("{}", fmt::join(kBuiltIsas, ", "))},
                     {"instruction set in use", in_use}},
                    2));
  return 0;
}

}  // namespace

Command VersionCommand() {
  Command command;
  command.name = "version";
  command.group = "This machine and this program";
  command.summary = "print the version, the compiler and the instruction sets built in";
  command.description =
      "The instruction set in use is the best one this machine can run; the environment variable R1_ISA forces another "
      "one. Results do not depend on it.";
  command.examples = {{"r1 version --json", "the same as one JSON document"}};
  command.reports = true;
  command.run = Run;
  return command;
}

}  // namespace r1::cli
