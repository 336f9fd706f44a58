// What a training stage keeps on disk: metrics.jsonl (one object a step) and checkpoints that hold everything a resume
// needs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "data/model_text.h"
#include "store/checkpoint.h"
#include "train/trainer.h"

namespace r1 {

using Metrics = std::vector<std::pair<std::string, double>>;

// "expert_load/max" and "expert_load/min": the most and the least used expert of any layer, as a multiple of its
// layer's mean.
void AppendLoadMetrics(const ModelConfig& config, const StepReport& report, Metrics* metrics);

// Appends to metrics.jsonl; what was written after the step that is resumed from is cut off first.
class MetricsFile {
 public:
  // Keeps the lines of steps <= last_step, up to the first that is none; warns if that is not all of them.
  static Result<MetricsFile> Open(const std::string& path, int64_t last_step);
  Status Write(int64_t step, const Metrics& metrics);
  // Before a checkpoint is saved: its steps must not be missing here after a power cut.
  Status Sync();

 private:
  explicit MetricsFile(LineWriter writer) : writer_(std::move(writer)) {}
  LineWriter writer_;
};

// The loader's and the loop's state beside weights and optimizer. The random numbers need none: they are functions of
// (seed, step).
struct TrainState {
  std::string kind;  // "pretrain", "rl"
  int64_t step = 0;  // steps done
  uint64_t seed = 0;
  uint64_t cursor = 0;  // next document or problem
  int64_t num_tokens = 0;
  int64_t optimizer_steps = 0;
  std::string config_hash;  // of the settings that shape the result; a resume under others is refused
  int64_t value_steps = 0;  // updates of a value model; not in the file if 0
};

struct StageFiles {
  std::string folder;
  int64_t save_steps = 0;  // 0: only at the end
  int64_t save_total_limit = 2;
};

// A file of vectors laid out as a model's parameters that a stage keeps in its checkpoints beside model and optimizer.
struct FlatFile {
  std::string name;
  const ParamList* params = nullptr;
  std::vector<std::pair<std::string, float*>> vectors;  // prefix of the tensors' names, data
};

// Saves checkpoint-STEP: model files, tokenizer.json, the other files of the text's folder (chat template, special
// tokens), optimizer.safetensors, trainer_state.json and, if given, reference.safetensors and `more`. Of a model with
// an adapter the model files hold the merged weights, which any later stage loads, and adapter/ holds the adapter
// alone, which resuming reads beside the base that the caller loaded.
Status SaveTraining(const StageFiles& files, const TrainState& state, Trainer& trainer, const ModelText& text,
                    const Model* reference, const std::vector<FlatFile>& more = {});
// The newest whole checkpoint, loaded, `more` included; nullopt if there is none yet. Other settings than those it was
// made with: kRefused. Clears up what a killed save left.
Result<std::optional<TrainState>> ResumeTraining(const StageFiles& files, const TrainState& expected, Trainer& trainer,
                                                 Model* reference, const std::vector<FlatFile>& more = {});

// The final model of a stage or any model folder: FOLDER itself if it has a config.json, else its newest verified
// checkpoint.
Result<std::string> ResolveModelFolder(const std::string& folder);

}  // namespace r1
