// r1 pretrain: a base model from random weights, on the built-in world's corpus. It is a recipe of one stage.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

Command PretrainCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "pretrain";
  command.group = "Train";
  command.summary = "train a base model from random weights on the built-in world's corpus";
  command.description =
      "Trains tokenizer and model and leaves checkpoints in RUN/pretrain, as stock Hugging Face files beside what a "
      "resume needs. The same "
      "command goes on where it stopped. 'r1 run mini-zero' does this and what follows.";
  command.examples = {
      {"r1 pretrain --output-dir runs/base", "the model of the built-in demonstration"},
      {"r1 pretrain --output-dir runs/dense --model.preset mini-dense --max-steps 1000 --learning-rate 3e-3",
       "a dense model, shorter"}};
  spec.stages = [](const std::string&, const StageFlags&) {
    return std::vector<RecipeStage>{{"pretrain", "pretrain", {}, PretrainConfig()}};
  };
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
