// What the training stages on fixed data have in common: resume, steps, one line of metrics a step, checkpoints,
// Ctrl-C, steps that are not finite, progress. A stage gives its step; the loop gives it the state.
#pragma once

#include <functional>
#include <string>

#include "data/corpus_stream.h"
#include "data/model_text.h"
#include "train/run_files.h"
#include "train/trainer.h"

namespace r1 {

struct StageLoop {
  std::string kind;   // of TrainState
  std::string title;  // names the progress line
  uint64_t seed = 0;
  std::string config_hash;
  StageFiles files;
  int64_t max_steps = 0;
};

struct StageStep {
  StepReport report;
  double loss = 0;
  int64_t tokens = 0;
  uint64_t next_cursor = 0;
  Metrics metrics;  // of this kind of stage, beside those of the loop
};

// Trains the trainer's model (initialised by the caller) in files.folder up to max_steps; resumes from its newest
// checkpoint. On Ctrl-C it saves and returns kInterrupted.
Status RunStageLoop(const StageLoop& loop, Trainer& trainer, const ModelText& text,
                    const std::function<StageStep(const TrainState&)>& step);

// A share alpha of the loss comes from a teacher's distributions instead of the text.
struct Distillation {
  Trainer::Teacher teacher;  // model null: none
  double alpha = 0;
};

// A step of next-token loss, the mean over the targets of the documents:
//   (1 - alpha) · -log q(token) + alpha · T^2 KL(p || q)
StageStep TokenStep(Trainer& trainer, const TrainState& state, int64_t max_steps, const CorpusBatch& batch,
                    const PassOptions& options, const Distillation& distillation = {});

}  // namespace r1
