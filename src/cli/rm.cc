// r1 rm: reward models.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

Command RmCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "rm";
  command.group = "Train";
  command.summary = "train a reward model: helpful (pairs), safety (labels) or process (steps)";
  command.description =
      "Puts a scalar head on a model's body and trains it: Bradley-Terry on pairs {\"prompt\", \"chosen\", "
      "\"rejected\"} (or messages, or dialogues as hh-rlhf has them), binary cross-entropy on {\"prompt\", "
      "\"completion\", \"label\"} or on the steps of {\"prompt\", "
      "\"completions\", \"labels\"}. A share of the prompts is held out; accuracy and calibration on it are in "
      "RUN/rm/eval.json.";
  command.examples = {{"r1 rm runs/dev3/sft --kind helpful --data pairs.jsonl --output-dir runs/rm",
                       "a model of helpfulness for `r1 rl --helpful runs/rm/rm`"}};
  command.positionals = {{"MODEL", "the model whose body it starts from"}};
  spec.flags = {{"kind", &StageFlags::kind, "helpful, safety or process"},
                {"data", &StageFlags::data, "JSONL files in the form of this kind, separated by commas"}};
  spec.hide = {"reward_kind"};
  spec.stages = [](const std::string& model, const StageFlags& flags) {
    RewardModelConfig config;
    config.reward_kind = flags.kind;
    RecipeStage stage{"rm", "rm", {}, config};
    stage.in.model = model;
    stage.in.data = flags.data;
    return std::vector<RecipeStage>{std::move(stage)};
  };
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
