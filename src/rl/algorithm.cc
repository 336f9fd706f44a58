#include "rl/algorithm.h"

#include <cmath>

#include "base/fields.h"
#include "base/quote.h"

namespace r1 {

namespace {

struct Algorithm {
  const char* name;
  AdvantageKind advantage;
  RatioKind ratio;
  Aggregation aggregation;
  RewardScale scale;
  double epsilon, epsilon_high;
  KlEstimator kl;
  bool kl_in_reward;
  bool dynamic_sampling = false;
  int64_t overlong_share = 0;  // of max_completion_length: 1 / this
};

using R = RatioKind;
using A = Aggregation;
using K = KlEstimator;
constexpr Algorithm kAlgorithms[] = {
    {"grpo", AdvantageKind::kGroup, R::kToken, A::kTokenMean, RewardScale::kGroup, 0.2, 0.2, K::kK3, false},
    {"dr_grpo", AdvantageKind::kGroup, R::kToken, A::kConstant, RewardScale::kNone, 0.2, 0.2, K::kK3, false},
    {"dapo", AdvantageKind::kGroup, R::kToken, A::kTokenMean, RewardScale::kGroup, 0.2, 0.28, K::kK3, false, true, 5},
    {"rloo", AdvantageKind::kLeaveOneOut, R::kToken, A::kTokenMean, RewardScale::kNone, 0.2, 0.2, K::kK1, true},
    {"reinforce_pp", AdvantageKind::kWhitened, R::kToken, A::kTokenMean, RewardScale::kBatch, 0.2, 0.2, K::kK1, true},
    {"reinforce_pp_baseline", AdvantageKind::kGroupWhitened, R::kToken, A::kTokenMean, RewardScale::kBatch, 0.2, 0.2,
     K::kK2, false},
    {"remax", AdvantageKind::kGreedy, R::kToken, A::kTokenMean, RewardScale::kNone, 0.2, 0.2, K::kK1, true},
    {"gspo", AdvantageKind::kGroup, R::kSequence, A::kSequenceMean, RewardScale::kGroup, 3e-4, 4e-4, K::kK3, false},
    {"cispo", AdvantageKind::kGroup, R::kCapped, A::kTokenMean, RewardScale::kGroup, 0.2, 5.0, K::kK3, false},
    {"ppo", AdvantageKind::kGae, R::kToken, A::kTokenMean, RewardScale::kBatch, 0.2, 0.2, K::kK1, true},
};

template <class T>
struct Choice {
  const char* name;
  T value;
};

// The value named `text`; "auto" is `automatic`, where that is a choice.
template <class T, size_t N>
Result<T> Choose(const char* field, const std::string& text, const Choice<T> (&choices)[N], const T* automatic,
                 const std::string& where) {
  if (automatic != nullptr && text == "auto") return T{*automatic};
  std::string known = automatic != nullptr ? "auto" : "";
  for (const Choice<T>& c : choices) {
    if (text == c.name) return T{c.value};
    known += (known.empty() ? "" : ", ") + std::string(c.name);
  }
  return Error{ErrorCode::kRefused, where + ": " + field + " " + Quote(text) + " is not known (" + known + ")"};
}

constexpr Choice<Aggregation> kLossTypes[] = {
    {"dapo", A::kTokenMean}, {"grpo", A::kSequenceMean}, {"dr_grpo", A::kConstant}};
constexpr Choice<RewardScale> kScales[] = {
    {"group", RewardScale::kGroup}, {"batch", RewardScale::kBatch}, {"none", RewardScale::kNone}};
constexpr Choice<KlEstimator> kEstimators[] = {{"k1", K::kK1}, {"k2", K::kK2}, {"k3", K::kK3}};
constexpr Choice<bool> kPlaces[] = {{"loss", false}, {"reward", true}};
constexpr Choice<bool> kSwitch[] = {{"on", true}, {"off", false}};
constexpr Choice<ImportanceSampling> kImportance[] = {{"none", ImportanceSampling::kNone},
                                                      {"token", ImportanceSampling::kToken},
                                                      {"sequence", ImportanceSampling::kSequence},
                                                      {"token_mask", ImportanceSampling::kTokenMask},
                                                      {"sequence_mask", ImportanceSampling::kSequenceMask}};

}  // namespace

std::vector<std::string> AlgorithmNames() {
  std::vector<std::string> names;
  for (const Algorithm& a : kAlgorithms) names.push_back(a.name);
  return names;
}

Result<LossSettings> ResolveLoss(const RlConfig& config, const std::string& where) {
  const LossConfig& c = config.loss;
  const auto fail = [&](const std::string& what) { return Error{ErrorCode::kRefused, where + ": " + what}; };
  const Algorithm* algorithm = nullptr;
  std::string known;
  for (const Algorithm& a : kAlgorithms) {
    if (c.algorithm == a.name) algorithm = &a;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  if (algorithm == nullptr) {
    const std::string nearest = NearestName(c.algorithm, AlgorithmNames());
    return fail("algorithm " + Quote(c.algorithm) + " is not known" +
                (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") + " (" + known + ")");
  }
  LossSettings s;
  s.advantage = algorithm->advantage;
  s.ratio = algorithm->ratio;
  R1_ASSIGN(s.aggregation, Choose("loss_type", c.loss_type, kLossTypes, &algorithm->aggregation, where));
  R1_ASSIGN(s.scale, Choose("scale_rewards", c.scale_rewards, kScales, &algorithm->scale, where));
  if (s.whitens() && s.scale != RewardScale::kBatch)
    return fail("scale_rewards '" + c.scale_rewards + "' does not go with algorithm '" + c.algorithm +
                "', which whitens its advantages over the batch; leave it at auto");
  if (s.needs_greedy() && s.scale == RewardScale::kGroup)
    return fail(
        "scale_rewards 'group' does not go with algorithm 'remax', which does not compare the replies of a "
        "group; none or batch");
  R1_ASSIGN(s.kl, Choose("kl_estimator", c.kl_estimator, kEstimators, &algorithm->kl, where));
  R1_ASSIGN(s.kl_in_reward, Choose("kl_in", c.kl_in, kPlaces, &algorithm->kl_in_reward, where));
  R1_ASSIGN(s.importance,
            Choose<ImportanceSampling>("importance_sampling", c.importance_sampling, kImportance, nullptr, where));
  R1_ASSIGN(s.dynamic_sampling,
            Choose("dynamic_sampling", config.dynamic_sampling, kSwitch, &algorithm->dynamic_sampling, where));
  if (!(c.epsilon >= 0) || !std::isfinite(c.epsilon)) return fail("epsilon must not be negative");
  if (!(c.epsilon_high >= 0) || !std::isfinite(c.epsilon_high)) return fail("epsilon_high must not be negative");
  s.epsilon = c.epsilon > 0 ? c.epsilon : algorithm->epsilon;
  s.epsilon_high = c.epsilon_high > 0                               ? c.epsilon_high
                   : c.epsilon > 0 && s.ratio != RatioKind::kCapped ? c.epsilon
                                                                    : algorithm->epsilon_high;
  if (!std::isfinite(c.delta) || (c.delta != 0 && !(c.delta > 1 + s.epsilon_high)))
    return fail("delta must be 0 (off) or above 1 + epsilon_high");
  if (c.delta != 0 && s.ratio == RatioKind::kCapped)
    return fail("delta does not go with cispo, whose weights are capped by epsilon_high");
  s.delta = c.delta;
  if (!(c.beta >= 0) || !std::isfinite(c.beta)) return fail("beta must not be negative");
  s.beta = c.beta;
  if (!std::isfinite(c.entropy_coef)) return fail("entropy_coef must be finite");
  s.entropy_coef = c.entropy_coef;
  s.mask_truncated = c.mask_truncated_completions;
  if (!(c.importance_sampling_cap >= 1) || !std::isfinite(c.importance_sampling_cap))
    return fail("importance_sampling_cap must be at least 1");
  s.importance_cap = c.importance_sampling_cap;
  s.overlong_buffer = config.overlong_buffer;
  if (s.overlong_buffer == -1)
    s.overlong_buffer = algorithm->overlong_share == 0 ? 0 : config.max_completion_length / algorithm->overlong_share;
  if (s.overlong_buffer < 0 || s.overlong_buffer >= config.max_completion_length)
    return fail("overlong_buffer must be in 0 .. max_completion_length - 1, or -1 for the algorithm's");
  return s;
}

}  // namespace r1
