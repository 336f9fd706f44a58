// Replies to read: the same problems before and after RL, and samples from a few training steps
// with every reward term. A reply is shown as written; thinking sits in a block that folds, words
// of the built-in world that reconsider or judge a sum are coloured, tags stay visible. All text is
// escaped.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr size_t kFoldOver = 1500;        // longer thinking starts folded
constexpr size_t kMaxReplyBytes = 20000;  // a page for reading; the files have the rest
constexpr size_t kShownSamples = 4;
constexpr size_t kMaxCompared = 8;  // evaluations side by side; the style sheet has a rule for each
constexpr std::array<std::string_view, 4> kShownFirst = {"base", "zero", "dev1", "r1"};

// Class of a word of thinking, "" for most. The words are those of the built-in world's two
// languages.
std::string_view WordClass(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kWords = {{{"wait", "w-wait"},
                                                                                            {"等等", "w-wait"},
                                                                                            {"big", "w-no"},
                                                                                            {"small", "w-no"},
                                                                                            {"大", "w-no"},
                                                                                            {"小", "w-no"},
                                                                                            {"yes", "w-yes"},
                                                                                            {"对", "w-yes"},
                                                                                            {"stop", "w-stop"},
                                                                                            {"算了", "w-stop"}}};
  for (const auto& [known, css] : kWords) {
    if (word == known) return css;
  }
  return "";
}

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t'; }

// Text with its special words marked and <|...|> and stray tags shown as tags.
std::string MarkedText(std::string_view text) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i;
    if (IsSpace(text[i])) {
      while (end < text.size() && IsSpace(text[end])) ++end;
      out += text.substr(i, end - i);
      i = end;
      continue;
    }
    while (end < text.size() && !IsSpace(text[end])) {
      if (end > i && text[end] == '<') break;
      ++end;
      if (text[end - 1] == '>' && text[i] == '<') break;
    }
    const std::string_view word = text.substr(i, end - i);
    const std::string_view css = word.front() == '<' && word.back() == '>' ? std::string_view("tag") : WordClass(word);
    if (css.empty()) {
      out += EscapeHtml(word);
    } else {
      out += fmt::format("<span class=\"{}\">{}</span>", css, EscapeHtml(word));
    }
    i = end;
  }
  return out;
}

struct Block {
  std::string_view open, close, css;
};
constexpr std::array<Block, 2> kBlocks = {{{"<think>", "</think>", "think"}, {"<answer>", "</answer>", "answer"}}};

size_t WordCount(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) count += !IsSpace(text[i]) && (i == 0 || IsSpace(text[i - 1])) ? 1 : 0;
  return count;
}

std::string BlockHtml(const Block& block, std::string_view inner, bool closed) {
  const std::string tail =
      closed ? "<span class=\"tag\">" + EscapeHtml(block.close) + "</span>" : "<span class=\"open\">not closed</span>";
  const std::string body = "<span class=\"tag\">" + EscapeHtml(block.open) + "</span>" + MarkedText(inner) + tail;
  if (block.css == "answer") return "<div class=\"answer\">" + body + "</div>";
  return fmt::format("<details class=\"think\"{}><summary>thinking, {} words</summary><div>{}</div></details>",
                     inner.size() > kFoldOver ? "" : " open", WordCount(inner), body);
}

std::string Plain(std::string_view text) {
  const size_t first = text.find_first_not_of(" \n\t");
  if (first == std::string_view::npos) return "";
  const std::string_view inner = text.substr(first, text.find_last_not_of(" \n\t") - first + 1);
  const bool control =
      inner.size() > 4 && inner.substr(0, 2) == "<|" && inner.find("|>") == inner.size() - 2;  // only <|end|>
  return std::string("<div class=\"") + (control ? "tail" : "plain") + "\">" + MarkedText(inner) + "</div>";
}

// The problem as a reader sees it: without the template's control tokens.
std::string PromptText(std::string_view prompt) {
  std::string out;
  for (size_t i = 0; i < prompt.size();) {
    if (prompt.substr(i, 2) == "<|") {
      const size_t end = prompt.find("|>", i);
      if (end != std::string_view::npos) {
        i = end + 2;
        continue;
      }
    }
    out += prompt[i++];
  }
  const size_t first = out.find_first_not_of(" \n\t");
  if (first == std::string::npos) return std::string(prompt);
  return out.substr(first, out.find_last_not_of(" \n\t") - first + 1);
}

std::string Verdict(bool correct) {
  return correct ? "<span class=\"chip right\">✓ right</span>" : "<span class=\"chip wrong\">✗ wrong</span>";
}

std::string TraceHtml(const std::string& title, const Trace& trace, const std::string& css) {
  std::string head = "<div class=\"who\">" + EscapeHtml(title) + " " + Verdict(trace.correct);
  if (trace.tokens > 0) head += fmt::format(" <span class=\"chip\">{} tokens</span>", trace.tokens);
  return "<div class=\"" + css + "\">" + head + "</div>" + ReplyHtml(trace.completion) + "</div>";
}

std::string KeyOf(const Trace& trace) { return trace.problem.empty() ? trace.prompt : trace.problem; }

using Traces = std::vector<Trace>;

// The first sample of each problem.
std::map<std::string, const Trace*> FirstSamples(const Traces& traces) {
  std::map<std::string, const Trace*> first;
  for (const Trace& trace : traces) first.emplace(KeyOf(trace), &trace);
  return first;
}

// One problem with each evaluation's reply, nullptr where it was not recorded.
struct Compared {
  std::string prompt;
  std::vector<const Trace*> replies;
};

// In the order of the first evaluation: the problems that the first and the last have.
std::vector<Compared> Compare(const std::vector<const Traces*>& evals) {
  std::vector<std::map<std::string, const Trace*>> first;
  for (const Traces* traces : evals) first.push_back(FirstSamples(*traces));
  std::vector<Compared> out;
  std::set<std::string> seen;
  for (const Trace& trace : *evals.front()) {
    if (!seen.insert(KeyOf(trace)).second) continue;
    Compared compared{trace.prompt, {}};
    for (const auto& samples : first) {
      const auto it = samples.find(KeyOf(trace));
      compared.replies.push_back(it == samples.end() ? nullptr : it->second);
    }
    if (compared.replies.back() != nullptr) out.push_back(std::move(compared));
  }
  return out;
}

struct Outcome {
  bool before, after;
  const char* title;
  size_t shown;
};
constexpr std::array<Outcome, 4> kOutcomes = {{{false, true, "wrong → right", 4},
                                               {true, true, "right → right", 2},
                                               {false, false, "wrong → wrong", 2},
                                               {true, false, "right → wrong", 1}}};

std::string ComparedHtml(const Compared& compared, const std::vector<std::string>& titles, const char* outcome) {
  std::string sides;
  for (size_t i = 0; i < titles.size(); ++i) {
    const std::string css = fmt::format("side t{}", i);
    sides += compared.replies[i] == nullptr ? "<div class=\"" + css + "\"><div class=\"who\">" + EscapeHtml(titles[i]) +
                                                  ": not recorded</div></div>"
                                            : TraceHtml(titles[i], *compared.replies[i], css);
  }
  return "<article class=\"pair\"><div class=\"prompt\">" + EscapeHtml(PromptText(compared.prompt)) +
         "<span class=\"chip\">" + outcome + "</span></div><div class=\"sides" + (titles.size() > 2 ? " many" : "") +
         "\">" + sides + "</div></article>";
}

// Boxes to choose which evaluations are shown; the style sheet does the rest.
std::string Picker(const std::vector<std::string>& names, const std::vector<std::string>& titles, size_t run) {
  if (names.size() < 3) return "";
  std::string out = "<p class=\"dim\">Show:</p>";
  for (size_t i = 0; i < names.size(); ++i) {
    const bool shown =
        names.size() <= 4 || std::find(kShownFirst.begin(), kShownFirst.end(), names[i]) != kShownFirst.end();
    out += fmt::format(
        "<input type=\"checkbox\" class=\"pick pick{0}\" id=\"show-{1}-{0}\"{2}><label "
        "for=\"show-{1}-{0}\">{3}</label>",
        i, run, shown ? " checked" : "", EscapeHtml(titles[i]));
  }
  return out;
}

std::string ComparedTraces(const std::vector<Compared>& problems, const std::vector<std::string>& names, size_t run) {
  std::vector<std::string> titles;
  for (const std::string& name : names) titles.push_back(StageTitle(name));
  std::string counts, body;
  for (const Outcome& outcome : kOutcomes) {
    size_t count = 0;
    for (const Compared& problem : problems) {
      if (problem.replies.front()->correct != outcome.before || problem.replies.back()->correct != outcome.after)
        continue;
      if (count++ < outcome.shown) body += ComparedHtml(problem, titles, outcome.title);
    }
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, outcome.title);
  }
  const std::string ends =
      names.size() > 2 ? " (" + EscapeHtml(titles.front()) + " to " + EscapeHtml(titles.back()) + ")" : "";
  return fmt::format(
             "<p>First recorded sample of each of {} problems: {}{}. Shown: the first few of each "
             "kind, not the best.</p>",
             problems.size(), counts, ends) +
         "<div>" + Picker(names, titles, run) + body + "</div>";
}

std::string SingleTraces(const std::vector<Trace>& traces, const std::string& title) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(6, traces.size()); ++i) {
    out += "<article class=\"pair\"><div class=\"prompt\">" + EscapeHtml(PromptText(traces[i].prompt)) +
           "</div><div class=\"sides one\">" + TraceHtml(title, traces[i], "side") + "</div></article>";
  }
  return "<p>The first recorded samples.</p>" + out;
}

// The evaluations whose replies are compared, at most kMaxCompared: the main line in its order.
std::vector<std::string> ComparedNames(const RunData& run) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    const auto it = run.traces.find(name);
    const bool new_one = std::find(names.begin(), names.end(), name) == names.end();
    if (it != run.traces.end() && !it->second.empty() && new_one) names.push_back(name);
  };
  for (const std::string& name : MainEvals({&run})) add(name);
  if (run.evals.empty()) {
    for (const char* name : {"base", "zero", "dev1", "dev2", "dev3", "r1"}) add(name);
  }
  if (names.size() > kMaxCompared) names.resize(kMaxCompared);
  return names;
}

std::string RunTraces(const RunData& run, size_t index) {
  const std::vector<std::string> names = ComparedNames(run);
  if (names.size() > 1) {
    std::vector<const Traces*> evals;
    for (const std::string& name : names) evals.push_back(&run.traces.find(name)->second);
    const std::vector<Compared> problems = Compare(evals);
    if (!problems.empty()) return ComparedTraces(problems, names, index);
  }
  std::string out;
  for (const auto& [name, traces] : run.traces) {
    if (!traces.empty())
      out += "<h4>" + EscapeHtml(StageTitle(name)) + "</h4>" + SingleTraces(traces, StageTitle(name));
  }
  return out;
}

std::string SampleHtml(const CompletionSample& sample) {
  std::string chips = fmt::format("<span class=\"chip strong\">reward {}</span>", CompactText(sample.reward));
  for (const auto& [name, value] : sample.terms)
    chips += fmt::format("<span class=\"chip\">{} {}</span>", EscapeHtml(name), CompactText(value));
  if (!std::isnan(sample.advantage)) {
    chips += fmt::format("<span class=\"chip {}\">advantage {}{:.2f}</span>",
                         sample.advantage < 0   ? "wrong"
                         : sample.advantage > 0 ? "right"
                                                : "",
                         sample.advantage < 0 ? "−" : "+", std::abs(sample.advantage));
  }
  if (sample.tokens > 0) chips += fmt::format("<span class=\"chip\">{} tokens</span>", sample.tokens);
  if (!sample.finish_reason.empty()) chips += "<span class=\"chip\">" + EscapeHtml(sample.finish_reason) + "</span>";
  return "<div class=\"side\"><div class=\"who\">" + chips + "</div>" + ReplyHtml(sample.completion) + "</div>";
}

std::string StepHtml(const StepCompletions& step, bool open) {
  if (step.samples.empty()) return "";
  const int64_t prompt = step.samples.front().prompt_id;
  std::string sides, question;
  size_t group = 0;
  for (const CompletionSample& sample : step.samples) {
    if (sample.prompt_id != prompt) continue;
    if (group++ >= kShownSamples) continue;
    if (question.empty()) question = PromptText(sample.prompt);
    sides += SampleHtml(sample);
  }
  return fmt::format(
      "<details class=\"step\"{}><summary>Step {}: {} of {} replies to the step's first recorded "
      "problem</summary><div class=\"prompt\">{}</div>"
      "<div class=\"sides\">{}</div></details>",
      open ? " open" : "", step.step, std::min(group, kShownSamples), group, EscapeHtml(question), sides);
}

constexpr std::string_view kLegend =
    "<p class=\"legend\"><button type=\"button\" data-fold=\"close\" hidden>Fold all "
    "thinking</button>"
    "<button type=\"button\" data-fold=\"open\" hidden>Unfold all</button>"
    "<span class=\"w-wait\">reconsiders</span> <span class=\"w-no\">judges: not it</span> <span "
    "class=\"w-yes\">judges: found</span> "
    "<span class=\"w-stop\">gives up</span> <span class=\"tag\">&lt;tag&gt;</span></p>";

}  // namespace

std::string ReplyHtml(const std::string& reply) {
  std::string_view text = reply;
  const bool cut = text.size() > kMaxReplyBytes;
  if (cut) text = text.substr(0, kMaxReplyBytes);
  std::string out;
  while (!text.empty()) {
    size_t at = std::string_view::npos;
    const Block* block = nullptr;
    for (const Block& candidate : kBlocks) {
      const size_t found = text.find(candidate.open);
      if (found < at) {
        at = found;
        block = &candidate;
      }
    }
    if (block == nullptr) break;
    out += Plain(text.substr(0, at));
    text.remove_prefix(at + block->open.size());
    const size_t end = text.find(block->close);
    const bool closed = end != std::string_view::npos;
    out += BlockHtml(*block, closed ? text.substr(0, end) : text, closed);
    text.remove_prefix(closed ? end + block->close.size() : text.size());
  }
  out += Plain(text);
  if (cut)
    out +=
        fmt::format("<div class=\"plain\"><span class=\"open\">cut here: {} bytes in all</span></div>", reply.size());
  return "<div class=\"reply\">" + out + "</div>";
}

std::string TracesSection(const std::vector<RunData>& runs) {
  std::string out;
  for (size_t r = 0; r < runs.size(); ++r) {
    const RunData& run = runs[r];
    const std::string part = RunTraces(run, r);
    if (part.empty()) continue;
    if (runs.size() > 1) {
      out += "<details class=\"step\"" + std::string(out.empty() ? " open" : "") + "><summary>" + EscapeHtml(run.name) +
             "</summary>" + part + "</details>";
    } else {
      out += part;
    }
  }
  if (out.empty()) return "";
  return "<section id=\"traces\"><h2>Before and after</h2>" + std::string(kLegend) + out + "</section>";
}

std::string CompletionsSection(const std::vector<RunData>& runs) {
  std::string out;
  for (const RunData& run : runs) {
    std::set<std::string> stages;
    for (const StepCompletions& step : run.completions) stages.insert(step.stage);
    std::string part, stage_part;
    for (size_t i = 0; i < run.completions.size(); ++i) {
      const StepCompletions& step = run.completions[i];
      const bool first = i == 0 || run.completions[i - 1].stage != step.stage;
      const bool last = i + 1 == run.completions.size() || run.completions[i + 1].stage != step.stage;
      stage_part += StepHtml(step, runs.size() == 1 && stages.size() == 1 && (first || last));
      if (!last) continue;
      if (stages.size() > 1 && !stage_part.empty()) {
        part += "<details class=\"step\"><summary>" + EscapeHtml(StageTitle(step.stage)) + "</summary>" + stage_part +
                "</details>";
      } else {
        part += stage_part;
      }
      stage_part.clear();
    }
    if (part.empty()) continue;
    if (runs.size() > 1) out += "<h3>" + EscapeHtml(run.name) + "</h3>";
    out += part;
  }
  if (out.empty()) return "";
  return "<section id=\"training\"><h2>Replies during training</h2>" + out + "</section>";
}

}  // namespace r1
