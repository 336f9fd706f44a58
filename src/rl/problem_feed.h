// The problems of files in the order in which training takes them: problem `index` of an endless list, whose epochs are
// shuffled by the seed (data/shuffle.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/model_text.h"
#include "data/problem_set.h"
#include "world/task.h"

namespace r1 {

class ProblemFeed {
 public:
  // Problems whose prompts have more tokens than `room` are left out, with a warning; kBadInput if none is left, or if
  // the model's format cannot write one. title names the stage.
  static Result<ProblemFeed> Make(const std::vector<Problem>& problems, const ModelText& text,
                                  const std::string& system, int64_t room, uint64_t seed, const std::string& title);
  TaskProblem At(uint64_t index) const;
  size_t size() const { return problems_.size(); }

 private:
  explicit ProblemFeed(uint64_t seed) : seed_(seed) {}
  std::vector<TaskProblem> problems_;
  uint64_t seed_;
  mutable uint64_t epoch_ = 0;  // whose order is kept
  mutable std::vector<uint32_t> order_;
};

}  // namespace r1
