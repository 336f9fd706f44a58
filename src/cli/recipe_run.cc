#include "cli/recipe_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/config.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/quote.h"
#include "cli/output.h"
#include "recipe/run.h"

namespace r1::cli {
namespace {

Status CheckThreads(int64_t threads) {
  constexpr int64_t kMostThreads = 1024;
  if (threads >= 0 && threads <= kMostThreads) return {};
  return Error{ErrorCode::kUsage, fmt::format("--threads: {} is not in 0 .. {} (0: all cores)", threads, kMostThreads)};
}

// Folders in which recipes are looked for.
std::vector<std::string> RecipeFolders() {
  std::vector<std::string> folders = {"recipes"};
  char buffer[4096];
  const ssize_t length = readlink("/proc/self/exe", buffer, sizeof buffer);
  if (length > 0 && length < static_cast<ssize_t>(sizeof buffer)) {
    const std::string bin = ParentOf(std::string(buffer, static_cast<size_t>(length)));
    folders.push_back(JoinPath(bin, "../share/r1/recipes"));
    folders.push_back(JoinPath(bin, "../../recipes"));  // build/release/r1
  }
  return folders;
}

// What to try with a finished run.
std::string NextCommands(const Recipe& recipe, const std::string& folder) {
  std::string model;
  for (const auto& stage : recipe.stages) {
    if (stage->kind != "eval") model = JoinPath(folder, stage->name);
  }
  if (model.empty()) return "";
  return fmt::format(
      "\ntry next:\n"
      "  r1 generate {0} \"pick 14 8 20 3 5 sum 42\" --num-generations 3\n"
      "  r1 eval {0} --temperature 0.6\n"
      "  r1 run mini-zero --seed {1} && r1 report {2} runs/mini-zero-seed{1}\n",
      ShellQuote(model), recipe.seed + 1, ShellQuote(folder));
}

}  // namespace

Result<std::string> FindRecipe(const std::string& name) {
  if (Exists(name) && !IsDir(name)) return name;
  std::vector<std::string> known;
  for (const std::string& folder : RecipeFolders()) {
    if (name.find('/') == std::string::npos) {
      for (const std::string& file : {name, name + ".toml"}) {
        if (const std::string path = JoinPath(folder, file); Exists(path) && !IsDir(path)) return path;
      }
    }
    const Result<std::vector<std::string>> files =
        IsDir(folder) ? ListDir(folder) : Result<std::vector<std::string>>(std::vector<std::string>{});
    if (!files.ok() || !known.empty()) continue;
    for (const std::string& file : *files) {
      if (file.ends_with(".toml")) known.push_back(file.substr(0, file.size() - 5));
    }
  }
  const std::string nearest = NearestName(name, known);
  std::string hint = known.empty() ? "" : fmt::format("; there are {}", fmt::join(known, ", "));
  if (!nearest.empty()) hint = fmt::format("; did you mean {}?", Quote(nearest));
  return Error{ErrorCode::kBadInput, fmt::format("{}: no such recipe{}", Quote(name), hint)};
}

Result<int> RunRecipeCommand(Recipe& recipe, const RunSettings& settings, const Invocation& invocation) {
  R1_TRY(CheckThreads(settings.threads));
  if (settings.explain || !invocation.json) {
    R1_ASSIGN(const std::string plan, PlanText(recipe, settings.threads));
    if (settings.explain && invocation.json) {
      PrintJson({{"plan", plan}});
    } else {
      Print(plan + (settings.explain ? "" : "\n"));
    }
    if (settings.explain) return 0;
  }
  InstallInterruptHandler();
  RunOptions options;
  options.output_dir = settings.output_dir;
  options.threads = settings.threads;
  options.quiet = invocation.json;
  options.command = invocation.command_line;
  R1_ASSIGN(const RunOutcome outcome, RunRecipe(recipe, options));
  if (!invocation.json) {
    Print(
        fmt::format("run     {}\nresults {}\nreport  {}\n", outcome.folder, outcome.results_path, outcome.report_path));
    Print(NextCommands(recipe, outcome.folder));
    return 0;
  }
  R1_ASSIGN(const nlohmann::json results, ReadJsonFile(outcome.results_path));
  PrintJson({{"folder", outcome.folder},
             {"results_path", outcome.results_path},
             {"report", outcome.report_path},
             {"results", results}});
  return 0;
}

Result<int> DryRunRecipe(Recipe& recipe, const RunSettings& settings, const Invocation& invocation) {
  if (settings.explain) return RunRecipeCommand(recipe, settings, invocation);  // which stops after the plan
  R1_TRY(CheckThreads(settings.threads));
  if (invocation.json) {
    PrintJson(FieldsToJson(RecipeFields(recipe)));
  } else {
    Print(RecipeToToml(recipe));
  }
  return 0;
}

}  // namespace r1::cli
