// r1 rl: reinforcement learning on a model that is there.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

Command RlCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "rl";
  command.group = "Train";
  command.summary = "make a model think by reinforcement learning (GRPO, PPO and others)";
  command.description =
      "Samples groups of answers to training problems, rewards right and well-formed ones, and moves the model towards "
      "what did better than the rest of its group. --algorithm chooses how. Checkpoints, metrics and the answers "
      "themselves are left in RUN/rl. The same command goes on where it stopped. The settings have the names of TRL's "
      "trainers. A model with a chat template is asked in it; of --data the final answer (in <answer> tags, in "
      "\\boxed{} "
      "or after ####) is compared with the solution as a text or a number, which is no grader of formulas.";
  command.examples = {
      {"r1 rl runs/base/pretrain --output-dir runs/zero", "R1-Zero from the newest checkpoint of a base model"},
      {"r1 rl runs/base/pretrain --output-dir runs/kl --beta 0.04 --num-generations 16",
       "with a KL penalty and larger groups"},
      {"r1 rl models/qwen2.5-0.5b --data gsm8k_train.jsonl --reply-form think_answer --max-completion-length 512 "
       "--output-dir runs/maths",
       "a published model on problems of a file"},
      {"r1 rl runs/base/pretrain --output-dir runs/ppo --algorithm ppo --mini-batches 4",
       "PPO with a value model, four updates a rollout"}};
  command.positionals = {{"MODEL", "a model folder, a checkpoint, or a stage folder of a run (its newest checkpoint)"}};
  spec.flags = {{"data", &StageFlags::data,
                 "JSONL files of problems with prompt and solution (or question and answer ...), separated by commas; "
                 "they are then what is trained on (--task data)"},
                {"helpful", &StageFlags::helpful, "reward model of helpfulness, for a task mix with helpful"},
                {"harmless", &StageFlags::harmless, "reward model of safety, for a task mix with harmless"}};
  spec.stages = [](const std::string& model, const StageFlags& flags) {
    RlConfig config;
    if (!flags.data.empty()) config.task = "data";
    RecipeStage stage{"rl", "rl", {}, config};
    stage.in.data = flags.data;
    stage.in.model = model;
    stage.in.helpful = flags.helpful;
    stage.in.harmless = flags.harmless;
    return std::vector<RecipeStage>{std::move(stage)};
  };
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
