// The value pass of the trainer: values and gradient of a scalar head against double precision, the same bits for every
// number of threads, values that are learnt, and misuse that is caught.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "train/trainer_test_util.h"

namespace r1 {
namespace {

std::vector<NamedConfig> ScalarConfigs() {
  std::vector<NamedConfig> list = TestConfigs();
  for (NamedConfig& test : list) {
    test.config.num_labels = 1;
    test.config.num_nextn_predict_layers = 0;
  }
  return list;
}

class ValueTest : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
  const ModelConfig& config() const { return GetParam().config; }
  // With and without the value of the whole text, one read nowhere else, one not read at all.
  static Data MakeData(int64_t vocab, uint64_t seed) {
    Data data(vocab, {9, 2, 8, 6, 3}, seed);
    data.view[0].read_end = true;
    data.view[3].read_end = true;
    data.view[3].loss_from = 6;
    data.view[4].loss_from = 3;
    return data;
  }
  static float Factor(int32_t sequence, int32_t offset) {
    return 0.1f * static_cast<float>(1 + (sequence * 7 + offset * 3) % 5);
  }
};

// sum of factor * value over what is read: value and gradient against the double-precision reference.
TEST_P(ValueTest, GradientIsThatOfTheValues) {
  ThreadPool pool(1);
  for (uint64_t seed = 1; seed < 400; ++seed) {
    const Data data = MakeData(config().vocab_size, seed);
    Model model(config(), true);
    FillModel(model, seed);
    reference::Model reference(config());
    const std::vector<double> flat = FlatCopy(model);
    const auto objective = [&](const reference::Output& out) {
      double sum = 0;
      for (size_t s = 0; s < data.view.size(); ++s) {
        const int64_t end = data.view[s].n - (data.view[s].read_end ? 0 : 1);
        for (int64_t o = data.view[s].loss_from; o <= end; ++o)
          sum += static_cast<double>(Factor(static_cast<int32_t>(s), static_cast<int32_t>(o))) *
                 out.values[s][static_cast<size_t>(o - 1)];
      }
      return sum;
    };
    const reference::Output exact = reference.Forward(flat.data(), data.owned, {});
    if (exact.margin < kClearMargin) continue;
    reference.Freeze();
    model.Pack(pool);
    Trainer trainer(model, Config(2, 32), pool);
    int64_t rows = 0;
    const StepReport report = trainer.GradientValues(data.view, {}, [&](int, const MicroBatch& micro, Values& values) {
      for (int64_t i = 0; i < micro.rows; ++i) {
        const size_t s = static_cast<size_t>(micro.sequence_R[i]);
        const int64_t o = micro.offset_R[i];
        EXPECT_EQ(micro.target_R[i], o < data.view[s].n ? data.view[s].tokens[o] : -1);
        EXPECT_NEAR(values.value[i], exact.values[s][static_cast<size_t>(o - 1)], 0.15);
        values.dvalue[i] = Factor(micro.sequence_R[i], micro.offset_R[i]);
        ++rows;
      }
    });
    int64_t want = 0;
    for (const TrainSequence& s : data.view) want += std::max<int64_t>(0, s.n - s.loss_from + (s.read_end ? 1 : 0));
    EXPECT_EQ(rows, want);
    EXPECT_GT(report.grad_norm, 0.1);
    constexpr double kStep = 1e-4;
    std::vector<double> up(flat), down(flat);
    for (size_t i = 0; i < flat.size(); ++i) {
      up[i] += kStep * static_cast<double>(trainer.gradient()[i]) / report.grad_norm;
      down[i] -= kStep * static_cast<double>(trainer.gradient()[i]) / report.grad_norm;
    }
    const double slope = (objective(reference.Forward(up.data(), data.owned, {})) -
                          objective(reference.Forward(down.data(), data.owned, {}))) /
                         (2 * kStep);
    EXPECT_NEAR(slope / report.grad_norm, 1, 0.03);
    return;
  }
  FAIL() << "no sequences without near ties found";
}

TEST_P(ValueTest, ThreadsAndCutsCannotBeSeenInTheValues) {
  const Data data = MakeData(config().vocab_size, 2);
  std::vector<float> first_values, first_parameters;
  for (const auto& [shards, micro, threads] : {std::array<int64_t, 3>{2, 64, 1}, {2, 64, 3}, {5, 32, 2}}) {
    ThreadPool pool(static_cast<int>(threads));
    Model model(config(), true);
    FillModel(model, 3, false);
    model.Pack(pool);
    Trainer trainer(model, Config(shards, micro), pool);
    std::vector<float> values(64, 0.0f);
    const Trainer::ValueFunction read = [&](int, const MicroBatch& m, Values& out) {
      for (int64_t i = 0; i < m.rows; ++i) {
        values[static_cast<size_t>(m.sequence_R[i] * 12 + m.offset_R[i])] = out.value[i];
        out.dvalue[i] = 0.5f;
      }
    };
    trainer.ScoreValues(model, data.view, {}, read);
    const std::vector<float> scored = values;
    EXPECT_TRUE(trainer.StepValues(0, 10, data.view, {}, read).finite);
    EXPECT_EQ(values, scored);  // before the update
    trainer.StepValues(1, 10, data.view, {}, read);
    EXPECT_NE(values, scored);
    const std::vector<float> parameters(model.data(), model.data() + model.params().total);
    if (first_values.empty()) {
      first_values = scored;
      first_parameters = parameters;
    }
    EXPECT_EQ(scored, first_values);
    if (shards == 2) {
      EXPECT_EQ(std::memcmp(parameters.data(), first_parameters.data(), parameters.size() * sizeof(float)), 0);
    }
  }
}

// Least squares to fixed values of every prefix.
TEST_P(ValueTest, LearnsValues) {
  const Data data = MakeData(config().vocab_size, 3);
  ThreadPool pool(2);
  Model model(config(), true);
  model.Init(1);
  model.Pack(pool);
  OptimizerConfig c = Config(2, 64);
  c.weight_decay = 0;
  Trainer trainer(model, c, pool);
  double loss = 0, first = 0;
  for (int64_t step = 0; step < 80; ++step) {
    std::vector<double> sum(2, 0.0);
    trainer.StepValues(step, 80, data.view, {}, [&](int shard, const MicroBatch& micro, Values& out) {
      for (int64_t i = 0; i < micro.rows; ++i) {
        const float error = out.value[i] - 4 * Factor(micro.sequence_R[i], micro.offset_R[i]);
        out.dvalue[i] = error;
        sum[static_cast<size_t>(shard)] += static_cast<double>(error * error);
      }
    });
    loss = sum[0] + sum[1];
    if (step == 0) first = loss;
  }
  EXPECT_GT(first, 5);
  EXPECT_LT(loss, 0.05 * first);
}

INSTANTIATE_TEST_SUITE_P(Configs, ValueTest, ::testing::ValuesIn(ScalarConfigs()),
                         [](const auto& info) { return info.param.name; });

TEST(ValueMisuse, IsCaught) {
  SetFloatMode();
  const CheckHandler before =
      SetCheckHandler([](const char*, int, const std::string& message) { throw std::runtime_error(message); });
  ThreadPool pool(1);
  ModelConfig c = TestV3();
  Model language(c, true);
  c.num_labels = 1;
  Model scalar(c, true);
  Data data(c.vocab_size, {5}, 1);
  Trainer language_trainer(language, Config(1, 64), pool), scalar_trainer(scalar, Config(1, 64), pool);
  const auto logp = [](int, const MicroBatch&, LogProbs&) {};
  const auto value = [](int, const MicroBatch&, Values&) {};
  EXPECT_THROW(language_trainer.GradientValues(data.view, {}, value), std::runtime_error);
  EXPECT_THROW(scalar_trainer.Gradient(data.view, {}, logp), std::runtime_error);
  data.view[0].read_end = true;  // no token to predict there
  EXPECT_THROW(language_trainer.Gradient(data.view, {}, logp), std::runtime_error);
  SetCheckHandler(before);
}

}  // namespace
}  // namespace r1
