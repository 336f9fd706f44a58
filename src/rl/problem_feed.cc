#include "rl/problem_feed.h"

#include "base/log.h"
#include "data/shuffle.h"

namespace r1 {

Result<ProblemFeed> ProblemFeed::Make(const std::vector<Problem>& problems, const ModelText& text,
                                      const std::string& system, int64_t room, uint64_t seed,
                                      const std::string& title) {
  ProblemFeed feed(seed);
  for (const Problem& problem : problems) {
    const std::string where = title + ": the problem of line " + std::to_string(problem.line);
    R1_ASSIGN(const EncodedPrompt prompt, text.Prompt(UserMessages(system, problem.prompt), where));
    if (static_cast<int64_t>(prompt.tokens.size()) > room) continue;
    feed.problems_.push_back({TaskKind::kData, problem.prompt, problem.solution, false});
  }
  const size_t left_out = problems.size() - feed.problems_.size();
  const std::string why = " prompts have more than " + std::to_string(room) +
                          " tokens, which is what max_completion_length leaves of the model's positions";
  if (feed.problems_.empty())
    return Error{ErrorCode::kBadInput,
                 title + (problems.empty() ? ": there are no problems; give data" : ": all" + why)};
  if (left_out > 0) LogWarn(title + ": " + std::to_string(left_out) + why + "; they are left out");
  return Result<ProblemFeed>(std::move(feed));
}

TaskProblem ProblemFeed::At(uint64_t index) const {
  const uint64_t epoch = index / problems_.size();
  if (order_.empty() || epoch != epoch_) {
    order_ = ShuffledEpoch(seed_, static_cast<uint32_t>(problems_.size()), epoch);
    epoch_ = epoch;
  }
  return problems_[order_[index % problems_.size()]];
}

}  // namespace r1
