// r1 diff-runs: are two runs the same, and if not, where do they first part?
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "recipe/diff_runs.h"
#include "recipe/volatile_fields.h"

namespace r1::cli {
namespace {

struct DiffRunsConfig {
  int64_t max_differences = 5;

  template <class V>
  void Fields(V& v) {
    v("max_differences", max_differences,
      "how many differing files to list, earliest in training first; 0 for all (--json lists all)");
  }
};

nlohmann::ordered_json ToJson(const RunDifference& d) {
  nlohmann::ordered_json out = {{"kind", d.kind}, {"stage", d.stage}, {"step", nullptr}, {"file", d.file},
                                {"name", d.name}, {"index", nullptr}, {"a", d.a},        {"b", d.b}};
  if (d.step >= 0) out["step"] = d.step;
  if (d.index >= 0) out["index"] = d.index;
  if (d.elements > 0) {
    out["elements"] = d.elements;
    out["max_abs"] = d.max_abs;
  }
  out["text"] = DescribeDifference(d);
  return out;
}

Result<int> Run(const DiffRunsConfig& config, const Invocation& invocation) {
  if (config.max_differences < 0) return Error{ErrorCode::kUsage, "--max-differences: must be 0 or more"};
  const std::string &a = invocation.positionals[0], &b = invocation.positionals[1];
  R1_ASSIGN(const RunComparison comparison, CompareRuns(a, b));
  const int code = comparison.identical() ? 0 : 1;
  if (invocation.json) {
    nlohmann::ordered_json differences = nlohmann::ordered_json::array();
    for (const RunDifference& difference : comparison.differences) differences.push_back(ToJson(difference));
    PrintJson({{"identical", comparison.identical()},
               {"a", a},
               {"b", b},
               {"first", comparison.identical() ? nlohmann::ordered_json() : differences[0]},
               {"differences", differences},
               {"notes", comparison.notes},
               {"stages", comparison.stages},
               {"compared",
                {{"files", comparison.files},
                 {"records", comparison.records},
                 {"tensors", comparison.tensors},
                 {"numbers", comparison.numbers}}},
               {"left_out", kVolatileFields}});
    return code;
  }
  if (comparison.identical()) {
    Print(fmt::format("identical: {} files, {} records, {} tensors with {} numbers, in {} stage{}\n", comparison.files,
                      CountText(comparison.records), CountText(comparison.tensors), CountText(comparison.numbers),
                      comparison.stages.size(), comparison.stages.size() == 1 ? "" : "s"));
  } else {
    Print(fmt::format("different ({} | {}); first in\n", a, b));
    const size_t all = comparison.differences.size();
    const size_t shown = config.max_differences == 0 ? all : std::min(all, static_cast<size_t>(config.max_differences));
    for (size_t i = 0; i < shown; ++i)
      Print((i == 1 ? "then\n  " : "  ") + DescribeDifference(comparison.differences[i]) + "\n");
    if (shown < all)
      Print(fmt::format("  and {} more file{}; --max-differences=0 lists all\n", all - shown,
                        all - shown == 1 ? "" : "s"));
  }
  for (const std::string& note : comparison.notes) Print("note: " + note + "\n");
  return code;
}

}  // namespace

Command DiffRunsCommand() {
  Command command;
  command.name = "diff-runs";
  command.group = "Look at results";
  command.summary = "say whether two runs are the same, or where they first differ";
  command.description =
      "Compares every stage of two run folders: metrics step by step, completions, evaluation traces, and the weights, "
      "optimizer and "
      "trainer state of the checkpoints both have, tensor by tensor and bit by bit. Names the earliest step, field or "
      "tensor that "
      "differs, with both values. Times, speeds, machine names and other fields that do not say what was computed are "
      "left "
      "out (--json lists them). Settings that differ are printed as notes.\n\n"
      "Exit code 0 if the runs are the same, 1 if they differ.";
  command.examples = {
      {"r1 diff-runs runs/zero runs/zero-again", "prove that a run can be repeated, or find where it cannot"},
      {"r1 diff-runs runs/a runs/b --json", "every differing file, for a script"}};
  command.positionals = {{"RUN_A", "folder of a run"}, {"RUN_B", "folder of the other run"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
