#include "train/reward_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/files.h"
#include "base/json.h"
#include "data/shuffle.h"
#include "train/stage_loop.h"

namespace r1 {

namespace {

constexpr size_t kBins = 10;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
// -log sigmoid(x), without overflow.
double NegLogSigmoid(double x) { return std::max(-x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// The texts of some examples as sequences, and the values that are read from them.
struct Texts {
  std::vector<TrainSequence> sequences;
  std::vector<const RewardExample*> examples;
  std::vector<size_t> first;               // sequence of each example's first text
  std::vector<std::vector<double>> value;  // [sequence][end]
  int64_t tokens = 0;

  explicit Texts(const std::vector<const RewardExample*>& from) : examples(from) {
    for (const RewardExample* e : examples) {
      first.push_back(sequences.size());
      for (const ScoredText& text : e->texts) {
        const int64_t n = static_cast<int64_t>(text.tokens.size());
        sequences.push_back({text.tokens.data(), n, text.ends.front(), true});
        ends_.push_back(&text.ends);
        value.emplace_back(text.ends.size(), 0.0);
        tokens += n;
      }
    }
  }
  // The index of a row among the ends of its text, or -1.
  int64_t End(const MicroBatch& micro, int64_t row) const {
    const std::vector<int32_t>& ends = *ends_[static_cast<size_t>(micro.sequence_R[row])];
    const auto at = std::lower_bound(ends.begin(), ends.end(), micro.offset_R[row]);
    return at != ends.end() && *at == micro.offset_R[row] ? at - ends.begin() : -1;
  }
  Trainer::ValueFunction Read() {
    return [this](int, const MicroBatch& micro, Values& values) {
      for (int64_t i = 0; i < micro.rows; ++i) {
        const int64_t end = End(micro, i);
        if (end >= 0)
          value[static_cast<size_t>(micro.sequence_R[i])][static_cast<size_t>(end)] =
              static_cast<double>(values.value[i]);
      }
    };
  }

 private:
  std::vector<const std::vector<int32_t>*> ends_;
};

// What the values say: the logit of each decision, for the label being right, and who it belongs to.
struct Decision {
  double logit = 0;  // of the label
  const RewardExample* example = nullptr;
};
std::vector<Decision> Decide(const Texts& texts) {
  std::vector<Decision> out;
  for (size_t e = 0; e < texts.examples.size(); ++e) {
    const RewardExample& example = *texts.examples[e];
    const std::vector<double>& value = texts.value[texts.first[e]];
    if (example.labels.empty()) out.push_back({value[0] - texts.value[texts.first[e] + 1][0], &example});
    for (size_t i = 0; i < example.labels.size(); ++i)
      out.push_back({example.labels[i] ? value[i] : -value[i], &example});
  }
  return out;
}

// Means over the step, under TRL's names: of a pair, chosen and rejected; else good and bad.
void AppendRewards(const Texts& texts, const std::vector<Decision>& decisions, Metrics* metrics) {
  double sum[2] = {0, 0}, count[2] = {0, 0}, right = 0;  // chosen, rejected
  const auto add = [&](int side, double value) {
    sum[side] += value;
    count[side] += 1;
  };
  for (size_t e = 0; e < texts.examples.size(); ++e) {
    const std::vector<bool>& labels = texts.examples[e]->labels;
    const size_t first = texts.first[e];
    if (labels.empty()) {
      add(0, texts.value[first][0]);
      add(1, texts.value[first + 1][0]);
    }
    for (size_t i = 0; i < labels.size(); ++i) add(labels[i] ? 0 : 1, texts.value[first][i]);
  }
  for (const Decision& d : decisions) right += d.logit > 0 ? 1 : 0;
  if (count[0] > 0) metrics->emplace_back("rewards/chosen", sum[0] / count[0]);
  if (count[1] > 0) metrics->emplace_back("rewards/rejected", sum[1] / count[1]);
  if (count[0] > 0 && count[1] > 0) metrics->emplace_back("rewards/margins", sum[0] / count[0] - sum[1] / count[1]);
  metrics->emplace_back("rewards/accuracies", right / static_cast<double>(decisions.size()));
}

// The two texts of a pair may lie in different shards: their values are read by a pass of their own, then the
// derivatives go back through a second one.
StageStep Step(Trainer& trainer, const TrainState& state, int64_t max_steps, const PassOptions& options, Texts& texts) {
  trainer.ScoreValues(trainer.model(), texts.sequences, options, texts.Read());
  const std::vector<Decision> decisions = Decide(texts);
  const double share = 1 / static_cast<double>(decisions.size());
  StageStep out;
  std::vector<std::vector<float>> derivative(texts.sequences.size());
  auto decision = decisions.begin();
  for (size_t e = 0; e < texts.examples.size(); ++e) {
    const std::vector<bool>& labels = texts.examples[e]->labels;
    const auto next = [&] {
      out.loss += share * NegLogSigmoid(decision->logit);
      return static_cast<float>(-share * Sigmoid(-(decision++)->logit));
    };
    if (labels.empty()) {
      const float g = next();
      derivative[texts.first[e]] = {g};
      derivative[texts.first[e] + 1] = {-g};
    }
    for (const bool label : labels) {
      const float g = next();
      derivative[texts.first[e]].push_back(label ? g : -g);
    }
  }
  out.report = trainer.StepValues(
      state.optimizer_steps, max_steps, texts.sequences, options, [&](int, const MicroBatch& micro, Values& values) {
        for (int64_t i = 0; i < micro.rows; ++i) {
          const int64_t end = texts.End(micro, i);
          if (end >= 0)
            values.dvalue[i] = derivative[static_cast<size_t>(micro.sequence_R[i])][static_cast<size_t>(end)];
        }
      });
  out.tokens = texts.tokens;
  AppendRewards(texts, decisions, &out.metrics);
  return out;
}

Status CheckExamples(const std::vector<RewardExample>& examples, const Model& model, RewardKind kind,
                     const std::string& title) {
  const ModelConfig& c = model.config();
  if (c.num_labels != 1)
    return Error{ErrorCode::kRefused, title + ": the model has a language head; a reward model needs a scalar one"};
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto fail = [&](const std::string& what) -> Status {
      return Error{ErrorCode::kBadInput, title + ": example " + std::to_string(i + 1) + " " + what};
    };
    const bool pair = kind == RewardKind::kHelpful;
    if (examples[i].texts.size() != (pair ? 2u : 1u) || examples[i].labels.empty() != pair)
      return fail("is not of kind " + std::string(RewardKindName(kind)));
    for (const ScoredText& text : examples[i].texts) {
      const int64_t n = static_cast<int64_t>(text.tokens.size());
      if (n > c.max_position_embeddings)
        return fail("has " + std::to_string(n) + " tokens; the model has " + std::to_string(c.max_position_embeddings) +
                    " positions: shorten it");
      for (int32_t t : text.tokens) {
        if (t < 0 || t >= c.vocab_size) return fail("has tokens outside the model's vocabulary: of another tokenizer");
      }
    }
  }
  return {};
}

std::string EvalText(const RewardModelEval& eval, const std::string& kind, size_t train, size_t held_out) {
  nlohmann::ordered_json j = {{"kind", kind},
                              {"train", train},
                              {"held_out", held_out},
                              {"accuracy", eval.accuracy},
                              {"accuracy_stderr", eval.accuracy_stderr},
                              {"brier", eval.brier},
                              {"ece", eval.ece}};
  j["bins"] = nlohmann::ordered_json::array();
  for (const RewardModelEval::Bin& bin : eval.bins)
    j["bins"].push_back({{"confidence", bin.confidence}, {"accuracy", bin.accuracy}, {"count", bin.count}});
  return ToPrettyText(j);
}

}  // namespace

Status ValidateRewardModelConfig(const RewardModelConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (!RewardKindFromName(c.reward_kind).has_value())
    return fail("reward_kind '" + c.reward_kind + "' is not known (helpful, safety, process)");
  if (c.num_train_epochs < 1 || c.num_train_epochs > 1000) return fail("num_train_epochs must be in 1 .. 1000");
  if (c.batch_pairs < 1 || c.batch_pairs > (1 << 20)) return fail("batch_pairs must be in 1 .. 1048576");
  if (!(c.held_out_share >= 0 && c.held_out_share <= 0.9)) return fail("held_out_share must be in 0 .. 0.9");
  if (!(c.balance_loss_weight >= 0 && c.balance_loss_weight <= 10))
    return fail("balance_loss_weight must be in 0 .. 10");
  if (c.save_steps < 0 || c.save_total_limit < 0) return fail("save_steps and save_total_limit must not be negative");
  return {};
}

RewardModelEval EvaluateRewardModel(Trainer& trainer, const std::vector<RewardExample>& examples) {
  RewardModelEval out;
  out.bins.resize(kBins);
  std::vector<const RewardExample*> all;
  for (const RewardExample& e : examples) all.push_back(&e);
  Texts texts(all);
  trainer.ScoreValues(trainer.model(), texts.sequences, {}, texts.Read());
  const std::vector<Decision> decisions = Decide(texts);
  out.decisions = static_cast<int64_t>(decisions.size());
  if (decisions.empty()) {
    out.accuracy = out.accuracy_stderr = out.brier = out.ece = std::nan("");
    return out;
  }
  const double n = static_cast<double>(decisions.size());
  for (const Decision& d : decisions) {
    const double p = Sigmoid(d.logit), confidence = std::max(p, 1 - p), right = d.logit > 0 ? 1 : 0;
    out.accuracy += right;
    out.brier += (1 - p) * (1 - p) / n;
    RewardModelEval::Bin& bin =
        out.bins[std::min(kBins - 1, static_cast<size_t>((confidence - 0.5) * 2 * static_cast<double>(kBins)))];
    bin.confidence += confidence;
    bin.accuracy += right;
    ++bin.count;
  }
  out.accuracy /= n;  // whole numbers were added: exactly 1 if all are right
  for (RewardModelEval::Bin& bin : out.bins) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
    out.ece += static_cast<double>(bin.count) / n * std::abs(bin.confidence - bin.accuracy);
  }
  std::map<std::string_view, double> residual;  // by prompt
  for (const Decision& d : decisions) residual[d.example->prompt] += (d.logit > 0 ? 1 : 0) - out.accuracy;
  double squares = 0;
  for (const auto& [prompt, r] : residual) squares += r * r;
  out.accuracy_stderr = std::sqrt(squares) / n;
  return out;
}

Status RunRewardModel(Model& model, const ModelText& text, const std::vector<RewardExample>& examples,
                      const RewardModelConfig& config, uint64_t seed, const std::string& folder,
                      const std::string& config_hash, ThreadPool& pool, const std::string& title) {
  R1_TRY(ValidateRewardModelConfig(config, title));
  R1_TRY(CheckExamples(examples, model, *RewardKindFromName(config.reward_kind), title));
  std::vector<const RewardExample*> train;
  std::vector<RewardExample> held_out;
  for (const RewardExample& e : examples) {
    if (IsHeldOutPrompt(e.prompt, config.held_out_share)) {
      held_out.push_back(e);
    } else {
      train.push_back(&e);
    }
  }
  if (train.empty()) return Error{ErrorCode::kBadInput, title + ": there are no examples to train on"};
  const std::vector<uint32_t> stream =
      ShuffledStream(seed, static_cast<uint32_t>(train.size()), config.num_train_epochs);
  const uint64_t batch = static_cast<uint64_t>(config.batch_pairs);
  const int64_t max_steps = static_cast<int64_t>((stream.size() + batch - 1) / batch);
  Trainer trainer(model, config.optimizer, pool);
  PassOptions options;
  options.balance_alpha = static_cast<float>(config.balance_loss_weight);
  const StageLoop loop{"rm", title, seed, config_hash, {folder, config.save_steps, config.save_total_limit}, max_steps};
  R1_TRY(RunStageLoop(loop, trainer, text, [&](const TrainState& state) {
    const uint64_t end = std::min<uint64_t>(state.cursor + batch, stream.size());
    std::vector<const RewardExample*> chosen;
    for (uint64_t i = state.cursor; i < end; ++i) chosen.push_back(train[stream[i]]);
    Texts texts(chosen);
    StageStep step = Step(trainer, state, max_steps, options, texts);
    step.next_cursor = end;
    step.metrics.emplace_back("epoch", static_cast<double>(end) / static_cast<double>(train.size()));
    return step;
  }));
  return WriteFileAtomic(JoinPath(folder, "eval.json"), EvalText(EvaluateRewardModel(trainer, held_out),
                                                                 config.reward_kind, train.size(), held_out.size()));
}

}  // namespace r1
