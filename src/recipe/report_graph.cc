// The pipeline of a run: its stages as boxes with what each was made from, one row a stage in a table, and what the
// sampling stages kept. Lines: weights (solid), data (dashed), reward models (dotted).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_layout.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr size_t kMaxDrawn = 80;  // stages; more are only listed
constexpr size_t kHashShown = 8;
constexpr double kBesides = 700;  // a wider drawing has no text beside it
enum LineKind { kWeights, kData, kReward };

bool IsEval(const PipelineStage& stage) { return stage.kind == "eval"; }

// The stage that an input names: its name, or a path that begins with it.
const PipelineStage* InputStage(const RunData& run, std::string_view input) {
  return run.FindStage(input.substr(0, input.find('/')));
}

std::string ShortHash(const PipelineStage& stage) { return stage.hash.substr(0, kHashShown); }

std::string KindText(const PipelineStage& stage) {
  return stage.algorithm.empty() ? stage.kind : stage.kind + ", " + stage.algorithm;
}

// One input in words: title and hash of a stage, or the path.
std::string InputHtml(const RunData& run, const std::string& input) {
  if (input.empty()) return "";
  const PipelineStage* stage = InputStage(run, input);
  if (stage == nullptr) return EscapeHtml(input);
  std::string out = EscapeHtml(StageTitle(stage->name));
  if (!stage->hash.empty()) out += " <code>" + EscapeHtml(ShortHash(*stage)) + "</code>";
  return out;
}

std::string LinePath(const GraphLayout& layout, const GraphSizes& sizes, size_t edge, double shift) {
  const GraphPoint from = layout.boxes[layout.edges[edge].from], to = layout.boxes[layout.edges[edge].to];
  double x = from.x + sizes.box_width / 2, y = from.y + sizes.box_height;
  std::string path = fmt::format("M{:.1f} {:.1f}", x, y);
  const auto bend = [&](double next_x, double next_y) {
    const double half = (next_y - y) / 2;
    path +=
        fmt::format("C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", x, y + half, next_x, next_y - half, next_x, next_y);
    x = next_x, y = next_y;
  };
  for (const GraphPoint& lane : layout.paths[edge]) {
    bend(lane.x, lane.y);
    y += sizes.box_height;
    path += fmt::format("V{:.1f}", y);
  }
  bend(to.x + sizes.box_width / 2 + shift, to.y - 5);
  return path;
}

std::string BoxSvg(const RunData& run, const PipelineStage& stage, const GraphPoint& at, const GraphSizes& sizes) {
  const StageEval* eval = run.EvalOfModel(stage.name);
  const double right = eval == nullptr ? kMissing : eval->Get("pass@1");
  std::string out = fmt::format("<g class=\"box {}\"><title>{}</title>", KindClass(stage.kind),
                                EscapeHtml(stage.name + " (" + KindText(stage) + ")"));
  out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"7\"/>", at.x, at.y,
                     sizes.box_width, sizes.box_height);
  out += fmt::format("<rect class=\"edge\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"4\" height=\"{:.1f}\" rx=\"2\"/>",
                     at.x + 4, at.y + 6, sizes.box_height - 12);
  const auto text = [&](const char* css, double y, const std::string& words) {
    out += fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", css, at.x + 14, at.y + y,
                       EscapeHtml(words));
  };
  text("name", 18, Shortened(StageTitle(stage.name), 19));
  text("kind", 31, Shortened(KindText(stage), 22));
  std::string line = stage.hash.empty() ? "" : ShortHash(stage);
  if (!std::isnan(right)) line += (line.empty() ? "pass@1 " : " · ") + PercentText(right);
  if (!line.empty()) text("hash", 43, Shortened(line, 22));
  return out + "</g>";
}

// The drawing; "" if there are too many stages. width: that of the drawing at its natural size.
std::string GraphSvg(const RunData& run, const GraphSizes& sizes, double* width) {
  std::vector<const PipelineStage*> stages;
  for (const PipelineStage& stage : run.pipeline) {
    if (!IsEval(stage)) stages.push_back(&stage);
  }
  if (stages.empty() || stages.size() > kMaxDrawn) return "";
  std::vector<GraphEdge> edges;
  const auto connect = [&](const std::string& input, size_t to, LineKind kind) {
    const PipelineStage* from = input.empty() ? nullptr : InputStage(run, input);
    const auto it = std::find(stages.begin(), stages.end(), from);
    if (from != nullptr && it != stages.end()) edges.push_back({static_cast<size_t>(it - stages.begin()), to, kind});
  };
  for (size_t i = 0; i < stages.size(); ++i) {
    connect(stages[i]->model, i, kWeights);
    for (const std::string& data : stages[i]->data) connect(data, i, kData);
    connect(stages[i]->teacher, i, kData);
    connect(stages[i]->helpful, i, kReward);
    connect(stages[i]->harmless, i, kReward);
  }
  const GraphLayout layout = LayOut(stages.size(), edges, sizes);
  std::string lines;
  for (size_t e = 0; e < layout.edges.size(); ++e) {  // lines that end at one box come in side by side, as they lie
    const auto from_x = [&](size_t edge) {
      return layout.paths[edge].empty() ? layout.boxes[layout.edges[edge].from].x + sizes.box_width / 2
                                        : layout.paths[edge].back().x;
    };
    double before = 0, count = 0;
    for (size_t other = 0; other < layout.edges.size(); ++other) {
      if (layout.edges[other].to != layout.edges[e].to) continue;
      ++count;
      if (from_x(other) < from_x(e) || (from_x(other) == from_x(e) && other < e)) ++before;
    }
    const double shift = (before - (count - 1) / 2) * std::min(20.0, sizes.box_width / (count + 1));
    const char* css = layout.edges[e].kind == kWeights ? "weights" : layout.edges[e].kind == kData ? "data" : "reward";
    const GraphPoint to = layout.boxes[layout.edges[e].to];
    const double tip = to.x + sizes.box_width / 2 + shift;
    lines += fmt::format("<path class=\"link {}\" d=\"{}\"/>", css, LinePath(layout, sizes, e, shift));
    lines += fmt::format("<path class=\"tipof {}\" d=\"M{:.1f} {:.1f}l-4 -7h8z\"/>", css, tip, to.y - 0.5);
  }
  std::string boxes;
  for (size_t i = 0; i < stages.size(); ++i) boxes += BoxSvg(run, *stages[i], layout.boxes[i], sizes);
  const double margin = 4;
  *width = layout.width + 2 * margin;
  return fmt::format(
      "<svg class=\"graph\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{:.0f} {:.0f} {:.0f} {:.0f}\" role=\"img\" "
      "style=\"max-width:{:.0f}px\" aria-label=\"The stages of the pipeline and what each was made from; the table has "
      "the same in words\">{}{}</svg>",
      -margin, -margin, layout.width + 2 * margin, layout.height + 2 * margin, layout.width + 2 * margin, lines, boxes);
}

constexpr std::string_view kLegend =
    "<ul class=\"keys\"><li><svg width=\"34\" height=\"10\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path "
    "class=\"link "
    "weights\" d=\"M1 5H33\"/></svg> starts from, or samples with, these weights</li>"
    "<li><svg width=\"34\" height=\"10\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path class=\"link data\" d=\"M1 "
    "5H33\"/></svg> trains on this data, or on this teacher</li>"
    "<li><svg width=\"34\" height=\"10\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path class=\"link reward\" d=\"M1 "
    "5H33\"/></svg> is rewarded by this model</li></ul>"
    "<p class=\"dim\">In a box: the stage, its kind, the first digits of the SHA-256 of the weights it made, and "
    "pass@1 "
    "where they were measured.</p>";

std::string Amount(double value) { return value > 0 ? CompactText(value) : "–"; }

std::string StageTable(const RunGroup& group) {
  const RunData& run = *group[0];
  std::string rows;
  double trained = 0, sampled = 0, seconds = 0;
  for (const PipelineStage& stage : run.pipeline) {
    const double stage_trained = MeanStage(group, stage.name, &PipelineStage::trained_tokens);
    const double stage_sampled = MeanStage(group, stage.name, &PipelineStage::sampled_tokens);
    const double stage_seconds = MeanStage(group, stage.name, &PipelineStage::seconds);
    trained += std::isnan(stage_trained) ? 0 : stage_trained;
    sampled += std::isnan(stage_sampled) ? 0 : stage_sampled;
    seconds += std::isnan(stage_seconds) ? 0 : stage_seconds;
    if (IsEval(stage)) continue;
    std::string inputs = InputHtml(run, stage.model), data;
    for (const std::string& input : stage.data) data += (data.empty() ? "" : ", ") + InputHtml(run, input);
    for (const auto& [role, input] : {std::pair{"teacher: ", &stage.teacher}, std::pair{"reward: ", &stage.helpful},
                                      std::pair{"reward: ", &stage.harmless}}) {
      if (!input->empty()) data += (data.empty() ? "" : ", ") + (role + InputHtml(run, *input));
    }
    const std::string title = StageTitle(stage.name);
    rows += "<tr><th>" + EscapeHtml(title) +
            (title == stage.name ? "" : "<small><code>" + EscapeHtml(stage.name) + "</code></small>") + "</th><td>" +
            EscapeHtml(KindText(stage)) + "</td><td>" + (inputs.empty() ? "–" : inputs) + "</td><td class=\"wrap\">" +
            (data.empty() ? "–" : data) + "</td><td>" +
            Amount(MeanStage(group, stage.name, &PipelineStage::parameters)) + "</td><td>" + Amount(stage_trained) +
            "</td><td>" + Amount(stage_sampled) + "</td><td>" + SpelledDuration(stage_seconds) + "</td></tr>";
  }
  rows += "<tr class=\"sum\"><th>All stages</th><td></td><td></td><td></td><td></td><td>" + CompactText(trained) +
          "</td><td>" + CompactText(sampled) + "</td><td>" + SpelledDuration(seconds) + "</td></tr>";
  return "<div class=\"scroll\"><table class=\"results left\"><thead><tr><th>stage</th><th>kind</th><th>weights "
         "from</th><th>data</th><th>parameters</th><th>trained tokens</th><th>sampled tokens</th><th>time</th></tr>"
         "</thead><tbody>" +
         rows + "</tbody></table></div>";
}

// What a sampling stage kept, of the first run.
std::string SamplesTable(const RunData& run) {
  std::string rows;
  for (const SampleStats& stats : run.samples) {
    std::string dropped;
    for (const auto& [reason, count] : stats.dropped) {
      std::string words = reason;
      std::replace(words.begin(), words.end(), '_', ' ');
      dropped += (dropped.empty() ? "" : ", ") + EscapeHtml(words) + " " + CountText(count);
    }
    std::string kept = CountText(stats.kept);
    if (!std::isnan(stats.pairs)) kept = CountText(stats.pairs) + " pairs";
    if (!std::isnan(stats.samples)) kept += " of " + CountText(stats.samples);
    if (!std::isnan(stats.safety)) kept += ", " + CountText(stats.safety) + " labelled";
    if (stats.general > 0) kept += ", and " + CountText(stats.general) + " general";
    rows += "<tr><th>" + EscapeHtml(StageTitle(stats.name)) + "</th><td class=\"wrap\">" + kept +
            (dropped.empty() ? "" : "<small>dropped: " + dropped + "</small>") + "</td></tr>";
  }
  if (rows.empty()) return "";
  return "<h3>What sampling kept</h3><table class=\"results left\"><thead><tr><th>stage</th><th>kept, of "
         "samples</th></tr>"
         "</thead><tbody>" +
         rows + "</tbody></table>";
}

std::string GroupPipeline(const RunGroup& group) {
  const RunData& run = *group[0];
  if (run.pipeline.empty()) return "";
  double width = 0, narrow_width = 0;
  const std::string drawing = GraphSvg(run, {.box_height = 50}, &width);
  std::string side = std::string(kLegend) + SamplesTable(run);
  std::string out;
  if (drawing.empty()) {
    out = SamplesTable(run);
  } else {
    out = std::string("<div class=\"graphside") + (width > kBesides ? " full" : "") + "\"><div class=\"wide\">" +
          drawing + "</div><div class=\"narrow\">" +
          GraphSvg(run, {.box_width = 160, .box_height = 50, .gap_x = 10, .lane = 8, .max_per_row = 2}, &narrow_width) +
          "</div><div>" + side + "</div></div>";
  }
  if (group.size() > 1) {
    out += fmt::format(
        "<p>Drawn: {}; the others have the same stages. Tokens and times below are means over {} seeds.</p>",
        EscapeHtml(run.label), group.size());
  }
  return out + StageTable(group);
}

}  // namespace

const char* KindClass(const std::string& kind) {
  if (kind == "pretrain") return "pretrain";
  if (kind == "sft") return "sft";
  if (kind == "rl") return "rl";
  if (kind == "sample") return "sample";
  return kind == "rm" || kind == "preferences" ? "rm" : "other";
}

std::string PipelineSection(const std::vector<RunGroup>& groups) {
  return SectionOf("pipeline", "Pipeline", groups, GroupPipeline);
}

}  // namespace r1
