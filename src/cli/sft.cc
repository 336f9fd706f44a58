// r1 sft: supervised tuning on replies.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

Command SftCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "sft";
  command.group = "Train";
  command.summary = "tune a model on prompts and replies (supervised)";
  command.description =
      "Next-token loss on the replies of a JSONL file, epoch by epoch. A line is {\"messages\": [...]} (an assistant "
      "turn may carry reasoning_content), {\"prompt\", \"completion\"} or {\"text\"}. A model "
      "with a chat template is trained in it, on every turn of the assistant; what a message says never becomes a "
      "special token. Checkpoints and metrics are left in RUN/sft; the same command goes on where it stopped.";
  command.examples = {{"r1 sft runs/base/pretrain --data runs/cold/sample/samples.jsonl --output-dir runs/dev1",
                       "cold start: a base model learns the form of sampled and rewritten replies"}};
  command.positionals = {{"MODEL", "a model folder, a checkpoint, or a stage folder of a run (its newest checkpoint)"}};
  spec.flags = {{"data", &StageFlags::data, "JSONL files, separated by commas"}};
  spec.hide = {"distill_alpha", "distill_temperature"};
  spec.stages = [](const std::string& model, const StageFlags& flags) {
    RecipeStage stage{"sft", "sft", {}, SftConfig()};
    stage.in.model = model;
    stage.in.data = flags.data;
    return std::vector<RecipeStage>{std::move(stage)};
  };
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
