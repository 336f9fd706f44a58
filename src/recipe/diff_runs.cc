#include "recipe/diff_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/files.h"
#include "base/json.h"
#include "base/toml.h"
#include "recipe/diff_values.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kCheckpoint = "checkpoint-";
constexpr std::string_view kCompletions = "completions/step_";

// Files by path inside the run, e.g. "rl/checkpoint-150/model.safetensors".
Status ListFiles(const std::string& run, const std::string& inside, std::set<std::string>* out) {
  R1_ASSIGN(const std::vector<std::string> names, ListDir(inside.empty() ? run : JoinPath(run, inside)));
  for (const std::string& name : names) {
    const std::string path = inside.empty() ? name : inside + "/" + name;
    if (IsDir(JoinPath(run, path))) {
      R1_TRY(ListFiles(run, path, out));
    } else {
      out->insert(path);
    }
  }
  return {};
}

int64_t Number(std::string_view text) {
  int64_t value = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : -1;
}

std::string StageOf(const std::string& file) {
  return file.find('/') == std::string::npos ? "" : file.substr(0, file.find('/'));
}

// N of ".../checkpoint-N/..." or ".../completions/step_N.jsonl"; -1 if neither.
int64_t StepInPath(const std::string& file) {
  for (const std::string_view mark : {kCheckpoint, kCompletions}) {
    const size_t at = file.find(mark);
    if (at != std::string::npos) return Number(std::string_view(file).substr(at + mark.size()));
  }
  return -1;
}

// "rl/checkpoint-150" of a file in it; "" for other files.
std::string CheckpointOf(const std::string& file) {
  const size_t at = file.find(kCheckpoint);
  if (at == std::string::npos || (at > 0 && file[at - 1] != '/')) return "";
  const size_t end = file.find('/', at);
  return end == std::string::npos ? "" : file.substr(0, end);
}

enum class Treatment { kSkip, kNote, kJson, kRecords, kTensors, kBytes };

Treatment TreatmentOf(const std::string& file) {
  const std::string name = BaseName(file);
  const bool of_run = file.find('/') == std::string::npos;
  if (name[0] == '.') return Treatment::kSkip;  // locks
  const auto ends = [&](std::string_view end) { return name.size() >= end.size() && name.ends_with(end); };
  if (file.find(".tmp-") != std::string::npos || file.find(".removing") != std::string::npos)
    return Treatment::kSkip;  // left by a killed save
  if (ends(".html") || ends(".svg") || ends(".txt") || ends(".log")) return Treatment::kSkip;
  if (name == "manifest.json" && !CheckpointOf(file).empty()) return Treatment::kSkip;
  if (name == "manifest.json" || (of_run && ends(".toml"))) return Treatment::kNote;
  if (ends(".jsonl")) return Treatment::kRecords;
  if (ends(".safetensors")) return Treatment::kTensors;
  for (const char* json : {"results.json", "eval.json", "trainer_state.json", "stats.json", "done.json"}) {
    if (name == json) return Treatment::kJson;
  }
  return Treatment::kBytes;
}

std::string KindOf(const std::string& file) {
  const std::string name = BaseName(file);
  if (file.find("completions/") != std::string::npos) return "completions";
  if (name == "metrics.jsonl") return "metrics";
  if (name == "optimizer.safetensors") return "optimizer";
  if (name == "trainer_state.json") return "state";
  if (name.ends_with(".safetensors")) return "weights";
  return name.ends_with(".jsonl") ? "records" : "file";
}

// What comes first within a step: completions are sampled, then scored and logged, then weights change.
int Rank(const RunDifference& difference) {
  constexpr std::string_view kOrder[] = {"completions", "metrics", "weights", "optimizer",
                                         "state",       "records", "file",    "missing"};
  return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), difference.kind) - std::begin(kOrder));
}

// Evaluations read what training made, and files of the whole run sum up its stages.
int StageRank(const std::string& stage) { return stage.empty() ? 2 : stage.rfind("eval", 0) == 0 ? 1 : 0; }

class Comparer {
 public:
  Comparer(const std::string& a, const std::string& b) : run_a_(a), run_b_(b) {}

  Result<RunComparison> Compare() {
    R1_TRY(List(run_a_, &files_a_));
    R1_TRY(List(run_b_, &files_b_));
    last_a_ = LastSteps(files_a_);
    last_b_ = LastSteps(files_b_);
    std::set<std::string> all = files_a_;
    all.insert(files_b_.begin(), files_b_.end());
    std::set<std::string> stages;
    for (const std::string& file : all) {
      const Treatment treatment = TreatmentOf(file);
      if (treatment == Treatment::kSkip) continue;
      if (!StageOf(file).empty()) stages.insert(StageOf(file));
      if (treatment == Treatment::kNote) {
        R1_TRY(NoteSettings(file));
      } else if (files_a_.count(file) == 0 || files_b_.count(file) == 0) {
        Missing(file);
      } else {
        R1_TRY(CompareFile(file, treatment));
      }
    }
    out_.stages.assign(stages.begin(), stages.end());
    std::stable_sort(
        out_.differences.begin(), out_.differences.end(), [](const RunDifference& x, const RunDifference& y) {
          const auto key = [](const RunDifference& d) {
            return std::make_tuple(StageRank(d.stage), d.stage, d.step < 0 ? INT64_MAX : d.step, Rank(d), d.file);
          };
          return key(x) < key(y);
        });
    return std::move(out_);
  }

 private:
  static Status List(const std::string& run, std::set<std::string>* files) {
    if (!IsDir(run))
      return Error{ErrorCode::kBadInput,
                   fmt::format("{}: {}", run, Exists(run) ? "not a folder, a run is one" : "no such run folder")};
    R1_TRY(ListFiles(run, "", files));
    const bool any = std::any_of(files->begin(), files->end(), [](const std::string& file) {
      return BaseName(file) == "metrics.jsonl" || !CheckpointOf(file).empty();
    });
    if (!any)
      return Error{ErrorCode::kBadInput,
                   fmt::format("{}: not a run: no stage in it has metrics.jsonl or a checkpoint", run)};
    return {};
  }

  // The newest checkpoint of each stage folder.
  static std::map<std::string, int64_t> LastSteps(const std::set<std::string>& files) {
    std::map<std::string, int64_t> last;
    for (const std::string& file : files) {
      const std::string checkpoint = CheckpointOf(file);
      if (checkpoint.empty() || TreatmentOf(checkpoint + "/x") == Treatment::kSkip) continue;
      int64_t& step = last.try_emplace(ParentOf(checkpoint), -1).first->second;
      step = std::max(step, StepInPath(file));
    }
    return last;
  }

  void Add(const std::string& file, const char* kind, RunDifference difference) {
    difference.file = file;
    difference.stage = StageOf(file);
    difference.kind = kind != nullptr ? kind : KindOf(file);
    if (difference.step < 0) difference.step = StepInPath(file);
    out_.differences.push_back(std::move(difference));
  }

  // A checkpoint that only one run still has is a note unless the stages end at different steps; any other file is a
  // difference.
  void Missing(const std::string& file) {
    const bool in_a = files_a_.count(file) != 0;
    const std::string checkpoint = CheckpointOf(file);
    if (!checkpoint.empty()) {
      const std::set<std::string>& others = in_a ? files_b_ : files_a_;
      const auto there = others.lower_bound(checkpoint + "/");
      if (there == others.end() || there->rfind(checkpoint + "/", 0) != 0) {
        if (!noted_.insert(checkpoint).second) return;
        const std::string folder = ParentOf(checkpoint);
        const auto last_a = last_a_.find(folder), last_b = last_b_.find(folder);
        if (last_a != last_a_.end() && last_b != last_b_.end() && last_a->second == last_b->second) {
          out_.notes.push_back(fmt::format("{}: only in {}", checkpoint, in_a ? run_a_ : run_b_));
          return;
        }
        if (!noted_.insert(folder).second) return;
        RunDifference difference;
        const auto text = [](auto it, auto end) {
          return it == end ? std::string("no checkpoint") : fmt::format("last checkpoint at step {}", it->second);
        };
        difference.a = text(last_a, last_a_.end());
        difference.b = text(last_b, last_b_.end());
        Add(checkpoint, "missing", std::move(difference));
        return;
      }
    }
    RunDifference difference;
    difference.a = in_a ? "present" : "absent";
    difference.b = in_a ? "absent" : "present";
    Add(file, "missing", std::move(difference));
  }

  Status CompareFile(const std::string& file, Treatment treatment) {
    const std::string a = JoinPath(run_a_, file), b = JoinPath(run_b_, file);
    CompareCounts counts;
    std::optional<RunDifference> difference;
    switch (treatment) {
      case Treatment::kJson: {
        R1_ASSIGN(difference, CompareJsonFiles(a, b));
        break;
      }
      case Treatment::kRecords: {
        R1_ASSIGN(difference, CompareRecordFiles(a, b, &counts));
        break;
      }
      case Treatment::kTensors: {
        R1_ASSIGN(difference, CompareTensorFiles(a, b, &counts));
        break;
      }
      default: {
        R1_ASSIGN(difference, CompareBytes(a, b));
      }
    }
    ++out_.files;
    out_.records += counts.records;
    out_.tensors += counts.tensors;
    out_.numbers += counts.numbers;
    if (difference) Add(file, nullptr, std::move(*difference));
    return {};
  }

  // Settings and lineage: where they differ is said, but does not make runs different.
  Status NoteSettings(const std::string& file) {
    if (files_a_.count(file) == 0 || files_b_.count(file) == 0) {
      out_.notes.push_back(fmt::format("{}: only in {}", file, files_a_.count(file) != 0 ? run_a_ : run_b_));
      return {};
    }
    Json values[2];
    for (int i = 0; i < 2; ++i) {
      const std::string path = JoinPath(i == 0 ? run_a_ : run_b_, file);
      if (file.ends_with(".toml")) {
        R1_ASSIGN(values[i], ReadTomlFile(path));
      } else {
        R1_ASSIGN(values[i], ReadJsonFile(path));
      }
    }
    if (const auto difference = FirstJsonDifference(values[0], values[1])) {
      out_.notes.push_back(fmt::format("{}: {} is {} | {}", file, difference->name, difference->a, difference->b));
    }
    return {};
  }

  const std::string &run_a_, &run_b_;
  std::set<std::string> files_a_, files_b_, noted_;
  std::map<std::string, int64_t> last_a_, last_b_;
  RunComparison out_;
};

}  // namespace

Result<RunComparison> CompareRuns(const std::string& run_a, const std::string& run_b) {
  return Comparer(run_a, run_b).Compare();
}

std::string DescribeDifference(const RunDifference& d) {
  std::string text = d.stage.empty() ? "whole run" : "stage " + d.stage;
  if (d.step >= 0) text += fmt::format(", step {}", d.step);
  text += ", " + (d.stage.empty() ? d.file : d.file.substr(std::min(d.stage.size() + 1, d.file.size())));
  const bool tensor = d.kind == "weights" || d.kind == "optimizer";
  const bool record = d.kind == "completions" || d.kind == "metrics" || d.kind == "records";
  if (record && d.index >= 0) text += fmt::format(" line {}", d.index);
  if (!d.name.empty()) text += fmt::format(", {} '{}'", tensor ? "tensor" : "field", d.name);
  if (tensor && d.index >= 0 && d.elements > 0) text += fmt::format(" element {}", d.index);
  text += fmt::format(": {} | {}", d.a, d.b);
  if (d.elements > 0)
    text += fmt::format(" ({} element{} differ{}, by at most {:.3g})", d.elements, d.elements == 1 ? "" : "s",
                        d.elements == 1 ? "s" : "", d.max_abs);
  return text;
}

}  // namespace r1
