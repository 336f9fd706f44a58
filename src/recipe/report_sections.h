// The parts of the report page, each a piece of finished HTML (or "" when the runs have nothing for
// it).
#pragma once

#include <string>
#include <vector>

#include "recipe/report_data.h"
#include "recipe/report_svg.h"

namespace r1 {

// "base" -> "Base", "zero" -> "R1-Zero", others as they are.
std::string StageTitle(const std::string& stage);

// report_results.cc
std::string HeaderSection(const std::vector<RunData>& runs);
std::string ResultsSection(const std::vector<RunData>& runs);
std::string HonestySection(const std::vector<RunData>& runs);
std::string LineageSection(const std::vector<RunData>& runs);

// report_curves.cc
std::string CurvesSection(const std::vector<RunData>& runs);

enum class XAxis { kSteps, kTokens };
// The charts that the README's picture shares with the page. Without curves if no run has the
// metrics.
Chart AccuracyChart(const std::vector<RunData>& runs, XAxis axis);
Chart LengthChart(const std::vector<RunData>& runs, XAxis axis);
Chart LanguageChart(const std::vector<RunData>& runs, XAxis axis);

// report_traces.cc
std::string TracesSection(const std::vector<RunData>& runs);
std::string CompletionsSection(const std::vector<RunData>& runs);
// One reply with thinking that folds, words of reflection and verdicts marked, tags visible.
std::string ReplyHtml(const std::string& reply);

}  // namespace r1
