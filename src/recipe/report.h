// One self-contained HTML page about one run or several side by side: results with standard errors,
// curves, traces before and after, lineage and the commands that make it again. Reads
// RUN/{manifest.json, results.json, recipe.toml}, RUN/STAGE/{metrics.jsonl,
// completions/step_N.jsonl} and RUN/eval_{base,zero}/traces.jsonl (formats: report_data.h). The
// page loads nothing from anywhere, and nothing from a run reaches it unescaped. Missing pieces are
// left out and named on the page; a malformed one is an Error that names file and line. The same
// run folders give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace r1 {

// The page as text.
Result<std::string> RenderReport(const std::vector<std::string>& run_dirs);

// The page in a file, written whole or not at all.
Status WriteReport(const std::vector<std::string>& run_dirs, const std::string& out_path);

}  // namespace r1
