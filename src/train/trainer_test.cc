// The gradient step: the same bits for every number of threads, the right gradient of the whole loss, AdamW as written
// by hand, balance of experts, numbers that are not finite, and a loss that falls.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "train/trainer_test_util.h"

namespace r1 {
namespace {

// Mean negative log-probability, with the log-probability of every target kept by sequence and offset.
struct MeanLoss {
  std::vector<std::vector<float>> logp;
  explicit MeanLoss(const Data& data) : weight_(-1.0f / static_cast<float>(data.targets())) {
    for (const TrainSequence& s : data.view)
      logp.emplace_back(static_cast<size_t>(s.n), std::numeric_limits<float>::quiet_NaN());
  }
  Trainer::LossFunction Function() {
    return [this](int, const MicroBatch& micro, LogProbs& out) {
      for (int64_t i = 0; i < micro.rows; ++i) {
        out.dlogp[i] = weight_;
        logp[static_cast<size_t>(micro.sequence_R[i])][static_cast<size_t>(micro.offset_R[i])] = out.logp[i];
      }
    };
  }
  double Value() const {
    double sum = 0;
    for (const auto& sequence : logp) {
      for (float x : sequence) sum += std::isnan(x) ? 0.0 : static_cast<double>(weight_) * static_cast<double>(x);
    }
    return sum;
  }
  std::vector<float> Flat() const {
    std::vector<float> out;
    for (const auto& sequence : logp) {
      for (float x : sequence) {
        if (!std::isnan(x)) out.push_back(x);
      }
    }
    return out;
  }

 private:
  float weight_;
};

PassOptions Options(const ModelConfig& c) {
  return {.inv_temperature = 1.0f, .mtp_weight = c.num_nextn_predict_layers > 0 ? 0.3f : 0.0f, .balance_alpha = 0.01f};
}

struct Outcome {
  std::vector<float> gradient, parameters, moments, logp;
  StepReport report;
};

void ExpectSameBits(const Outcome& a, const Outcome& b, const std::string& what) {
  const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  };
  EXPECT_TRUE(same(a.gradient, b.gradient)) << what;
  EXPECT_TRUE(same(a.parameters, b.parameters)) << what;
  EXPECT_TRUE(same(a.moments, b.moments)) << what;
  EXPECT_TRUE(same(a.logp, b.logp)) << what;
  EXPECT_EQ(a.report.grad_norm, b.report.grad_norm) << what;
  EXPECT_EQ(a.report.mtp_loss, b.report.mtp_loss) << what;
  EXPECT_EQ(a.report.balance_loss, b.report.balance_loss) << what;
  EXPECT_EQ(a.report.load, b.report.load) << what;
}

// `steps` steps from a fresh model; steps = 0: only the gradient.
Outcome Train(const ModelConfig& c, const Data& data, const OptimizerConfig& optimizer, int threads, int steps) {
  ThreadPool pool(threads);
  Model model(c, true);
  FillModel(model, 1, false);
  model.Pack(pool);
  Trainer trainer(model, optimizer, pool);
  MeanLoss loss(data);
  Outcome out;
  if (steps == 0) out.report = trainer.Gradient(data.view, Options(c), loss.Function());
  for (int i = 0; i < steps; ++i) out.report = trainer.Step(i, 10, data.view, Options(c), loss.Function());
  const int64_t n = model.params().total;
  out.gradient.assign(trainer.gradient(), trainer.gradient() + n);
  out.parameters.assign(model.data(), model.data() + n);
  out.moments.assign(trainer.first_moment(), trainer.first_moment() + n);
  out.moments.insert(out.moments.end(), trainer.second_moment(), trainer.second_moment() + n);
  out.logp = loss.Flat();
  return out;
}

class TrainerTest : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
  const ModelConfig& config() const { return GetParam().config; }
  // Among them sequences without a target: a single token, and a loss that begins after the end.
  Data MakeData() const {
    std::vector<reference::Sequence> s = RandomSequences(config().vocab_size, {12, 40, 5, 2, 33, 9, 20}, 1);
    s.push_back({{7}, 1});
    s.push_back({{7, 8, 9}, 3});
    return Data(std::move(s));
  }
};

TEST_P(TrainerTest, ThreadsCannotBeSeen) {
  const Data data = MakeData();
  for (int64_t shards : {1, 3, 5}) {
    const Outcome one = Train(config(), data, Config(shards, 64), 1, 3);
    ASSERT_TRUE(one.report.finite);
    for (int threads : {2, 3})
      ExpectSameBits(Train(config(), data, Config(shards, 64), threads, 3), one,
                     std::to_string(shards) + " shards, " + std::to_string(threads) + " threads");
  }
}

// How a shard is cut into micro-batches and a step into shards changes the order of sums over tokens, nothing else:
// log-probabilities stay in every bit, gradients within the rounding of float sums.
TEST_P(TrainerTest, CutsChangeOnlyTheRounding) {
  const Data data = MakeData();
  const Outcome base = Train(config(), data, Config(1, 1 << 20), 1, 0);
  EXPECT_GT(base.report.grad_norm, 0.01);
  EXPECT_EQ(base.logp.size(), static_cast<size_t>(data.targets()));
  for (const auto& [shards, micro] : {std::pair<int64_t, int64_t>{1, 32}, {1, 64}, {2, 1 << 20}, {7, 32}, {64, 1024}}) {
    const Outcome other = Train(config(), data, Config(shards, micro), 1, 0);
    EXPECT_EQ(other.logp, base.logp);
    EXPECT_EQ(other.report.load, base.report.load);
    EXPECT_NEAR(other.report.mtp_loss, base.report.mtp_loss, 1e-9);
    EXPECT_NEAR(other.report.balance_loss, base.report.balance_loss, 1e-7);
    double difference = 0;
    for (size_t i = 0; i < base.gradient.size(); ++i)
      difference += std::pow(static_cast<double>(other.gradient[i]) - static_cast<double>(base.gradient[i]), 2);
    EXPECT_LT(std::sqrt(difference), 2e-6 * base.report.grad_norm) << shards << " shards, " << micro << " tokens";
  }
}

TEST_P(TrainerTest, ScoreIsTheForwardOfTheGradient) {
  const Data data = MakeData();
  const Outcome base = Train(config(), data, Config(2, 64), 1, 0);
  ThreadPool pool(2);
  Model model(config(), true), other(config(), false);
  FillModel(model, 1, false);
  FillModel(other, 2, false);
  model.Pack(pool);
  other.Pack(pool);
  Trainer trainer(model, Config(3, 32), pool);
  MeanLoss loss(data), other_loss(data);
  trainer.Score(model, data.view, {}, loss.Function());
  EXPECT_EQ(loss.Flat(), base.logp);
  trainer.Score(other, data.view, {}, other_loss.Function());  // another model's weights, not built for training
  EXPECT_NE(other_loss.Flat(), base.logp);
  EXPECT_EQ(other_loss.Flat().size(), base.logp.size());
}

// The gradient of mean loss + 0.3 prediction loss + balance loss, with the trainer's own factors, against the
// double-precision reference.
TEST_P(TrainerTest, GradientIsThatOfTheReportedLosses) {
  ThreadPool pool(1);
  for (uint64_t seed = 1; seed < 400; ++seed) {
    Data data(config().vocab_size, {9, 2, 8}, seed);
    Model model(config(), true);
    FillModel(model, seed);
    reference::Model reference(config());
    std::vector<double> flat = FlatCopy(model);
    Objective o;
    o.dlogp.assign(static_cast<size_t>(data.targets()), -1.0f / static_cast<float>(data.targets()));
    o.mtp_weight = Options(config()).mtp_weight;
    o.balance_alpha = 0.5f;
    const reference::Output exact = reference.Forward(flat.data(), data.owned, o.options());
    if (exact.margin < kClearMargin) continue;
    reference.Freeze();
    model.Pack(pool);
    Trainer trainer(model, Config(2, 32), pool);
    MeanLoss loss(data);
    PassOptions options = Options(config());
    options.balance_alpha = 0.5f;
    const StepReport report = trainer.Gradient(data.view, options, loss.Function());
    EXPECT_NEAR(report.balance_loss, exact.balance, 0.01 * exact.balance);
    EXPECT_NEAR(loss.Value() + static_cast<double>(o.mtp_weight) * report.mtp_loss + report.balance_loss,
                o.Value(exact), 0.02 * o.Value(exact));
    constexpr double kStep = 1e-4;
    std::vector<double> up(flat), down(flat);
    for (size_t i = 0; i < flat.size(); ++i) {
      up[i] += kStep * static_cast<double>(trainer.gradient()[i]) / report.grad_norm;
      down[i] -= kStep * static_cast<double>(trainer.gradient()[i]) / report.grad_norm;
    }
    const double slope = (o.Value(reference.Forward(up.data(), data.owned, o.options())) -
                          o.Value(reference.Forward(down.data(), data.owned, o.options()))) /
                         (2 * kStep);
    EXPECT_NEAR(slope / report.grad_norm, 1, 0.03);
    return;
  }
  FAIL() << "no sequences without near ties found";
}

TEST_P(TrainerTest, StepIsAdamWWithClippingAndDecayOfMatricesOnly) {
  const Data data = MakeData();
  ThreadPool pool(2);
  Model model(config(), true);
  FillModel(model, 1, false);
  model.Pack(pool);
  OptimizerConfig c = Config(2, 64);
  c.max_grad_norm = 0.05;
  c.weight_decay = 0.2;
  c.router_bias_update = 0.125;
  Trainer trainer(model, c, pool);
  std::vector<double> m(static_cast<size_t>(model.params().total), 0.0), v(m);
  for (int64_t step = 0; step < 2; ++step) {
    const std::vector<float> before(model.data(), model.data() + model.params().total);
    MeanLoss loss(data);
    const StepReport report = trainer.Step(step, 10, data.view, Options(config()), loss.Function());
    ASSERT_GT(report.grad_norm, 0.05);
    EXPECT_EQ(report.learning_rate, LearningRateAt(c, step, 10));
    for (const ParamSpec& spec : model.params().specs) {
      for (int64_t j = spec.offset; j < spec.offset + spec.count(); ++j) {
        const size_t i = static_cast<size_t>(j);
        const double change = static_cast<double>(model.data()[j]) - static_cast<double>(before[i]);
        if (!spec.trainable()) {
          EXPECT_TRUE(change == 0 || std::abs(std::abs(change) - 0.125) < 1e-6) << spec.name;
          EXPECT_EQ(trainer.first_moment()[j], 0.0f);
          continue;
        }
        const double g = static_cast<double>(trainer.gradient()[j]) * 0.05 / report.grad_norm;
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.98 * v[i] + 0.02 * g * g;
        const double t = static_cast<double>(step + 1);
        const double adam =
            m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.98, t))) + c.adam_epsilon);
        const double want =
            -report.learning_rate * (adam + (spec.decayed() ? 0.2 * static_cast<double>(before[i]) : 0.0));
        ASSERT_NEAR(change, want, 2e-4 * std::abs(want) + 5e-7) << spec.name << " element " << j - spec.offset;
      }
    }
  }
}

TEST_P(TrainerTest, RouterBiasFollowsTheLoadOfTheStep) {
  if (!config().is_mla() || config().n_routed_experts == 0) {
    const Outcome none = Train(config(), MakeData(), Config(2, 64), 1, 1);
    EXPECT_TRUE(none.report.load.empty());
    return;
  }
  const Data data = MakeData();
  ThreadPool pool(1);
  Model model(config(), true);
  FillModel(model, 1, false);
  model.Pack(pool);
  OptimizerConfig c = Config(2, 64);
  c.router_bias_update = 0.5;
  Trainer trainer(model, c, pool);
  const std::vector<double> before = FlatCopy(model);
  MeanLoss loss(data);
  const StepReport report = trainer.Step(0, 10, data.view, Options(config()), loss.Function());
  const int64_t experts = config().n_routed_experts;
  int64_t tokens = 0, moved = 0;
  for (const TrainSequence& s : data.view)
    tokens += s.n > s.loss_from ? s.n - 1 : 0;  // without a target a sequence is not run
  for (int64_t layer = 0; layer < config().num_hidden_layers + config().num_nextn_predict_layers; ++layer) {
    if (!config().is_moe_layer(layer)) continue;
    int64_t sum = 0;
    for (int64_t e = 0; e < experts; ++e) sum += report.load[static_cast<size_t>(layer * experts + e)];
    EXPECT_EQ(sum, tokens * config().num_experts_per_tok);
    const ParamSpec* spec =
        model.params().Find("model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias");
    EXPECT_EQ(spec != nullptr, config().has_router_bias());  // deepseek_v2 has none
    if (spec == nullptr) continue;
    for (int64_t e = 0; e < experts; ++e) {
      const double over = static_cast<double>(report.load[static_cast<size_t>(layer * experts + e)]) -
                          static_cast<double>(sum) / static_cast<double>(experts);
      const double change =
          static_cast<double>(model.data()[spec->offset + e]) - before[static_cast<size_t>(spec->offset + e)];
      EXPECT_NEAR(change, over > 0 ? -0.5 : over < 0 ? 0.5 : 0.0, 1e-6);
      moved += change != 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(moved > 0, config().has_router_bias());
}

// A loss that gives NaN or overflows is reported and changes nothing: not the parameters, the moments, the biases or
// the packed copies.
TEST_P(TrainerTest, NumbersThatAreNotFiniteChangeNothing) {
  const Data data = MakeData();
  ThreadPool pool(2);
  Model model(config(), true);
  FillModel(model, 1, false);
  model.Pack(pool);
  Trainer trainer(model, Config(2, 64), pool);
  MeanLoss loss(data);
  ASSERT_TRUE(trainer.Step(0, 10, data.view, Options(config()), loss.Function()).finite);
  const int64_t n = model.params().total;
  const std::vector<float> w(model.data(), model.data() + n), m(trainer.first_moment(), trainer.first_moment() + n),
      v(trainer.second_moment(), trainer.second_moment() + n);
  trainer.Score(model, data.view, {}, loss.Function());
  const std::vector<float> logp = loss.Flat();
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::max()}) {
    const StepReport report =
        trainer.Step(1, 10, data.view, Options(config()), [&](int shard, const MicroBatch& micro, LogProbs& out) {
          for (int64_t i = 0; i < micro.rows; ++i) out.dlogp[i] = shard == 1 && i == 0 ? bad : 0.1f;
        });
    EXPECT_FALSE(report.finite) << bad;
    EXPECT_EQ(std::memcmp(model.data(), w.data(), w.size() * sizeof(float)), 0) << bad;
    EXPECT_EQ(std::memcmp(trainer.first_moment(), m.data(), m.size() * sizeof(float)), 0) << bad;
    EXPECT_EQ(std::memcmp(trainer.second_moment(), v.data(), v.size() * sizeof(float)), 0) << bad;
    trainer.Score(model, data.view, {}, loss.Function());
    EXPECT_EQ(loss.Flat(), logp) << bad;
  }
  EXPECT_TRUE(trainer.Step(1, 10, data.view, Options(config()), loss.Function()).finite)
      << "the next step is not poisoned";
  EXPECT_NE(std::memcmp(model.data(), w.data(), w.size() * sizeof(float)), 0);
}

// Parameters, moments and the step number are the whole state: a new trainer with them goes on bit for bit.
TEST_P(TrainerTest, StateIsParametersMomentsAndStep) {
  const Data data = MakeData();
  const Outcome straight = Train(config(), data, Config(2, 64), 1, 4);
  ThreadPool pool(1);
  const Outcome half = Train(config(), data, Config(2, 64), 1, 2);
  Model model(config(), true);
  const size_t n = half.parameters.size();
  std::copy(half.parameters.begin(), half.parameters.end(), model.data());
  model.Pack(pool);
  Trainer trainer(model, Config(2, 64), pool);
  std::copy(half.moments.begin(), half.moments.begin() + static_cast<int64_t>(n), trainer.first_moment());
  std::copy(half.moments.begin() + static_cast<int64_t>(n), half.moments.end(), trainer.second_moment());
  MeanLoss loss(data);
  for (int64_t step = 2; step < 4; ++step) trainer.Step(step, 10, data.view, Options(config()), loss.Function());
  EXPECT_EQ(std::memcmp(model.data(), straight.parameters.data(), n * sizeof(float)), 0);
}

TEST_P(TrainerTest, LossFallsOnARepeatedBatch) {
  const Data data(config().vocab_size, {20, 20, 20}, 3);
  ThreadPool pool(2);
  Model model(config(), true);
  model.Init(1);
  model.Pack(pool);
  OptimizerConfig c = Config(2, 64);
  c.weight_decay = 0;
  c.lr_scheduler_type = "constant";
  Trainer trainer(model, c, pool);
  MeanLoss loss(data);
  double first = 0;
  for (int64_t step = 0; step < 40; ++step) {
    trainer.Step(step, 40, data.view, Options(config()), loss.Function());
    if (step == 0) first = loss.Value();
  }
  EXPECT_NEAR(first, std::log(static_cast<double>(config().vocab_size)),
              0.5);  // from random weights: as good as chance
  EXPECT_LT(loss.Value(), 0.3);
}

INSTANTIATE_TEST_SUITE_P(Configs, TrainerTest, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

TEST(SplitShards, ContiguousCompleteAndBalanced) {
  Rng rng(1, Stream::kTest);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<TrainSequence> sequences;
    int64_t total = 0, longest = 0;
    for (uint64_t i = rng.Below(30); i > 0; --i) {
      sequences.push_back({nullptr, rng.Range(0, 60), 1});
      total += sequences.back().n;
      longest = std::max(longest, sequences.back().n);
    }
    const int shards = static_cast<int>(rng.Range(1, 9));
    const std::vector<int64_t> first = SplitShards(sequences, shards);
    ASSERT_EQ(first.size(), static_cast<size_t>(shards) + 1);
    EXPECT_EQ(first.front(), 0);
    EXPECT_EQ(first.back(), static_cast<int64_t>(sequences.size()));
    for (size_t s = 0; s < static_cast<size_t>(shards); ++s) {
      ASSERT_LE(first[s], first[s + 1]);
      int64_t tokens = 0;
      for (int64_t i = first[s]; i < first[s + 1]; ++i) tokens += sequences[static_cast<size_t>(i)].n;
      EXPECT_LE(tokens * shards, total + longest * shards);
    }
    EXPECT_EQ(SplitShards(sequences, shards), first);
  }
  EXPECT_EQ(SplitShards({}, 3), (std::vector<int64_t>{0, 0, 0, 0}));
  const std::vector<TrainSequence> equal(4, {nullptr, 10, 1});
  EXPECT_EQ(SplitShards(equal, 2), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(SplitShards(equal, 4), (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

// After two equal steps the memory of a step is known: later ones ask the system for nothing.
TEST(TrainerMemory, ArenasReachASteadyState) {
  SetFloatMode();
  for (const NamedConfig& test : TestConfigs()) {
    ThreadPool pool(1);
    Model model(test.config, true);
    FillModel(model, 1);
    model.Pack(pool);
    const auto sequences = RandomSequences(test.config.vocab_size, {60, 50, 40}, 1);
    Objective o;
    o.mtp_weight = static_cast<float>(test.config.num_nextn_predict_layers);
    o.balance_alpha = 0.01f;
    Context ctx;
    std::vector<size_t> held;
    for (int i = 0; i < 6; ++i) {
      RunProduct(ctx, model, sequences, o, true);
      held.push_back(ctx.arena.allocated_bytes() + ctx.scratch.allocated_bytes());
    }
    for (size_t i = 2; i < held.size(); ++i) EXPECT_EQ(held[i], held[1]) << test.name;
  }
}

}  // namespace
}  // namespace r1
