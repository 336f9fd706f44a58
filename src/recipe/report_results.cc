// Header tiles, the results table with standard errors beside the paper's figures, lineage, and the
// notes that keep the page honest. Every number comes from the runs, except the paper's
// (DeepSeek-R1, arXiv 2501.12948: AIME 2024, V3-Base against R1-Zero: pass@1 15.6 -> 71.0, majority
// vote 86.7), which are marked as such.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

enum class Shown { kPercent, kNumber };

struct Row {
  const char* metric;
  const char* label;
  const char* help;
  Shown shown = Shown::kPercent;
  const char* paper = "";
};

constexpr Row kRows[] = {
    {"pass@1", "pass@1", "mean over samples, then over problems", Shown::kPercent, "15.6 % → 71.0 %"},
    {"cons@4", "cons@4", "majority vote of 4 samples", Shown::kPercent, ""},
    {"cons@16", "cons@16", "majority vote of 16 samples", Shown::kPercent, "→ 86.7 % (of 64)"},
    {"cons@64", "cons@64", "majority vote of 64 samples", Shown::kPercent, ""},
    {"pass@4", "pass@4", "at least one of 4 samples is right", Shown::kPercent, ""},
    {"pass@16", "pass@16", "at least one of 16 samples is right", Shown::kPercent, ""},
    {"pass@64", "pass@64", "at least one of 64 samples is right", Shown::kPercent, ""},
    {"format", "Format", "exactly one thought and one answer", Shown::kPercent, ""},
    {"mean_tokens", "Reply length", "mean tokens per reply", Shown::kNumber, ""},
    {"truncated", "Cut off", "replies that reach the length limit", Shown::kPercent, ""},
    {"reflection", "Reflection", "replies that stop and reconsider", Shown::kPercent, ""},
    {"think_share", "Searches", "replies that think in search style", Shown::kPercent, ""},
    {"think_accuracy", "Accuracy when searching", "pass@1 among those replies", Shown::kPercent, ""},
    {"tries", "Tries", "mean candidates per reply", Shown::kNumber, ""},
    {"first_try_right", "First try right", "share of those replies", Shown::kPercent, ""},
    {"sums_right", "Sums right", "written sums that are correct", Shown::kPercent, ""},
    {"language", "Language consistency", "thinking words in the prompt's language", Shown::kPercent, ""},
    {"mixed", "Mixed languages", "replies whose thinking mixes two languages", Shown::kPercent, ""},
    {"general", "General tasks", "exact answers on unrelated tasks", Shown::kPercent, ""},
    {"verifier_yes_given_right", "Says yes to a right sum", "own check while thinking", Shown::kPercent, ""},
    {"verifier_yes_given_wrong", "Says yes to a wrong sum", "own check while thinking", Shown::kPercent, ""},
};

std::string ValueText(const Row& row, double value) {
  return row.shown == Shown::kPercent ? PercentText(value) : NumberText(value);
}

std::string Cell(const Row& row, const StageEval& eval) {
  const double value = eval.Get(row.metric);
  const double error = eval.Get(std::string(row.metric) + "_stderr");
  std::string text = EscapeHtml(ValueText(row, value));
  if (!std::isnan(value) && !std::isnan(error)) {
    const double shown = row.shown == Shown::kPercent ? 100 * error : error;
    text += fmt::format(" <span class=\"se\">± {:.1f}</span>", shown);
  }
  return "<td>" + text + "</td>";
}

// Last minus first stage, in points; errors added as if independent (the problems are the same, so
// this is not too small).
std::string ChangeCell(const Row& row, const StageEval& first, const StageEval& last) {
  const double change = last.Get(row.metric) - first.Get(row.metric);
  if (std::isnan(change)) return "<td>–</td>";
  const double error =
      std::hypot(first.Get(std::string(row.metric) + "_stderr"), last.Get(std::string(row.metric) + "_stderr"));
  const double scale = row.shown == Shown::kPercent ? 100 : 1;
  std::string text = fmt::format("{}{:.1f}", change < 0 ? "−" : "+", std::abs(scale * change));
  if (!std::isnan(error)) text += fmt::format(" <span class=\"se\">± {:.1f}</span>", scale * error);
  return "<td class=\"change\">" + text + "</td>";
}

std::string Setup(const StageEval& eval) {
  const double problems = eval.Get("problems"), samples = eval.Get("samples"), temperature = eval.Get("temperature");
  if (std::isnan(problems)) return "";
  std::string text = CountText(problems) + " held-out problems";
  if (!std::isnan(samples)) text += " × " + CountText(samples) + " samples";
  if (!std::isnan(temperature)) text += " at temperature " + CompactText(temperature);
  return text;
}

std::string SeedsText(const std::vector<RunData>& runs) {
  std::vector<double> last;
  for (const RunData& run : runs) {
    if (run.evals.size() < 2) continue;
    const double value = run.evals.back().Get("pass@1");
    if (!std::isnan(value)) last.push_back(value);
  }
  if (last.size() < 2) return "";
  double mean = 0, square = 0;
  for (const double v : last) mean += v / static_cast<double>(last.size());
  for (const double v : last) square += (v - mean) * (v - mean) / static_cast<double>(last.size() - 1);
  return fmt::format(
      "<p>Last stage over {} runs: pass@1 {} on average, standard deviation between runs {:.1f} "
      "points.</p>",
      last.size(), PercentText(mean), 100 * std::sqrt(square));
}

std::string Tile(const std::string& label, const std::string& value, const std::string& note) {
  return "<div class=\"tile\"><div class=\"what\">" + EscapeHtml(label) + "</div><div class=\"value\">" +
         EscapeHtml(value) + "</div><div class=\"note\">" + EscapeHtml(note) + "</div></div>";
}

double Named(const std::vector<std::pair<std::string, double>>& table, std::string_view name) {
  for (const auto& [key, value] : table) {
    if (key == name) return value;
  }
  return kMissing;
}

// Largest value of a metric over all stages of a run and the number of rows that have it.
std::pair<double, size_t> LargestOf(const RunData& run, std::string_view metric) {
  double largest = kMissing;
  size_t count = 0;
  for (const StageLog& log : run.stages) {
    const std::vector<double>* column = log.Find(metric);
    if (column == nullptr) continue;
    for (const double v : *column) {
      if (std::isnan(v)) continue;
      ++count;
      largest = std::isnan(largest) ? v : std::max(largest, v);
    }
  }
  return {largest, count};
}

std::string RunTiles(const RunData& run) {
  std::string tiles;
  if (!run.evals.empty()) {
    const StageEval& first = run.evals.front();
    const StageEval& last = run.evals.back();
    const auto change = [&](const char* metric, bool percent) {
      const auto text = [&](const StageEval& e) { return NumberText((percent ? 100 : 1) * e.Get(metric)); };
      return (&first == &last ? text(last) : text(first) + " → " + text(last)) + (percent ? " %" : "");
    };
    const auto add = [&](const char* metric, const char* label, bool percent, const std::string& note) {
      if (!std::isnan(last.Get(metric))) tiles += Tile(label, change(metric, percent), note);
    };
    add("pass@1", "pass@1, held out", true, Setup(last));
    add("cons@16", "Majority of 16", true, "cons@16");
    add("mean_tokens", "Reply length", false, "mean tokens per reply");
    add("reflection", "Reflection", true, "of the replies stop and reconsider");
  }
  if (const double total = Named(run.times, "total"); !std::isnan(total)) {
    std::string parts;
    for (const auto& [name, seconds] : run.times) {
      if (name == "total") continue;
      parts += (parts.empty() ? "" : ", ") + name + " " + SpelledDuration(seconds);
    }
    tiles += Tile("Time, all stages", SpelledDuration(total), parts);
  }
  if (const auto [largest, steps] = LargestOf(run, "logp_mismatch/max"); steps > 0) {
    tiles += Tile("Sampler against trainer", largest == 0 ? "0 exactly" : CompactText(largest) + " nats",
                  fmt::format("largest log-probability difference in {} steps", steps));
  }
  return tiles;
}

// The note on when the replies had grown: the first step whose smoothed length has 80 % of the
// growth to its highest value.
std::string GrowthNote(const RunData& run) {
  const StageLog* log = run.RlStage();
  const std::vector<double>* length = log == nullptr ? nullptr : log->Find("completions/mean_length");
  if (length == nullptr || length->size() < 20) return "";
  const std::vector<double> smooth = MovingAverage(*length, SmoothingWindow(length->size()));
  const double start = smooth.front();
  double top = start;
  for (const double v : smooth) {
    if (v > top) top = v;
  }
  if (!(top > start * 1.2)) return "";
  for (size_t i = 0; i < smooth.size(); ++i) {
    if (smooth[i] < start + 0.8 * (top - start)) continue;
    return fmt::format(
        "Four fifths of the growth in length ({:.0f} to {:.0f} tokens at most) is there by step "
        "{:.0f} of {:.0f}.",
        start, top, log->step[i], log->step.back());
  }
  return "";
}

std::vector<std::string> NotesOf(const RunData& run) {
  std::vector<std::string> notes;
  const StageEval* base = run.FindEval("base");
  const StageEval* zero = run.FindEval("zero");
  const auto both = [&](const char* metric) {
    return base != nullptr && zero != nullptr && !std::isnan(base->Get(metric)) && !std::isnan(zero->Get(metric));
  };
  const auto before_after = [&](const char* metric) {
    return PercentText(base->Get(metric)) + " before RL, " + PercentText(zero->Get(metric)) + " after";
  };
  if (both("reflection")) {
    const bool amplified = base->Get("reflection") >= 0.01 && zero->Get("reflection") > base->Get("reflection");
    notes.push_back(std::string(amplified ? "Reflection is amplified, not invented: the corpus holds "
                                            "such searches, and the base model already shows it. "
                                          : "Replies with reflection, which the corpus holds too: ") +
                    (amplified ? "Replies with it: " : "") + before_after("reflection") + ".");
  }
  if (both("cons@16") && !std::isnan(zero->Get("pass@1"))) {
    const bool above = zero->Get("pass@1") > base->Get("cons@16");
    notes.push_back(
        "The base model knows more than its pass@1 shows: a majority vote of 16 of its samples "
        "reaches " +
        PercentText(base->Get("cons@16")) + ". A single reply after RL is " + (above ? "above" : "not above") +
        " that line (" + PercentText(zero->Get("pass@1")) + ").");
  }
  if (both("think_accuracy") && both("think_share")) {
    const bool better = zero->Get("think_accuracy") > base->Get("think_accuracy") + 0.05;
    notes.push_back(
        std::string(better ? "The gain is more than a change of style: " : "Most of the gain is a change of style: ") +
        "replies that search are " + before_after("think_share") + "; right among them are " +
        before_after("think_accuracy") + ".");
  }
  if (both("mixed"))
    notes.push_back("Language mixing is planted in the corpus: mixed replies are " + before_after("mixed") + ".");
  if (both("general")) {
    notes.push_back("Unrelated tasks of the same corpus: " + before_after("general") +
                    ". This world is narrow, so it says little about forgetting in large models.");
  }
  if (base != nullptr && !std::isnan(base->Get("verifier_yes_given_wrong"))) {
    notes.push_back("The base model's own check limits what RL can reach: it says yes to " +
                    PercentText(base->Get("verifier_yes_given_wrong")) + " of wrong sums and to " +
                    PercentText(base->Get("verifier_yes_given_right")) + " of right ones.");
  }
  if (const std::string growth = GrowthNote(run); !growth.empty()) notes.push_back(growth);
  if (const auto [largest, steps] = LargestOf(run, "logp_mismatch/max"); steps > 0 && largest != 0) {
    notes.push_back("The sampler's log-probabilities differ from the trainer's (by " + CompactText(largest) +
                    " nats at most). In exact mode they must not: treat this run's RL curves with care.");
  }
  return notes;
}

std::string CommandLine(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    const bool plain =
        !word.empty() &&
        word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%") ==
            std::string::npos;
    if (!line.empty()) line += ' ';
    if (plain) {
      line += word;
    } else {
      line += '\'';
      for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
      line += '\'';
    }
  }
  return line;
}

// The manifest's own command if it has one ("command" as a text or an array of words), else one
// from the recipe and the seed.
std::string CommandsOf(const RunData& run) {
  std::string made;
  std::vector<std::string> words;
  for (const auto& [name, value] : run.lineage) {
    if (name == "command") made = value;
    if (name.rfind("command[", 0) == 0) words.push_back(value);
  }
  if (made.empty() && !words.empty()) made = CommandLine(words);
  std::string text;
  if (!made.empty()) text += "# the command of this run\n" + made + "\n";
  if (!run.recipe.empty()) {
    std::vector<std::string> again = {"r1", "run", run.folder + "/recipe.toml", "--output-dir", "runs/again"};
    if (run.seed >= 0) again.insert(again.end(), {"--seed", std::to_string(run.seed)});
    text += "# make it again, and compare every byte that matters\n" + CommandLine(again) + "\n" +
            CommandLine({"r1", "diff-runs", run.folder, "runs/again"}) + "\n";
  }
  if (text.empty()) return "";
  return "<h4>Commands</h4><pre>" + EscapeHtml(text) + "</pre>";
}

std::string PairsTable(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string rows;
  for (const auto& [name, value] : pairs)
    rows += "<tr><th>" + EscapeHtml(name) + "</th><td>" + EscapeHtml(value) + "</td></tr>";
  return "<div class=\"scroll\"><table class=\"pairs\">" + rows + "</table></div>";
}

}  // namespace

std::string StageTitle(const std::string& stage) {
  if (stage == "base") return "Base";
  if (stage == "zero") return "R1-Zero";
  return stage;
}

std::string HeaderSection(const std::vector<RunData>& runs) {
  std::string names;
  for (const RunData& run : runs) names += (names.empty() ? "" : " · ") + run.name;
  std::string out = "<header><p class=\"kicker\">r1 report</p><h1>" + EscapeHtml(names) + "</h1>";
  for (const RunData& run : runs) {
    std::string facts = run.preset.empty() ? "" : "model preset " + run.preset;
    if (run.seed >= 0) facts += (facts.empty() ? "seed " : ", seed ") + std::to_string(run.seed);
    for (const auto& [name, count] : run.tokens) {
      facts += (facts.empty() ? "" : ", ") + CompactText(count) + " tokens in " + name;
    }
    const std::string tiles = RunTiles(run);
    if (runs.size() > 1) out += "<h2 class=\"run\">" + EscapeHtml(run.name) + "</h2>";
    if (!facts.empty()) out += "<p class=\"facts\">" + EscapeHtml(facts) + "</p>";
    if (!tiles.empty()) out += "<div class=\"tiles\">" + tiles + "</div>";
  }
  return out + "</header>";
}

std::string ResultsSection(const std::vector<RunData>& runs) {
  const bool any = std::any_of(runs.begin(), runs.end(), [](const RunData& run) { return !run.evals.empty(); });
  if (!any) return "";
  const bool one = runs.size() == 1;
  const bool change = one && runs[0].evals.size() > 1;
  std::string group = "<tr><td></td>", head = "<tr><th>measure</th>";
  for (const RunData& run : runs) {
    if (run.evals.empty()) continue;
    group += "<th colspan=\"" + std::to_string(run.evals.size()) + "\">" + EscapeHtml(run.name) + "</th>";
    for (const StageEval& eval : run.evals) head += "<th>" + EscapeHtml(StageTitle(eval.name)) + "</th>";
  }
  if (change) head += "<th>change</th>";
  head += "<th class=\"paper\">the paper*</th></tr>";

  std::string body;
  for (const Row& row : kRows) {
    bool present = false;
    std::string cells;
    for (const RunData& run : runs) {
      for (const StageEval& eval : run.evals) {
        present = present || !std::isnan(eval.Get(row.metric));
        cells += Cell(row, eval);
      }
    }
    if (!present) continue;
    if (change) cells += ChangeCell(row, runs[0].evals.front(), runs[0].evals.back());
    body += std::string("<tr><th>") + EscapeHtml(row.label) + "<small>" + EscapeHtml(row.help) + "</small></th>" +
            cells + "<td class=\"paper\">" + EscapeHtml(row.paper) + "</td></tr>";
  }
  std::string setups;
  for (const RunData& run : runs) {
    for (const StageEval& eval : run.evals) {
      const std::string setup = Setup(eval);
      if (!setup.empty() && setups.find(setup) == std::string::npos) setups += (setups.empty() ? "" : "; ") + setup;
    }
  }
  return "<section id=\"results\"><h2>Results</h2><div class=\"scroll\"><table "
         "class=\"results\"><thead>" +
         (one ? "" : group + "<td></td></tr>") + head + "</thead><tbody>" + body + "</tbody></table></div>" +
         (setups.empty()
              ? ""
              : "<p>" + EscapeHtml(setups) + ". ± is one standard error; changes of shares are in points.</p>") +
         SeedsText(runs) +
         "<p class=\"dim\">* DeepSeek-V3-Base to DeepSeek-R1-Zero on AIME 2024 (arXiv 2501.12948): "
         "another task and a far larger model. "
         "It stands here for the shape of the effect, not as a comparison.</p></section>";
}

std::string HonestySection(const std::vector<RunData>& runs) {
  std::string out;
  for (const RunData& run : runs) {
    const std::vector<std::string> notes = NotesOf(run);
    if (notes.empty()) continue;
    if (runs.size() > 1) out += "<h3>" + EscapeHtml(run.name) + "</h3>";
    out += "<ul>";
    for (const std::string& note : notes) out += "<li>" + EscapeHtml(note) + "</li>";
    out += "</ul>";
  }
  if (runs.size() == 1) {
    out +=
        "<p>One run, one seed: another seed of the base model or of RL can differ by more than the "
        "standard errors above, which only "
        "cover the choice of problems and samples.</p>";
  }
  std::string missing;
  for (const RunData& run : runs) {
    for (const std::string& note : run.notes) missing += "<li>" + EscapeHtml(note) + "</li>";
  }
  if (!missing.empty()) out += "<h3>Left out</h3><ul class=\"missing\">" + missing + "</ul>";
  return "<section id=\"notes\"><h2>What to keep in mind</h2>" + out + "</section>";
}

std::string LineageSection(const std::vector<RunData>& runs) {
  std::string out;
  for (const RunData& run : runs) {
    std::string part = CommandsOf(run);
    if (!run.times.empty()) {
      std::vector<std::pair<std::string, std::string>> rows;
      for (const auto& [name, seconds] : run.times) rows.emplace_back(name, SpelledDuration(seconds));
      for (const auto& [name, count] : run.tokens) rows.emplace_back("tokens, " + name, CountText(count));
      part += "<details><summary>Times and tokens</summary>" + PairsTable(rows) + "</details>";
    }
    if (!run.lineage.empty()) {
      part += "<details><summary>Lineage: what this run was made from (manifest.json)</summary>" +
              PairsTable(run.lineage) + "</details>";
    }
    if (!run.recipe.empty())
      part +=
          "<details><summary>Configuration (recipe.toml)</summary><pre>" + EscapeHtml(run.recipe) + "</pre></details>";
    if (part.empty()) continue;
    if (runs.size() > 1) out += "<h3>" + EscapeHtml(run.name) + "</h3>";
    out += part;
  }
  if (out.empty()) return "";
  return "<section id=\"lineage\"><h2>Make it again</h2>" + out + "</section>";
}

}  // namespace r1
