// The curves of a run as one stand-alone SVG picture for a README: accuracy (training, held out,
// majority-vote lines), reply length and language mixing against RL steps. Follows the reader's
// light or dark scheme; needs no script and no fonts.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace r1 {

Result<std::string> RenderCurvesSvg(const std::vector<std::string>& run_dirs);
Status WriteCurvesSvg(const std::vector<std::string>& run_dirs, const std::string& out_path);

}  // namespace r1
