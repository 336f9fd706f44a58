#include "recipe/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/test_dir.h"
#include "recipe/plot_svg.h"
#include "recipe/report_curves.h"
#include "recipe/report_data.h"
#include "recipe/report_html.h"
#include "recipe/report_sections.h"
#include "recipe/report_svg.h"
#include "recipe/report_test_html.h"
#include "recipe/report_test_runs.h"

namespace r1 {
namespace {

TEST(ReportSvg, TicksAreRoundAndCoverTheRange) {
  EXPECT_EQ(NiceTicks(0, 1, 5), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}));
  for (const auto& [low, high] :
       {std::pair<double, double>{0, 7.3}, {-3, 12}, {0.00012, 0.00047}, {1e6, 9.3e6}, {-1e-9, 1e-9}}) {
    const std::vector<double> ticks = NiceTicks(low, high, 5);
    ASSERT_GE(ticks.size(), 3u);
    EXPECT_LE(ticks.size(), 12u);
    EXPECT_LE(ticks.front(), low + (high - low) * 1e-6);
    EXPECT_GE(ticks.back(), high - (high - low) * 1e-6);
  }
}

TEST(ReportSvg, MovingAverageIsCentredAndSkipsGaps) {
  const double gap = kMissing;
  const std::vector<double> got = MovingAverage({1, 2, 6, gap, 4, 5}, 3);
  EXPECT_DOUBLE_EQ(got[0], 1);  // the window has shrunk to the point itself
  EXPECT_DOUBLE_EQ(got[1], 3);
  EXPECT_DOUBLE_EQ(got[2], 4);  // (2 + 6) / 2
  EXPECT_TRUE(std::isnan(got[3]));
  EXPECT_DOUBLE_EQ(got[4], 4.5);
  EXPECT_DOUBLE_EQ(got[5], 5);
  std::vector<double> line(100);
  for (size_t i = 0; i < line.size(); ++i) line[i] = 2.0 * static_cast<double>(i);
  const std::vector<double> same = MovingAverage(line, SmoothingWindow(line.size()));
  for (size_t i = 0; i < line.size(); ++i) EXPECT_NEAR(same[i], line[i], 1e-9) << "a straight line stays where it is";
  EXPECT_EQ(SmoothingWindow(19), 1u);
  EXPECT_EQ(SmoothingWindow(150) % 2, 1u);
  EXPECT_EQ(SmoothingWindow(1000000), 51u);
}

TEST(ReportSvg, ThinKeepsBothEnds) {
  EXPECT_EQ(Thin(3, 10), (std::vector<size_t>{0, 1, 2}));
  const std::vector<size_t> kept = Thin(100001, 600);
  EXPECT_EQ(kept.size(), 600u);
  EXPECT_EQ(kept.front(), 0u);
  EXPECT_EQ(kept.back(), 100000u);
}

TEST(ReportSvg, PointsLieWhereTheAxesSay) {
  Chart chart{.label = "t", .x_label = "x", .y_label = "y", .width = 400, .height = 250};
  chart.curves.push_back({.label = "c", .kind = CurveKind::kPoints, .x = {0, 10}, .y = {0, 5}});
  const std::string svg = ChartSvg(chart);
  double left = 0, right = 0, top = 0, bottom = 0;
  ASSERT_EQ(std::sscanf(svg.c_str() + svg.find("data-box=\"") + 10, "%lf %lf %lf %lf", &left, &right, &top, &bottom),
            4);
  EXPECT_NE(svg.find(fmt::format("cx=\"{:.1f}\" cy=\"{:.1f}\"", left, bottom)), std::string::npos) << svg;
  EXPECT_NE(svg.find(fmt::format("cx=\"{:.1f}\" cy=\"{:.1f}\"", right, top)), std::string::npos) << svg;
  EXPECT_EQ(FindUnbalanced(svg), "");
  EXPECT_EQ(ChartSvg(Chart{}), "");
  chart.curves[0].y = {kMissing, kMissing};
  EXPECT_EQ(ChartSvg(chart), "");
}

TEST(ReportHtml, EscapesWhatCouldBreakOut) {
  EXPECT_EQ(EscapeHtml("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(EscapeHtml("\xff\x01等"), "\xEF\xBF\xBD\xEF\xBF\xBD等");
  EXPECT_EQ(JsonInScript("\"</script><!--\""), "\"\\u003c/script>\\u003c!--\"");
  EXPECT_EQ(CountText(6553600), "6,553,600");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(-1234), "-1,234");
  EXPECT_EQ(PercentText(0.7712), "77.1 %");
  EXPECT_EQ(PercentText(kMissing), "–");
  EXPECT_EQ(CompactText(0.00034), "3.4e-4");
  EXPECT_EQ(CompactText(6553600), "6.55M");
  EXPECT_EQ(SpelledDuration(357.4), "5 min 57 s");
}

TEST(ReportHtml, RepliesFoldAndStayReadableWhenMalformed) {
  const std::string good = ReplyHtml(" <think> try 2 + 2 wait </think> <answer> 4 </answer><|end|>");
  EXPECT_EQ(Count(good, "<details class=\"think\" open>"), 1u);
  EXPECT_NE(good.find("thinking, 5 words"), std::string::npos);
  EXPECT_NE(good.find("<span class=\"w-wait\">wait</span>"), std::string::npos);
  EXPECT_NE(good.find("<div class=\"answer\">"), std::string::npos);
  EXPECT_NE(good.find("<div class=\"tail\"><span class=\"tag\">&lt;|end|&gt;</span></div>"), std::string::npos);
  EXPECT_EQ(good.find("not closed"), std::string::npos);
  EXPECT_NE(ReplyHtml("<think> for ever").find("not closed"), std::string::npos);
  EXPECT_NE(ReplyHtml("<think>" + std::string(5000, 'x') + "</think>").find("<details class=\"think\"><summary>"),
            std::string::npos);
  for (const char* text : {"", "</think>", "<think><think></think>", "<answer>", "<", "<<<", "a<think",
                           "<script>alert(1)</script>", "<|", "wait<wait"}) {
    const std::string html = ReplyHtml(text);
    EXPECT_EQ(FindUnbalanced(html), "") << text;
    EXPECT_EQ(html.find("<script"), std::string::npos);
  }
}

TEST(Report, OneRunHasEverySection) {
  TempDir dir;
  WriteFakeRun(dir / "demo", {});
  const Result<std::string> page = RenderReport({dir / "demo"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  for (const char* id : {"results", "curves", "traces", "training", "notes", "lineage"}) {
    EXPECT_EQ(Count(*page, std::string("<section id=\"") + id + "\""), 1u) << id;
    EXPECT_EQ(Count(*page, std::string("href=\"#") + id + "\""), 1u) << id;
  }
  for (const char* title : {"Accuracy", "Reply length", "Reflection", "Language", "Entropy", "KL divergence", "Reward",
                            "Clipping", "Expert load", "Pretraining loss", "Groups without a signal"}) {
    EXPECT_EQ(Count(*page, std::string("<h3>") + title + "</h3>"), 1u) << title;
  }
  EXPECT_NE(page->find("base, majority of 16: 47.8 %"), std::string::npos);
  EXPECT_NE(page->find("base, majority of 64: 68.6 %"), std::string::npos);
  EXPECT_NE(page->find("<th>the paper*: AIME 2024</th><td>15.6</td><td>77.9</td>"), std::string::npos);
  EXPECT_NE(page->find("moving average over 7 steps"), std::string::npos);
  EXPECT_NE(page->find("0 exactly"), std::string::npos);
  EXPECT_NE(page->find("r1 diff-runs"), std::string::npos);
  EXPECT_NE(page->find("6b86b273ff34"), std::string::npos);
  // A mismatch chart and an ungradable chart are only shown when there is something in them.
  EXPECT_EQ(page->find("<h3>Sampler against trainer</h3>"), std::string::npos);
  EXPECT_EQ(page->find("<h3>Left out</h3>"), std::string::npos);
  // Nothing is loaded from anywhere.
  for (const char* banned : {"http://", "https://", "url(", "@import", "<img", "<link", "src="}) {
    std::string rest = *page;
    const std::string name_space = "http://www.w3.org/2000/svg";
    for (size_t at = 0; (at = rest.find(name_space, at)) != std::string::npos;) rest.erase(at, name_space.size());
    EXPECT_EQ(rest.find(banned), std::string::npos) << banned;
  }
  EXPECT_EQ(*RenderReport({dir / "demo"}), *page) << "the same run gives the same bytes";
}

TEST(Report, ReadOutDataIsJsonWithTheRightNumbers) {
  TempDir dir;
  WriteFakeRun(dir / "demo", {.rl_steps = 30});
  const Result<std::string> page = RenderReport({dir / "demo"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  const Result<RunData> run = ReadRunData(dir / "demo");
  ASSERT_TRUE(run.ok());
  size_t charts = 0;
  const std::string open = "<script type=\"application/json\">";
  for (size_t at = 0; (at = page->find(open, at)) != std::string::npos; ++charts) {
    at += open.size();
    const auto data = nlohmann::json::parse(page->substr(at, page->find("</script>", at) - at));
    for (const auto& curve : data["curves"]) {
      EXPECT_EQ(curve["step"].size(), curve["y"].size());
      EXPECT_EQ(curve["tokens"].size(), curve["y"].size());
    }
    if (charts == 0) {
      EXPECT_EQ(data["curves"][0]["y"].size(), 30u);
      EXPECT_EQ(data["curves"][1]["label"], "held out, pass@1");
      EXPECT_EQ(data["curves"][1]["step"], (std::vector<int>{0, 10, 20}));
      EXPECT_EQ(data["curves"][2]["label"], "held out, before and after");
      EXPECT_EQ(data["curves"][2]["step"], (std::vector<int>{0, 29}));
      const StageEval* base = run->FindEval("base");
      ASSERT_NE(base, nullptr);
      EXPECT_DOUBLE_EQ(data["curves"][2]["y"][0].get<double>(), base->Get("pass@1"));
    }
  }
  EXPECT_GE(charts, 15u);
}

TEST(Report, SeveralRunsAreOverlaidAndToldApart) {
  TempDir dir;
  WriteFakeRun(dir / "a", {.name = "same", .seed = 0});
  WriteFakeRun(dir / "b", {.name = "same", .seed = 1});
  WriteFakeRun(dir / "c", {.name = "same", .seed = 1});
  WriteFakeRun(dir / "d", {.name = "other", .seed = 2});
  const auto labels = [&](const std::vector<std::string>& folders) {
    const Result<std::vector<RunData>> runs = ReadRuns(folders);
    std::vector<std::string> out;
    for (const RunData& run : runs.value()) out.push_back(run.label);
    return out;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(labels({dir / "a"}), (Texts{"same"}));
  EXPECT_EQ(labels({dir / "a", dir / "b"}), (Texts{"seed 0", "seed 1"}));
  EXPECT_EQ(labels({dir / "b", dir / "c"}), (Texts{"b", "c"}));
  EXPECT_EQ(labels({dir / "a", dir / "d"}), (Texts{"same", "other"}));
  EXPECT_EQ(labels({dir / "a", dir / "b", dir / "d"}), (Texts{"same (seed 0)", "same (seed 1)", "other"}));

  const Result<std::string> page = RenderReport({dir / "a", dir / "b"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  for (const char* name : {"seed 0: training batch", "seed 1: training batch", "same (seed 0)", "same (seed 1)"}) {
    EXPECT_NE(page->find(name), std::string::npos) << name;
  }
  EXPECT_NE(page->find("base (mean of 2), majority of 16: 47.8 %"), std::string::npos);
  EXPECT_NE(page->find("Last stage over 2 runs: pass@1"), std::string::npos);
  EXPECT_EQ(page->find("One run, one seed"), std::string::npos);
}

TEST(Report, MaliciousTextStaysText) {
  TempDir dir;
  const std::string evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
  WriteFakeRun(dir / "demo", {.name = evil, .reply_tail = evil});
  PutFile(dir / "demo/recipe.toml", evil);
  PutFile(dir / "demo/manifest.json", "{\"" + evil + "\":\"" + evil + "\",\"command\":\"" + evil + "\"}");
  const Result<std::string> page = RenderReport({dir / "demo", dir / "demo"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->find("<img"), std::string::npos);
  EXPECT_EQ(page->find("<script>alert"), std::string::npos);
  EXPECT_EQ(FindUnbalanced(*page), "");
}

TEST(Report, MissingPiecesAreNamed) {
  TempDir dir;
  PutFile(dir / "demo/zero/metrics.jsonl", FakeRlMetrics({.rl_steps = 5}));
  const Result<std::string> page = RenderReport({dir / "demo"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(FindUnbalanced(*page), "");
  EXPECT_NE(page->find("<h3>Left out</h3>"), std::string::npos);
  for (const char* piece : {"demo/results.json is not there", "demo/manifest.json is not there",
                            "demo/recipe.toml is not there", "demo: no eval_*/traces.jsonl"}) {
    EXPECT_NE(page->find(piece), std::string::npos) << piece;
  }
  EXPECT_EQ(page->find("<section id=\"results\""), std::string::npos);
  EXPECT_EQ(page->find(dir.path()), std::string::npos) << "no path of this machine on a page without commands";
}

TEST(Report, NotFiniteValuesAreGapsWithANote) {
  TempDir dir;
  PutFile(dir / "demo/zero/metrics.jsonl",
          "{\"step\":0,\"reward\":0.1,\"loss\":1}\n{\"step\":1,\"reward\":null,\"loss\":2}\n{"
          "\"step\":2,\"reward\":0.3}\n");
  const Result<RunData> run = ReadRunData(dir / "demo");
  ASSERT_TRUE(run.ok()) << run.error().message;
  const std::vector<double>& reward = *run->stages[0].Find("reward");
  EXPECT_DOUBLE_EQ(reward[0], 0.1);
  EXPECT_TRUE(std::isnan(reward[1]));
  EXPECT_TRUE(std::isnan((*run->stages[0].Find("loss"))[2]));
  EXPECT_EQ(run->stages[0].Find("nothing"), nullptr);
  const Result<std::string> page = RenderReport({dir / "demo"});
  ASSERT_TRUE(page.ok());
  EXPECT_NE(page->find("1 values are null"), std::string::npos);
}

TEST(Report, ARunThatIsStillWritingIsReported) {
  TempDir dir;
  PutFile(dir / "demo/zero/metrics.jsonl", "{\"step\":0,\"reward\":0.1}\n{\"step\":1,\"rew");
  const Result<RunData> run = ReadRunData(dir / "demo");
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ(run->stages[0].step.size(), 1u);
  size_t named = 0;
  for (const std::string& note : run->notes)
    named += note.rfind("demo/zero/metrics.jsonl: the last line is incomplete", 0) == 0 ? 1 : 0;
  EXPECT_EQ(named, 1u);
}

struct BadFile {
  const char* path;
  const char* text;
  const char* message;  // part of the error
};

TEST(Report, MalformedFilesAreNamedWithTheirLine) {
  const BadFile cases[] = {
      {"zero/metrics.jsonl", "{\"step\":0,\"reward\":1}\nnonsense\n{\"step\":2}\n", "zero/metrics.jsonl:2"},
      {"zero/metrics.jsonl", "{\"step\":0,\"reward\":1}\n[1]\n", "zero/metrics.jsonl:2: a line must be a JSON object"},
      {"zero/metrics.jsonl", "{\"reward\":1}\n", "\"step\" must be a number"},
      {"zero/metrics.jsonl", "{\"step\":4,\"reward\":1}\n{\"step\":4,\"reward\":1}\n",
       "metrics.jsonl:2: \"step\" must grow"},
      {"zero/metrics.jsonl", "{\"step\":0,\"reward\":[1]}\n", "'reward' must be a number"},
      {"results.json", "[]", "results.json: must hold a JSON object"},
      {"results.json", "{\"stages\":{}}", "\"stages\" must be an array"},
      {"results.json", "{\"stages\":[{\"eval\":{}}]}", "\"name\" must be a text"},
      {"results.json", "{\"stages\":[{\"name\":\"base\",\"eval\":{\"pass@1\":19.0}}]}",
       "\"pass@1\" of stage 'base' must lie between 0 and 1"},
      {"results.json", "{\"seed\":0.5}", "\"seed\" must be a whole number"},
      {"results.json", "{", "results.json"},
      {"manifest.json", "{\"a\":}", "manifest.json"},
      {"eval_base/traces.jsonl", "{\"problem\":1,\"prompt\":\"p\",\"completion\":\"c\"}\n",
       "traces.jsonl:1: \"correct\""},
      {"eval_base/traces.jsonl", "{\"problem\":1,\"prompt\":\"p\",\"correct\":true}\n",
       "\"completion\" must be a text"},
      {"zero/completions/step_0.jsonl", "{\"prompt\":\"p\",\"completion\":\"c\"}\n", "step_0.jsonl:1: \"reward\""},
  };
  for (const BadFile& bad : cases) {
    TempDir dir;
    WriteFakeRun(dir / "demo", {.rl_steps = 3, .pretrain_steps = 3});
    ASSERT_TRUE(RenderReport({dir / "demo"}).ok());
    PutFile(dir / "demo/" + bad.path, bad.text);
    const Result<std::string> page = RenderReport({dir / "demo"});
    ASSERT_FALSE(page.ok()) << bad.path << " " << bad.text;
    EXPECT_EQ(page.error().code, ErrorCode::kBadInput) << page.error().message;
    EXPECT_NE(page.error().message.find(bad.message), std::string::npos) << page.error().message;
  }
}

TEST(Report, WrongFoldersAreRefused) {
  TempDir dir;
  EXPECT_EQ(RenderReport({dir / "nowhere"}).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(RenderReport({dir.path()}).error().code, ErrorCode::kBadInput);
  EXPECT_EQ(RenderReport({}).error().code, ErrorCode::kUsage);
  WriteFakeRun(dir / "demo", {.rl_steps = 3, .pretrain_steps = 3});
  EXPECT_FALSE(WriteReport({dir / "demo"}, dir / "no/such/folder/report.html").ok());
}

TEST(Report, TracesArePairedByProblemWithHonestCounts) {
  TempDir dir;
  WriteFakeRun(dir / "demo", {.rl_steps = 3, .pretrain_steps = 3});
  const auto line = [](int problem, bool correct) {
    return fmt::format(
        "{{\"problem\":{},\"prompt\":\"<|begin|> p{} "
        "\",\"completion\":\"c\",\"correct\":{},\"tokens\":3}}\n",
        problem, problem, correct);
  };
  // Two samples a problem: the first counts. Problem 3 has no partner.
  PutFile(dir / "demo/eval_base/traces.jsonl",
          line(0, false) + line(0, true) + line(1, false) + line(2, true) + line(3, true));
  PutFile(dir / "demo/eval_zero/traces.jsonl", line(2, false) + line(1, true) + line(0, true) + line(0, false));
  const Result<std::string> page = RenderReport({dir / "demo"});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_NE(page->find("each of 3 problems: 2 wrong → right, 0 right → right, 0 wrong → wrong, 1 right → wrong"),
            std::string::npos);
  EXPECT_NE(page->find("<div class=\"prompt\">p0<span"), std::string::npos)
      << "control tokens are left out of the prompt";
}

TEST(PlotSvg, StandsAlone) {
  TempDir dir;
  WriteFakeRun(dir / "demo", {});
  ASSERT_TRUE(WriteCurvesSvg({dir / "demo"}, dir / "curves.svg").ok());
  const Result<std::string> svg = ReadFile(dir / "curves.svg", 1 << 20);
  ASSERT_TRUE(svg.ok());
  EXPECT_EQ(svg->rfind("<svg xmlns=", 0), 0u);
  EXPECT_EQ(FindUnbalanced(*svg), "");
  EXPECT_EQ(Count(*svg, "<svg "), 4u);
  EXPECT_NE(svg->find("prefers-color-scheme:dark"), std::string::npos);
  for (const char* name : {"--c0:", "--ink:", "--dim:", "--grid:", "--paper:"})
    EXPECT_EQ(Count(*svg, name), 2u) << name;
  PutFile(dir / "empty/pretrain/metrics.jsonl", FakePretrainMetrics({.pretrain_steps = 3}));
  EXPECT_EQ(RenderCurvesSvg({dir / "empty"}).error().code, ErrorCode::kBadInput);
}

}  // namespace
}  // namespace r1
