// Compares two run folders, byte for byte where bytes are meant to be equal: metrics, completions, weights, optimizer
// and trainer state of every stage. Names the first thing that differs. Left out: the fields of volatile_fields.h,
// logs, report pages, the hash lists of checkpoints (they follow from the files). Different settings or lineage alone
// are notes, not differences: that runs made with other thread counts are identical is just what one wants to see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace r1 {

struct RunDifference {
  std::string stage;     // folder of the stage, "" for a file of the whole run
  int64_t step = -1;     // training step, -1 if there is none
  std::string kind;      // completions | metrics | weights | optimizer | state | records | file | missing
  std::string file;      // path inside the run
  std::string name;      // field (a.b[3]) or tensor; "" if the file as a whole differs
  int64_t index = -1;    // line (from 1) of a record, or first differing element of a tensor (row-major)
  std::string a, b;      // the two values, as text
  int64_t elements = 0;  // tensors: how many elements differ,
  double max_abs = 0;    // and by how much at most (NaN if one side is not a number)
  bool operator==(const RunDifference&) const = default;
};

struct RunComparison {
  std::vector<RunDifference> differences;                    // earliest in training first; one per file
  std::vector<std::string> notes;                            // settings that differ, checkpoints that only one run kept
  int64_t files = 0, records = 0, tensors = 0, numbers = 0;  // compared; numbers are elements of tensors
  std::vector<std::string> stages;
  bool identical() const { return differences.empty(); }
};

// Error kBadInput if a folder is not a run or a file in it cannot be read.
Result<RunComparison> CompareRuns(const std::string& run_a, const std::string& run_b);

// "stage rl, step 17, completions/step_17.jsonl line 12, field 'reward': 1.2 | 0.2".
std::string DescribeDifference(const RunDifference& difference);

}  // namespace r1
