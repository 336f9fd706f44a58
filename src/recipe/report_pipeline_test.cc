// The report of a whole pipeline, of a comparison of algorithms and of a grid of bases, from made-up runs.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/test_dir.h"
#include "recipe/report.h"
#include "recipe/report_curves.h"
#include "recipe/report_html.h"
#include "recipe/report_layout.h"
#include "recipe/report_sections.h"
#include "recipe/report_test_html.h"
#include "recipe/report_test_pipeline.h"

namespace r1 {
namespace {

// A section's HTML; "" if the page has none.
std::string SectionText(const std::string& page, const std::string& id) {
  const size_t begin = page.find("<section id=\"" + id + "\"");
  if (begin == std::string::npos) return "";
  return page.substr(begin, page.find("</section>", begin) - begin);
}

// The table row whose head begins with `head`.
std::string RowOf(const std::string& html, const std::string& head) {
  const size_t at = html.find("<th>" + head);
  if (at == std::string::npos) return "";
  return html.substr(at, html.find("</tr>", at) - at);
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

RunData Evaluated(std::initializer_list<std::pair<const char*, std::map<std::string, double, std::less<>>>> evals) {
  RunData run;
  for (const auto& [name, values] : evals) run.evals.push_back({name, name, values});
  return run;
}

TEST(ReportStats, ErrorsOfOneRun) {
  const RunData run =
      Evaluated({{"a", {{"problems", 100}, {"pass@1", 0.5}, {"pass@1_stderr", 0.02}, {"mixed", 0.2}, {"tries", 3}}}});
  EXPECT_DOUBLE_EQ(EvalEstimate(run.evals[0], "pass@1").error, 0.02);
  const double p = 21.0 / 102;
  EXPECT_DOUBLE_EQ(EvalEstimate(run.evals[0], "mixed").error, std::sqrt(p * (1 - p) / 100));
  EXPECT_FALSE(EvalEstimate(run.evals[0], "tries").has_error()) << "not a share: no bound";
  EXPECT_FALSE(EvalEstimate(run.evals[0], "nothing").known());
}

TEST(ReportStats, SeedsGiveMeanRangeAndTheLargerError) {
  const auto one = [](double v, double e) { return Estimate{v, e, v, v, 1}; };
  const Estimate wide = OverSeeds({one(0.2, 0.01), one(0.4, 0.01), one(0.6, 0.01)});
  EXPECT_DOUBLE_EQ(wide.value, 0.4);
  EXPECT_NEAR(wide.error, 0.2 / std::sqrt(3.0), 1e-12) << "the seeds differ more than the samples";
  EXPECT_DOUBLE_EQ(wide.low, 0.2);
  EXPECT_DOUBLE_EQ(wide.high, 0.6);
  EXPECT_EQ(wide.runs, 3);
  EXPECT_NEAR(OverSeeds({one(0.5, 0.03), one(0.5, 0.04)}).error, 0.05 / 2, 1e-12);
  EXPECT_EQ(OverSeeds({Estimate{}, one(0.5, 0.1)}).runs, 1);
  EXPECT_FALSE(OverSeeds({}).known());
}

TEST(ReportStats, ChangesArePairedBySeed) {
  // The seeds differ much, the change is the same in all: no spread but that of sampling.
  std::vector<RunData> runs;
  for (const double base : {0.2, 0.4, 0.6}) {
    runs.push_back(Evaluated({{"x", {{"pass@1", base}, {"pass@1_stderr", 0.003}}},
                              {"y", {{"pass@1", base + 0.1}, {"pass@1_stderr", 0.004}}}}));
  }
  const Estimate change = ChangeOf({&runs[0], &runs[1], &runs[2]}, "x", "y", "pass@1");
  EXPECT_NEAR(change.value, 0.1, 1e-12);
  EXPECT_NEAR(change.error, 0.005 / std::sqrt(3.0), 1e-12);
  EXPECT_TRUE(Significant(change));
}

TEST(ReportStats, Verdicts) {
  const auto change = [](double v, double e) { return Estimate{v, e, v, v, 1}; };
  EXPECT_EQ(Judge(change(0.03, 0.01), Direction::kUp, 0), Verdict::kFollows);
  EXPECT_EQ(Judge(change(-0.03, 0.01), Direction::kUp, 0), Verdict::kDiffers);
  EXPECT_EQ(Judge(change(0.019, 0.01), Direction::kUp, 0), Verdict::kNoise);
  EXPECT_EQ(Judge(change(-0.03, 0.01), Direction::kDown, 0), Verdict::kFollows);
  EXPECT_EQ(Judge(change(3, kMissing), Direction::kUp, 0), Verdict::kFollows) << "without an error the sign decides";
  EXPECT_EQ(Judge(change(0, kMissing), Direction::kUp, 0), Verdict::kNoise);
  EXPECT_EQ(Judge(change(0.01, 0.01), Direction::kEqual, 0.05), Verdict::kFollows);
  EXPECT_EQ(Judge(change(0.01, 0.04), Direction::kEqual, 0.05), Verdict::kNoise) << "too coarse to say equal";
  EXPECT_EQ(Judge(change(0.03, 0.01), Direction::kEqual, 0.05), Verdict::kDiffers);
}

TEST(ReportLayout, BoxesStandUnderTheirInputsAndApart) {
  // 0 -> 1 -> 2 -> 3, 0 -> 3 past two rows, 4 (a source that only 3 needs), 4 -> 5 (a leaf).
  const std::vector<GraphEdge> edges = {{0, 1, 0}, {1, 2, 0}, {2, 3, 0}, {0, 3, 0}, {3, 3, 0}, {5, 2, 0}, {1, 99, 0}};
  const GraphSizes sizes;
  const GraphLayout layout = LayOut(4, edges, sizes);
  EXPECT_EQ(layout.edges.size(), 4u) << "a loop, a line upwards and a line to nowhere are left out";
  for (const GraphEdge& e : layout.edges) EXPECT_GT(layout.boxes[e.to].y, layout.boxes[e.from].y + sizes.box_height);
  EXPECT_EQ(layout.paths[3].size(), 2u) << "the long line has a lane in each row that it passes";
  for (const GraphPoint& lane : layout.paths[3]) {  // and does not cross a box there
    for (const GraphPoint& box : layout.boxes) {
      EXPECT_TRUE(box.y != lane.y || lane.x < box.x || lane.x > box.x + sizes.box_width);
    }
  }
  const GraphLayout wide = LayOut(11, {{0, 1, 0}, {0, 2, 0}, {0, 3, 0}, {0, 4, 0}, {0, 5, 0}, {0, 6, 0}}, sizes);
  std::map<double, std::set<double>> rows;
  for (const GraphPoint& box : wide.boxes) EXPECT_TRUE(rows[box.y].insert(box.x).second);
  for (const auto& [y, xs] : rows) {
    EXPECT_LE(xs.size(), sizes.max_per_row);
    double last = -1e9;
    for (const double x : xs) {
      EXPECT_GE(x, last);
      EXPECT_GE(x, 0);
      EXPECT_LE(x + sizes.box_width, wide.width + 1e-9);
      last = x + sizes.box_width;
    }
  }
  EXPECT_EQ(LayOut(0, {}, sizes).boxes.size(), 0u);
}

TEST(ReportLayout, ASourceMovesToWhereItIsNeeded) {
  // 0 -> 1 -> 2 -> 4; 3 is a source of 4 and of the leaf 5.
  const GraphLayout layout = LayOut(6, {{0, 1, 0}, {1, 2, 0}, {2, 4, 0}, {3, 4, 0}, {3, 5, 0}}, {});
  EXPECT_EQ(layout.boxes[3].y, layout.boxes[2].y);
  EXPECT_EQ(layout.boxes[5].y, layout.boxes[4].y);
}

TEST(ReportPipeline, EverySectionOnceAndTheSameBytes) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 40});
  const Result<std::string> page = RenderReport({dir / "r1"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  for (const char* id : {"pipeline", "results", "claims", "language", "last", "students", "cost", "traces", "curves",
                         "training", "notes", "lineage"}) {
    EXPECT_EQ(Count(*page, std::string("<section id=\"") + id + "\""), 1u) << id;
    EXPECT_EQ(Count(*page, std::string("href=\"#") + id + "\""), 1u) << id;
  }
  for (const char* id : {"algorithms", "bases"}) EXPECT_EQ(SectionText(*page, id), "") << id;
  EXPECT_EQ(*RenderReport({dir / "r1"}), *page);
  std::set<std::string> ids;
  for (size_t at = 0; (at = page->find(" id=\"", at)) != std::string::npos; at += 5) {
    EXPECT_TRUE(ids.insert(page->substr(at + 5, page->find('"', at + 5) - at - 5)).second) << "an id stands twice";
  }
}

TEST(ReportPipeline, LineageNamesModelDataAndHash) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const Result<RunData> run = ReadRunData(dir / "r1");
  ASSERT_TRUE(run.ok()) << run.error().message;
  const PipelineStage* base = run->FindStage("pretrain");
  ASSERT_NE(base, nullptr);
  ASSERT_EQ(base->hash.size(), 64u);
  const std::string section = SectionText(*RenderReport({dir / "r1"}), "pipeline");
  const std::string dev3 = RowOf(section, "Dev3");
  EXPECT_TRUE(Has(dev3, "Base <code>" + base->hash.substr(0, 8) + "</code>")) << dev3;
  EXPECT_TRUE(Has(dev3, "Rejection sampling")) << "a path below a stage names the stage: " << dev3;
  EXPECT_TRUE(Has(dev3, "2.4M")) << dev3;
  const std::string r1_row = RowOf(section, "R1<small><code>r1</code>");
  EXPECT_TRUE(Has(r1_row, "reward: Helpfulness model") && Has(r1_row, "reward: Safety model")) << r1_row;
  EXPECT_TRUE(Has(section, "12,400 of 32,000, and 4,000 general<small>dropped: mixed languages 600"));
  EXPECT_TRUE(Has(section, "2,400 pairs of 6,000, 5,200 labelled"));
  // Two drawings (wide, narrow); in each a solid line a model, a dashed one a data set, two dotted ones a stage.
  EXPECT_EQ(Count(section, "<svg class=\"graph\""), 2u);
  EXPECT_EQ(Count(section, "<path class=\"link weights\" d=\"M1 5H33\""), 1u);
  EXPECT_EQ(Count(section, "<path class=\"tipof weights\""), 2 * 17u);
  EXPECT_EQ(Count(section, "<path class=\"tipof data\""), 2 * 6u);
  EXPECT_EQ(Count(section, "<path class=\"tipof reward\""), 2 * 4u);
}

TEST(ReportPipeline, ResultsStandBesideThePapersStages) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const std::string page = *RenderReport({dir / "r1"});
  const std::string results = SectionText(page, "results");
  EXPECT_TRUE(Has(results, "<th>Base</th><th>R1-Zero</th><th>Dev1</th><th>Dev2</th><th>Dev3</th><th>R1</th></tr>"));
  EXPECT_TRUE(
      Has(results,
          "the paper*: AIME 2024</th><td>15.6</td><td>77.9</td><td>59.0</td><td>74.0</td><td>78.1</td><td>79.8</td>"));
  EXPECT_TRUE(Has(results, "the paper*: LiveCodeBench</th><td></td><td>50.0</td>"));
  EXPECT_TRUE(Has(RowOf(results, "Helpful"), "86.0 % <span class=\"se\">± 0.9</span></td>"));
  EXPECT_FALSE(Has(results, "student")) << "students have a section of their own";
  EXPECT_FALSE(Has(results, "no language reward"));
}

TEST(ReportPipeline, ClaimsAreJudgedByTheNumbers) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 60});
  const std::string claims = SectionText(*RenderReport({dir / "r1"}), "claims");
  EXPECT_TRUE(Has(RowOf(claims, "The cold start costs accuracy"), ">follows<"));
  EXPECT_TRUE(Has(RowOf(claims, "The cold start costs accuracy"), "<b>↓</b> AIME 2024: 77.9 → 59.0</td>"));
  EXPECT_TRUE(Has(RowOf(claims, "RL alone teaches"), "AIME 2024: 15.6 → 77.9</td>"));
  EXPECT_TRUE(Has(RowOf(claims, "The language reward costs no mathematics"), ">follows<"));
  EXPECT_TRUE(Has(RowOf(claims, "R1 is better than R1-Zero in mathematics"), ">within noise<"));
  EXPECT_TRUE(Has(RowOf(claims, "Distilling a small model beats RL on it <small>student64"), ">follows<"));
  EXPECT_TRUE(Has(RowOf(claims, "Distilling a small model beats RL on it <small>student32"), ">within noise<"));
  EXPECT_TRUE(Has(RowOf(claims, "Too long with a reward model"), ">follows<"));

  // Without the fall, and with a Dev1 above R1-Zero, the page says so.
  WriteFakePipeline(dir / "other", {.steps = 60, .hacking = false});
  std::string text = *ReadFile(dir / "other/results.json", 1 << 20);
  const size_t at = text.find("\"pass@1\":", text.find("\"name\":\"dev1\""));
  text.replace(at, 15, "\"pass@1\":0.9000");
  PutFile(dir / "other/results.json", text);
  const std::string other = SectionText(*RenderReport({dir / "other"}), "claims");
  EXPECT_TRUE(Has(RowOf(other, "The cold start costs accuracy"), ">does not follow<")) << other;
  EXPECT_TRUE(Has(RowOf(other, "Too long with a reward model"), ">does not follow<"));
}

TEST(ReportPipeline, LanguageRewardSaysNotSignificant) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const std::string language = SectionText(*RenderReport({dir / "r1"}), "language");
  EXPECT_EQ(Count(language, "<div class=\"bar\">"), 7u);
  EXPECT_TRUE(Has(language, "<i style=\"width:79.00%\">"));
  EXPECT_TRUE(Has(language, "Both stages start from the same weights."));
  EXPECT_TRUE(Has(language, "That is not significant"));
  EXPECT_TRUE(Has(RowOf(language, "pass@1"), "not significant</td>"));
  EXPECT_TRUE(Has(RowOf(language, "Mixed languages"), "−34.0"));
  EXPECT_TRUE(Has(RowOf(language, "Mixed languages"), "<td>significant</td>"));
  WriteFakePipeline(dir / "without", {.steps = 30, .without_language_reward = false});
  const std::string without = SectionText(*RenderReport({dir / "without"}), "language");
  EXPECT_EQ(Count(without, "<div class=\"bar\">"), 6u);
  EXPECT_FALSE(Has(without, "What the language reward costs"));
}

TEST(ReportPipeline, LastStageAndRewardModels) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 60});
  const std::string last = SectionText(*RenderReport({dir / "r1"}), "last");
  EXPECT_TRUE(Has(RowOf(last, "Helpful"), "+24.0"));
  EXPECT_TRUE(Has(RowOf(last, "Helpfulness model"),
                  "<td>600</td><td>86.1 % <span class=\"se\">± 1.4</span></td><td>0.121</td><td>0.043</td>"));
  EXPECT_EQ(Count(last, "<h3>Calibration: "), 2u);
  EXPECT_TRUE(Has(last, "the reward rose while the quality fell."));
  EXPECT_TRUE(Has(last, "the share of safe answers is at its best"));
  WriteFakePipeline(dir / "well", {.steps = 60, .hacking = false});
  EXPECT_FALSE(Has(SectionText(*RenderReport({dir / "well"}), "last"), "the reward rose while the quality fell."));
}

TEST(ReportPipeline, HackingNeedsARiseAndAFall) {
  StageLog log;
  const auto fill = [&](auto reward, auto quality) {
    log = {};
    for (int i = 0; i < 10; ++i) {
      log.step.push_back(i);
      log.columns["r"].push_back(reward(i));
      log.columns["q"].push_back(i % 2 == 0 ? quality(i) : kMissing);  // rows 0, 2, 4, 6, 8
    }
    return HackingOf(log, "r", "q");
  };
  const Hacking hacked = fill([](int i) { return i * 0.1; }, [](int i) { return 0.8 - 0.04 * std::abs(i - 4); });
  EXPECT_TRUE(hacked.known && hacked.reward_rose() && hacked.held_out_fell());
  EXPECT_EQ(hacked.from_step, 4);
  EXPECT_EQ(hacked.to_step, 8);
  EXPECT_NEAR(hacked.held_out_from, 0.8 - 0.16 / 3, 1e-12);
  EXPECT_NEAR(hacked.held_out_to, 0.72, 1e-12);
  const Hacking honest = fill([](int i) { return i * 0.1; }, [](int i) { return 0.1 * i; });
  EXPECT_TRUE(honest.known);
  EXPECT_FALSE(honest.held_out_fell());
  EXPECT_FALSE(fill([](int i) { return -i * 0.1; }, [](int i) { return 0.8 - 0.05 * i; }).reward_rose());
  EXPECT_FALSE(HackingOf(log, "r", "nothing").known);
}

TEST(ReportPipeline, StudentsAreComparedWithTheirTokens) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 60});
  const std::string students = SectionText(*RenderReport({dir / "r1"}), "students");
  EXPECT_TRUE(
      Has(students, "student64: distilled minus RL, pass@1: <b>+22.0 <span class=\"se\">± 1.3</span></b> points."));
  EXPECT_TRUE(Has(
      students,
      "student32: distilled minus RL, pass@1: <b>+2.0 <span class=\"se\">± 1.3</span></b> points (not significant)."));
  const std::string distilled = RowOf(students, "distilled");
  EXPECT_TRUE(Has(distilled, "<td>2M</td><td>2.9M<small>by the teacher, shared</small>")) << distilled;
  EXPECT_TRUE(Has(RowOf(students, "RL on it"), "<td>8M</td><td>9.5M</td>"));
  EXPECT_TRUE(Has(students, "AIME 2024 72.6 against 47.0"));
  EXPECT_TRUE(Has(students, ">distilled: 57.1 %</text>"));
}

TEST(ReportPipeline, CostOfARightAnswer) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const std::string cost = SectionText(*RenderReport({dir / "r1"}), "cost");
  // Base: 9.4 tokens at 17 %, 20.4 tokens at 19 %.
  EXPECT_TRUE(Has(RowOf(cost, "Base"), "<td>55</td>")) << RowOf(cost, "Base");
  EXPECT_TRUE(Has(RowOf(cost, "Base"), "<td>107</td>"));
  EXPECT_TRUE(Has(cost, "student64_distill"));
  EXPECT_FALSE(Has(cost, "student32")) << "no direct answers were measured";
}

TEST(ReportPipeline, TracesOfStagesSideBySide) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const std::string traces = SectionText(*RenderReport({dir / "r1"}), "traces");
  EXPECT_EQ(Count(traces, "<input type=\"checkbox\""), 6u);
  EXPECT_EQ(Count(traces, " checked>"), 4u) << "base, zero, dev1, r1";
  EXPECT_TRUE(Has(traces, "(Base to R1)"));
  const size_t problems = Count(traces, "<article class=\"pair\">");
  EXPECT_GT(problems, 3u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Count(traces, fmt::format("<div class=\"side t{}\">", i)), problems) << i;
}

TEST(ReportPipeline, EveryRlStageHasItsCurves) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  const std::string curves = SectionText(*RenderReport({dir / "r1"}), "curves");
  for (const char* stage :
       {"R1-Zero", "Dev2", "Dev2, no language reward", "R1", "R1, run too long", "student64_rl", "student32_rl"}) {
    EXPECT_EQ(Count(curves, std::string("<h3 class=\"phase\">") + stage + ": reinforcement learning</h3>"), 1u)
        << stage;
  }
  for (const char* title : {"Accuracy", "Reply length", "Reflection"}) {
    EXPECT_EQ(Count(curves, std::string("<h3>") + title + "</h3>"), 7u) << title;
  }
  EXPECT_EQ(Count(curves, "<h3>Scores of reward models</h3>"), 2u);
  EXPECT_EQ(Count(curves, "<h3>Fine-tuning loss</h3>"), 1u);
  EXPECT_EQ(Count(curves, "<h3>Reward models: accuracy</h3>"), 1u);
  EXPECT_TRUE(Has(curves, "Dev1, majority of 16: ")) << "the lines of dev2 are those of the model that it starts from";
}

TEST(ReportPipeline, SeedsAreOneGroup) {
  TempDir dir;
  std::vector<std::string> folders;
  for (int seed = 0; seed < 3; ++seed) {
    folders.push_back(dir / ("s" + std::to_string(seed)));
    WriteFakePipeline(folders.back(), {.seed = seed, .steps = 30, .shift = 0.02 * seed});
  }
  const Result<std::string> page = RenderReport(folders);
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  EXPECT_TRUE(Has(*page, "<h1>made-up-r1 (3 seeds)</h1>"));
  const std::string results = SectionText(*page, "results");
  EXPECT_EQ(Count(results, "<details><summary>made-up-r1 (seed "), 3u);
  const Result<std::vector<RunData>> runs = ReadRuns(folders);
  const Estimate r1_right = MetricOf(GroupBySeeds(*runs)[0], "r1", "pass@1");
  EXPECT_EQ(r1_right.runs, 3);
  EXPECT_TRUE(Has(RowOf(results, "pass@1"),
                  fmt::format("{:.1f} % <span class=\"se\">± {:.1f}</span><small>{:.1f} – {:.1f}</small>",
                              100 * r1_right.value, 100 * r1_right.error, 100 * r1_right.low, 100 * r1_right.high)));
  // The same seed twice is not two seeds.
  EXPECT_EQ(GroupBySeeds(*ReadRuns({folders[0], folders[0]})).size(), 2u);
}

TEST(ReportCompare, AlgorithmsOverSeeds) {
  TempDir dir;
  for (int seed = 0; seed < 2; ++seed) WriteFakeComparison(dir / ("c" + std::to_string(seed)), seed, 30);
  const Result<std::string> page = RenderReport({dir / "c0", dir / "c1"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  const std::string section = SectionText(*page, "algorithms");
  EXPECT_TRUE(Has(RowOf(section, "Base"), "19.0 %"));
  EXPECT_LT(section.find("<th>grpo</th>"), section.find("<th>expert_iteration</th>")) << "best first";
  EXPECT_TRUE(Has(RowOf(section, "grpo_no_kl"), "<small>grpo</small>"));
  EXPECT_TRUE(Has(section, "means over 2 seeds"));
  std::set<std::string> colours;  // one a curve in the legend of the first chart
  const std::string chart = section.substr(section.find("<svg"), section.find("</svg>") - section.find("<svg"));
  for (size_t at = 0; (at = chart.find("<circle class=\"dot k", at)) != std::string::npos; at += 20) {
    colours.insert(chart.substr(at + 20, chart.find('"', at + 20) - at - 20));
  }
  EXPECT_EQ(colours.size(), 12u);
  EXPECT_EQ(SectionText(*page, "results"), "") << "the base stands in the comparison";
  EXPECT_FALSE(Has(SectionText(*page, "curves"), "reinforcement learning"));
}

// Runs without a reference policy log a divergence of 0: not measured, so not shown.
TEST(ReportCompare, NoDivergenceWithoutAReference) {
  TempDir dir;
  WriteFakeComparison(dir / "c0", 0, 30);
  EXPECT_TRUE(Has(SectionText(*RenderReport({dir / "c0"}), "algorithms"), "KL at the end"));
  const std::vector<std::string> stages = *ListDir(dir / "c0");
  for (const std::string& stage : stages) {
    const std::string path = JoinPath(dir / "c0", stage + "/metrics.jsonl"), key = "\"kl\":";
    if (!Exists(path)) continue;
    std::string text = *ReadFile(path, 1 << 24);
    for (size_t at = 0; (at = text.find(key, at)) != std::string::npos; at += key.size()) {
      const size_t begin = at + key.size();
      text.replace(begin, text.find(',', begin) - begin, "0.0");
    }
    ASSERT_TRUE(WriteFileAtomic(path, text).ok());
  }
  const Result<std::string> page = RenderReport({dir / "c0"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  const std::string section = SectionText(*page, "algorithms");
  EXPECT_TRUE(Has(section, "entropy at the end"));
  EXPECT_FALSE(Has(section, "KL"));
}

TEST(ReportCompare, MeanCurvesAndTheRuleOfLiftingOff) {
  TempDir dir;
  WriteFakeBaseGrid(dir / "grid", 0, 30);
  const Result<std::string> page = RenderReport({dir / "grid"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  const std::string section = SectionText(*page, "bases");
  // +14 points from 12 % is more than twice; +0.4 from 6 % is noise; +24 from 14 %.
  EXPECT_TRUE(
      Has(section,
          "RL lifts off from: student64, reasoning: little; student64, reasoning: much; mini-v3, reasoning: "
          "little; mini-v3, reasoning: much. It does not from: student64, reasoning: none; mini-v3, reasoning: none."))
      << section.substr(0, 600);
  EXPECT_EQ(Count(section, ">lifts off<"), 4u);
  EXPECT_EQ(Count(section, "<figure class=\"chart\">"), 6u);
  EXPECT_TRUE(Has(section, "more than twice the base's or at least 15 points above it"));
}

TEST(ReportPipeline, HostileNamesStayText) {
  TempDir dir;
  const std::string evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'";
  std::vector<FakeStage> stages;
  std::vector<FakeEval> evals;
  for (int i = 0; i < 4; ++i) {
    const std::string name = evil + std::to_string(i);
    FakeStage stage{.name = name, .kind = i == 0 ? "pretrain" : "rl", .model = i == 0 ? "" : evil + "0"};
    stage.data = {evil + "0", evil};
    stage.helpful = evil + "1", stage.harmless = evil, stage.preset = evil, stage.algorithm = evil + std::to_string(i);
    stage.reasoning = evil + std::to_string(i);
    stages.push_back(stage);
    evals.push_back({name, name, 0.1 * i, 0.1, 30, 0.2, 0.1, 0.3, 0.4, 0.1});
  }
  for (const char* tail : {"_base", "_rl", "_distill"}) {
    stages.push_back({.name = evil + tail, .kind = "rl", .model = evil + "0", .algorithm = evil});
    evals.push_back({evil + tail, evil + tail, 0.3});
  }
  for (const char* name : {"base", "dev2", "dev2_nolang", "dev3", "r1"})
    evals.push_back({name, name, 0.5, 0.1, 30, 0.2, 0.1, 0.3, 0.4, 0.1});
  PutResults(dir / "evil", evil, 0, stages, evals);
  PutFile(dir / "evil/manifest.json",
          "{\"stages\":[{\"name\":" + JsonText(evil + "0") + ",\"result_sha256\":" + JsonText(evil) + "}]}");
  PutFile(dir / "evil/overlong/metrics.jsonl",
          FakeCurveMetrics(0, {.rewards_models = true, .hacked = true, .steps = 30}));
  PutFile(dir / "evil/<img src=x onerror=alert(3)>/metrics.jsonl", FakeCurveMetrics(0, {.steps = 30}));
  PutFile(dir / "evil/<img src=x onerror=alert(3)>/stats.json", "{\"kept\":1,\"dropped\":{" + JsonText(evil) + ":2}}");
  PutFile(dir / "evil/<img src=x onerror=alert(3)>/eval.json",
          "{\"kind\":" + JsonText(evil) +
              ",\"accuracy\":0.5,\"brier\":0.2,\"bins\":[{\"confidence\":0.6,\"accuracy\":0.6,\"count\":3}]}");
  const Result<std::string> page = RenderReport({dir / "evil", dir / "evil"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_FALSE(Has(*page, "<img"));
  EXPECT_FALSE(Has(*page, "<script>alert"));
  EXPECT_EQ(FindUnbalanced(*page), "");
  for (const char* id : {"pipeline", "results", "algorithms", "language", "last", "students", "cost", "curves"}) {
    EXPECT_NE(SectionText(*page, id), "") << id;
  }
}

TEST(ReportPipeline, PartsThatAreAbsentAreLeftOut) {
  TempDir dir;
  WriteFakePipeline(dir / "r1", {.steps = 30});
  for (const char* gone : {"rm_helpful/eval.json", "rm_safety/eval.json", "cold/stats.json", "overlong/metrics.jsonl",
                           "manifest.json", "eval_dev1/traces.jsonl", "student64_rl/metrics.jsonl"}) {
    ASSERT_TRUE(RemoveFile(dir / ("r1/" + std::string(gone))).ok());
  }
  const Result<std::string> page = RenderReport({dir / "r1"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  EXPECT_FALSE(Has(SectionText(*page, "last"), "Reward models"));
  EXPECT_FALSE(Has(SectionText(*page, "last"), "run too long"));
  EXPECT_TRUE(Has(SectionText(*page, "last"), "Before and after"));
  EXPECT_EQ(Count(SectionText(*page, "traces"), "<input type=\"checkbox\""), 5u);
}

TEST(ReportPipeline, MalformedFilesAreNamed) {
  struct Bad {
    const char* path;
    const char* text;
    const char* message;
  };
  const Bad cases[] = {
      {"results.json", R"({"pipeline":{}})", "\"pipeline\" must be a list"},
      {"results.json", R"({"pipeline":[3]})", "must be an object"},
      {"results.json", R"({"pipeline":[{"kind":"rl"}]})", "\"name\" must be a text"},
      {"results.json", R"({"pipeline":[{"name":"a"},{"name":"a"}]})", "two stages named 'a'"},
      {"results.json", R"({"pipeline":[{"name":"a","data":[1]}]})", "stage 'a': \"data\" must be a list of texts"},
      {"results.json", R"({"pipeline":[{"name":"a","seconds":-1}]})", "\"seconds\" must lie between 0 and 1e18"},
      {"results.json", R"({"pipeline":[{"name":"a","parameters":1e300}]})", "\"parameters\" must lie"},
      {"results.json", R"({"stages":[{"name":"r1","eval":{"safe":1.5}}]})",
       "\"safe\" of stage 'r1' must lie between 0 and 1"},
      {"cold/stats.json", R"({"kept":"many"})", "stats.json: \"kept\" must be a number"},
      {"cold/stats.json", R"({"dropped":[1]})", "\"dropped\" must be an object"},
      {"rm_safety/eval.json", R"({"brier":0.1,"accuracy":2})", "\"accuracy\" must lie between 0 and 1"},
      {"rm_safety/eval.json", R"({"bins":{}})", "\"bins\" must be a list"},
      {"rm_safety/eval.json", R"({"bins":[7]})", "each of \"bins\" must be an object"},
  };
  for (const Bad& bad : cases) {
    TempDir dir;
    WriteFakePipeline(dir / "r1", {.steps = 10});
    PutFile(dir / ("r1/" + std::string(bad.path)), bad.text);
    const Result<std::string> page = RenderReport({dir / "r1"});
    ASSERT_FALSE(page.ok()) << bad.text;
    EXPECT_EQ(page.error().code, ErrorCode::kBadInput);
    EXPECT_TRUE(Has(page.error().message, bad.message)) << page.error().message;
    EXPECT_TRUE(Has(page.error().message, bad.path)) << page.error().message;
  }
}

TEST(ReportPipeline, StrangePipelinesDoNotHang) {
  TempDir dir;
  std::vector<FakeStage> stages;  // each starts from the next: a loop; and itself
  for (int i = 0; i < 60; ++i) {
    const std::string name = "s" + std::to_string(i);
    stages.push_back(
        {.name = name, .kind = "rl", .model = "s" + std::to_string((i + 1) % 60), .data = {name, "s0", "nowhere"}});
  }
  PutResults(dir / "loop", "loop", 0, stages, {{"base", "s0", 0.2}});
  const Result<std::string> page = RenderReport({dir / "loop"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(Has(*page, "<svg class=\"graph\""));
  for (int i = 60; i < 200; ++i) stages.push_back({.name = "s" + std::to_string(i), .kind = "sft", .model = "s0"});
  PutResults(dir / "many", "many", 0, stages, {{"base", "s0", 0.2}});
  const Result<std::string> many = RenderReport({dir / "many"});
  ASSERT_TRUE(many.ok()) << many.error().message;
  EXPECT_FALSE(Has(*many, "<svg class=\"graph\"")) << "too many to draw: the table has them";
  EXPECT_TRUE(Has(*many, "<th>s199</th>"));
}

TEST(ReportHtml, ShortenedCountsCharacters) {
  EXPECT_EQ(Shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(Shortened("abcdefg", 6), "abcde…");
  EXPECT_EQ(Shortened("等等等等", 3), "等等…");
  EXPECT_EQ(Shortened("等等等", 3), "等等等");
  EXPECT_EQ(Shortened("", 3), "");
}

}  // namespace
}  // namespace r1
