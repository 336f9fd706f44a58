// Header tiles, the notes that keep the page honest, lineage and the commands that make a run again. Every number comes
// from the runs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr size_t kNamedParts = 5;  // more stages than these are counted, not listed, in a tile

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

std::string ResultTiles(const RunGroup& group) {
  const std::vector<std::string> names = MainEvals(group);
  if (names.empty()) return "";
  std::string tiles;
  const auto add = [&](const char* metric, const char* label, bool percent, const std::string& note) {
    const Estimate first = MetricOf(group, names.front(), metric), last = MetricOf(group, names.back(), metric);
    if (!last.known()) return;
    const auto text = [&](const Estimate& e) { return NumberText((percent ? 100 : 1) * e.value); };
    std::string value = names.size() > 1 && first.known() ? text(first) + " → " + text(last) : text(last);
    tiles += Tile(label, value + (percent ? " %" : ""), note);
  };
  std::string setup;
  for (const RunData* run : group) {
    if (const StageEval* eval = run->FindEval(names.back()); eval != nullptr && setup.empty()) setup = EvalSetup(*eval);
  }
  const bool route = names.size() > 1;
  add("pass@1", "pass@1, held out", true,
      (route && names.size() > 2 ? StageTitle(names.front()) + " to " + StageTitle(names.back()) + "; " : "") + setup);
  add("cons@16", "Majority of 16", true, "cons@16");
  add("mean_tokens", "Reply length", false, "mean tokens per reply");
  add("reflection", "Reflection", true, "of the replies stop and reconsider");
  add("helpful", "Helpful", true, "hidden score on open requests");
  add("safe", "Safe", true, "of harmful requests answered safely");
  return tiles;
}

std::string GroupTiles(const RunGroup& group) {
  std::string tiles = ResultTiles(group);
  double total = 0, count = 0;
  for (const RunData* run : group) {
    const double time = Named(run->times, "total");
    if (std::isnan(time)) continue;
    total += time;
    ++count;
  }
  if (count > 0) {
    std::string parts;
    size_t stages = 0;
    for (const auto& [name, seconds] : group[0]->times) {
      if (name == "total") continue;
      parts += (parts.empty() ? "" : ", ") + name + " " + SpelledDuration(seconds);
      stages += name == "eval" ? 0 : 1;
    }
    if (stages > kNamedParts) parts = fmt::format("{} stages and their evaluations", stages);
    if (group.size() > 1) parts = fmt::format("mean of {:.0f} runs", count);
    tiles += Tile("Time, all stages", SpelledDuration(total / count), parts);
  }
  double largest = kMissing;
  size_t steps = 0;
  for (const RunData* run : group) {
    const auto [one, rows] = LargestOf(*run, "logp_mismatch/max");
    if (rows > 0) largest = std::isnan(largest) ? one : std::max(largest, one);
    steps += rows;
  }
  if (steps > 0) {
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

std::string FactsOf(const RunGroup& group) {
  const RunData& run = *group[0];
  std::string facts = run.preset.empty() ? "" : "model preset " + run.preset;
  const auto add = [&](const std::string& text) { facts += (facts.empty() ? "" : ", ") + text; };
  if (group.size() > 1) {
    std::string seeds;
    for (const RunData* one : group) seeds += (seeds.empty() ? "" : ", ") + std::to_string(one->seed);
    add("seeds " + seeds);
  } else if (run.seed >= 0) {
    add("seed " + std::to_string(run.seed));
  }
  if (run.tokens.size() <= kNamedParts) {
    for (const auto& [name, count] : run.tokens) add(CompactText(count) + " tokens in " + name);
  } else {
    double sum = 0;
    for (const auto& [name, count] : run.tokens) sum += count;
    add(fmt::format("{} tokens in {} stages", CompactText(sum), run.tokens.size()));
  }
  return facts;
}

}  // namespace

std::string HeaderSection(const std::vector<RunGroup>& groups) {
  std::string names;
  for (const RunGroup& group : groups) names += (names.empty() ? "" : " · ") + GroupTitle(group);
  std::string out = "<header><p class=\"kicker\">r1 report</p><h1>" + EscapeHtml(names) + "</h1>";
  for (const RunGroup& group : groups) {
    const std::string facts = FactsOf(group), tiles = GroupTiles(group);
    if (groups.size() > 1) out += "<h2 class=\"run\">" + EscapeHtml(GroupTitle(group)) + "</h2>";
    if (!facts.empty()) out += "<p class=\"facts\">" + EscapeHtml(facts) + "</p>";
    if (!tiles.empty()) out += "<div class=\"tiles\">" + tiles + "</div>";
  }
  return out + "</header>";
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
