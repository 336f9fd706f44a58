// r1 distill: a student learns from a teacher's replies.
#include "cli/commands.h"
#include "cli/stage_command.h"

namespace r1::cli {

namespace {

constexpr double kLogitShare = 0.9;  // of the loss with --method logits; the rest is the teacher's text

Status Check(const StageFlags& flags) {
  if (flags.method != "text" && flags.method != "logits")
    return Error{ErrorCode::kUsage, "--method: '" + flags.method + "' is neither text nor logits"};
  if (flags.method == "logits" && flags.teacher.empty())
    return Error{ErrorCode::kUsage, "--method logits needs --teacher: text has no logits"};
  if (flags.teacher.empty() && flags.traces.empty() && flags.endpoint.empty())
    return Error{ErrorCode::kUsage, "give one of --teacher MODEL, --traces FILE and --endpoint URL to learn from"};
  return {};
}

std::vector<RecipeStage> Stages(const std::string& student, const StageFlags& flags) {
  RecipeStage sample{"sample", "sample", {}, SampleConfig()};
  sample.in.model = flags.teacher;
  sample.in.traces = flags.traces;
  sample.in.endpoint = flags.endpoint;
  sample.in.endpoint_model = flags.endpoint_model;
  sample.in.endpoint_key_env = flags.endpoint_key_env;
  SftConfig config;
  if (flags.method == "logits") config.distill_alpha = kLogitShare;
  RecipeStage sft{"sft", "sft", {}, config};
  sft.in.model = student;
  sft.in.data = "sample";
  if (flags.method == "logits") sft.in.teacher = flags.teacher;
  std::vector<RecipeStage> stages;
  stages.push_back(std::move(sample));
  stages.push_back(std::move(sft));
  return stages;
}

}  // namespace

Command DistillCommand() {
  StageCommandSpec spec;
  Command& command = spec.command;
  command.name = "distill";
  command.group = "Train";
  command.summary = "teach a student model from a teacher's replies";
  command.description =
      "Samples from the teacher (a model here, an OpenAI-compatible endpoint, or a file of recorded replies), filters "
      "as `r1 sample` does, and tunes the student on what is kept, as `r1 sft` does: text only, as the report distils. "
      "--method logits also matches the teacher's distributions, where both have one tokenizer.";
  command.examples = {
      {"r1 distill runs/small/pretrain --teacher runs/r1/rl --problems 5000 --output-dir runs/student",
       "a small model learns from a large one's right replies"},
      {"r1 distill runs/small/pretrain --traces traces.jsonl --keep-correct false --output-dir runs/student",
       "from recorded replies that nobody checks again"},
      {"r1 distill runs/small/pretrain --endpoint http://localhost:8000/v1 --endpoint-model big --output-dir "
       "runs/student",
       "from a model behind an API"}};
  command.positionals = {{"STUDENT", "the model that learns"}};
  spec.flags = {{"teacher", &StageFlags::teacher, "a model folder"},
                {"traces", &StageFlags::traces, "JSONL file of recorded replies"},
                {"endpoint", &StageFlags::endpoint, "base address of an OpenAI-compatible endpoint"},
                {"endpoint_model", &StageFlags::endpoint_model, "the endpoint's name of the model"},
                {"endpoint_key_env", &StageFlags::endpoint_key_env,
                 "environment variable that holds the endpoint's key; empty: no key"},
                {"method", &StageFlags::method, "text, or logits (soft targets of the teacher too)"}};
  spec.stages = Stages;
  spec.check = Check;
  return MakeStageCommand(std::move(spec));
}

}  // namespace r1::cli
