// r1 sample: rejection sampling.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

Command SampleCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "sample";
  command.group = "Train";
  command.summary = "rejection sampling: keep the good replies of a model as training data";
  command.description =
      "Samples replies to problems, drops those that a filter refuses (wrong, mixed in language, too long, malformed, "
      "repeated, contaminated ...), and writes the rest to RUN/sample/samples.jsonl for `r1 sft`. stats.json says what "
      "each filter dropped. Where no rule can check an answer, a judge can: another model or an OpenAI-compatible "
      "endpoint; what it does not call correct is dropped.";
  command.examples = {
      {"r1 sample runs/zero/rl --task pick --rewrite language --output-dir runs/cold",
       "cold-start data: right replies, their thinking put into the question's language"},
      {"r1 sample runs/dev2/rl --problems-file train.jsonl --decontaminate test.jsonl --output-dir runs/reject",
       "problems of a file, without what shares ten words in a row with a benchmark"}};
  command.positionals = {{"MODEL", "the model that is sampled from"}};
  spec.stages = [](const std::string& model, const StageFlags&) {
    RecipeStage stage{"sample", "sample", {}, SampleConfig()};
    stage.in.model = model;
    return std::vector<RecipeStage>{std::move(stage)};
  };
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
