// The promise of exact mode: the log-probability of a token when it was sampled is the trainer's of
// that token, bit for bit, however the sampler batches and the trainer packs, on every instruction
// set; and proof that the comparison would see one changed order of additions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "infer/rollout.h"
#include "model/model_test_util.h"
#include "train/trainer.h"

namespace r1 {
namespace {

struct SamplerSetting {
  int threads = 1;
  int64_t slots = 64;
  bool reversed = false;
};
struct TrainerSetting {
  int threads = 1;
  int64_t shards = 1, micro_tokens = 1024;
};

// What was sampled: per request and sample the tokens and their log-probabilities.
struct Sampled {
  std::vector<std::vector<int32_t>> text;  // prompt and completion
  std::vector<int64_t> prompt_tokens;
  std::vector<std::vector<float>> logp;
};

std::vector<RolloutRequest> Requests(int64_t vocab, uint64_t seed) {
  Rng rng(seed, Stream::kTest, 4);
  std::vector<RolloutRequest> requests;
  for (uint32_t i = 0; i < 6; ++i) {
    const int64_t lengths[] = {rng.Range(1, 40), 1, 32, rng.Range(1, 40), 33, rng.Range(1, 70)};
    RolloutRequest r;
    for (int64_t t = 0; t < lengths[i]; ++t)
      r.prompt.push_back(static_cast<int32_t>(rng.Below(static_cast<uint64_t>(vocab))));
    r.key = i;
    r.samples = rng.Range(1, 8);
    requests.push_back(std::move(r));
  }
  return requests;
}

Sampled Sample(const Model& model, std::vector<RolloutRequest> requests, double temperature,
               const SamplerSetting& setting) {
  if (setting.reversed) std::reverse(requests.begin(), requests.end());
  RolloutOptions options;
  options.sampling.temperature = temperature;
  options.max_new_tokens = 30;
  options.stop = {0};
  options.slots_per_lane = setting.slots;
  ThreadPool pool(setting.threads);
  RolloutEngine engine(model, pool);
  auto results = engine.Run(requests, options).value();
  if (setting.reversed) {
    std::reverse(requests.begin(), requests.end());
    std::reverse(results.begin(), results.end());
  }
  Sampled out;
  for (size_t i = 0; i < results.size(); ++i) {
    for (const Completion& c : results[i]) {
      out.text.push_back(requests[i].prompt);
      out.text.back().insert(out.text.back().end(), c.tokens.begin(), c.tokens.end());
      out.prompt_tokens.push_back(static_cast<int64_t>(requests[i].prompt.size()));
      out.logp.push_back(c.logp);
    }
  }
  return out;
}

std::vector<std::vector<float>> TrainerLogProbs(Model& model, const Sampled& sampled, double temperature,
                                                const TrainerSetting& setting, bool backward) {
  ThreadPool pool(setting.threads);
  OptimizerConfig config;
  config.grad_shards = setting.shards;
  config.micro_tokens = setting.micro_tokens;
  Trainer trainer(model, config, pool);
  std::vector<TrainSequence> sequences;
  std::vector<std::vector<float>> logp;
  for (size_t i = 0; i < sampled.text.size(); ++i) {
    sequences.push_back(
        {sampled.text[i].data(), static_cast<int64_t>(sampled.text[i].size()), sampled.prompt_tokens[i]});
    logp.emplace_back(sampled.logp[i].size(), std::nanf(""));
  }
  SamplingConfig sampling;
  sampling.temperature = temperature;
  const PassOptions options{.inv_temperature = InverseTemperature(sampling)};
  const auto keep = [&](int, const MicroBatch& micro, LogProbs& out) {
    for (int64_t r = 0; r < micro.rows; ++r) {
      const size_t s = static_cast<size_t>(micro.sequence_R[r]);
      logp[s][static_cast<size_t>(micro.offset_R[r] - sampled.prompt_tokens[s])] = out.logp[r];
    }
  };
  if (backward) {
    trainer.Gradient(sequences, options, keep);
  } else {
    trainer.Score(model, sequences, options, keep);
  }
  return logp;
}

// Tokens whose log-probability differs in any bit.
int64_t Mismatches(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  int64_t count = a.size() == b.size() ? 0 : 1000000;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].size() != b[i].size()) return 1000000;
    for (size_t t = 0; t < a[i].size(); ++t) count += std::memcmp(&a[i][t], &b[i][t], sizeof(float)) != 0 ? 1 : 0;
  }
  return count;
}

Model MakeModel(const ModelConfig& config, uint64_t seed) {
  ThreadPool pool(1);
  Model model(config, true);
  FillModel(model, seed, false);
  model.Pack(pool);
  return model;
}

class Exactness : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
  const ModelConfig& config() const { return GetParam().config; }
};

TEST_P(Exactness, SamplerEqualsTrainer) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    Model model = MakeModel(config(), seed);
    const std::vector<RolloutRequest> requests = Requests(config().vocab_size, seed);
    for (double temperature : {1.0, 0.7}) {
      const Sampled base = Sample(model, requests, temperature, {});
      const SamplerSetting samplers[] = {{2, 64, false}, {3, 3, true}, {1, 1, true}};
      for (const SamplerSetting& s : samplers) {
        const Sampled other = Sample(model, requests, temperature, s);
        EXPECT_EQ(other.text, base.text) << s.threads << " threads, " << s.slots << " slots";
        EXPECT_EQ(Mismatches(other.logp, base.logp), 0);
      }
      const TrainerSetting trainers[] = {{1, 1, 1 << 20}, {2, 3, 64}, {3, 7, 32}};
      for (const TrainerSetting& t : trainers) {
        EXPECT_EQ(Mismatches(TrainerLogProbs(model, base, temperature, t, false), base.logp), 0)
            << t.shards << " shards, " << t.micro_tokens << " tokens";
      }
      EXPECT_EQ(Mismatches(TrainerLogProbs(model, base, temperature, {2, 2, 128}, true), base.logp), 0) << "recording";
    }
  }
}

// After an update the packed copies are new for both.
TEST_P(Exactness, HoldsAfterTrainingSteps) {
  Model model = MakeModel(config(), 4);
  const std::vector<RolloutRequest> requests = Requests(config().vocab_size, 4);
  ThreadPool pool(2);
  OptimizerConfig optimizer;
  optimizer.warmup_steps = 0;
  Trainer trainer(model, optimizer, pool);
  for (int64_t step = 0; step < 3; ++step) {
    const Sampled sampled = Sample(model, requests, 1.0, {2, 5, false});
    EXPECT_EQ(Mismatches(TrainerLogProbs(model, sampled, 1.0, {2, 2, 100}, false), sampled.logp), 0) << step;
    std::vector<TrainSequence> sequences;
    for (size_t i = 0; i < sampled.text.size(); ++i)
      sequences.push_back(
          {sampled.text[i].data(), static_cast<int64_t>(sampled.text[i].size()), sampled.prompt_tokens[i]});
    const StepReport report = trainer.Step(step, 3, sequences, {}, [](int, const MicroBatch& micro, LogProbs& out) {
      for (int64_t r = 0; r < micro.rows; ++r) out.dlogp[r] = r % 2 == 0 ? 0.01f : -0.01f;
    });
    ASSERT_TRUE(report.finite);
  }
}

// The same tokens and the same bits on every instruction set, also when one samples and another
// trains.
TEST_P(Exactness, EveryInstructionSetGivesTheSameBits) {
  const std::string chosen = kernels::Kernels().isa;
  const std::vector<RolloutRequest> requests = Requests(config().vocab_size, 5);
  Sampled base;
  std::vector<float> gradient;
  int tables = 0;
  for (const char* const* isa = kernels::AvailableIsas(); *isa != nullptr; ++isa, ++tables) {
    ASSERT_TRUE(kernels::SelectIsa(*isa));
    Model model = MakeModel(config(), 5);
    const Sampled sampled = Sample(model, requests, 1.0, {2, 5, false});
    if (tables == 0) base = sampled;
    EXPECT_EQ(sampled.text, base.text) << *isa;
    EXPECT_EQ(Mismatches(sampled.logp, base.logp), 0) << *isa;
    EXPECT_EQ(Mismatches(TrainerLogProbs(model, base, 1.0, {2, 2, 100}, true), base.logp), 0) << *isa;
    // And the gradient, with every part of the objective.
    std::vector<reference::Sequence> sequences;
    for (size_t i = 0; i < 4; ++i) sequences.push_back({base.text[i], base.prompt_tokens[i]});
    size_t targets = 0;
    for (size_t i = 0; i < 4; ++i) targets += base.logp[i].size();
    Objective o;
    for (size_t i = 0; i < targets; ++i) {
      o.dlogp.push_back(0.1f * static_cast<float>(i % 5) - 0.2f);
      o.dentropy.push_back(0.01f);
    }
    o.mtp_weight = static_cast<float>(config().num_nextn_predict_layers);
    o.balance_alpha = 0.1f;
    Context ctx;
    const std::vector<float> g = RunProduct(ctx, model, sequences, o, true).gradient;
    if (tables == 0) gradient = g;
    EXPECT_EQ(std::memcmp(g.data(), gradient.data(), g.size() * sizeof(float)), 0) << *isa;
  }
  EXPECT_GE(tables, 1);
  ASSERT_TRUE(kernels::SelectIsa(chosen.c_str()));
}

INSTANTIATE_TEST_SUITE_P(Configs, Exactness, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

// ---- the comparison can fail ----------------------------------------------------------------

struct Changed {
  const char* name;
  void (*apply)(kernels::KernelTable&);
};

// Each computes the same mathematics; only the order of additions differs.
const Changed kChanged[] = {
    {"product_sums_its_blocks_from_the_end",
     [](kernels::KernelTable& k) {
       k.gemm = [](const kernels::GemmArgs& args) {
         const int64_t blocks = kernels::RoundUp(args.k, 32) / 32;
         for (int64_t column = 0; column < args.n; column += 16) {
           for (int64_t block = blocks; block-- > 0;) {
             kernels::GemmArgs part = args;
             part.a = args.a + block * 32;
             part.b = args.b + (column / 16 * blocks + block) * 512;
             part.c = args.c + column;
             part.n = std::min<int64_t>(16, args.n - column);
             part.k = std::min<int64_t>(32, args.k - block * 32);
             part.accumulate = args.accumulate || block + 1 < blocks;
             kernels::Kernels().gemm(part);
           }
         }
       };
     }},
    {"softmax_sums_its_row_from_the_end",
     [](kernels::KernelTable& k) {
       k.logprob = [](float* logp, float* lse, float* entropy, const float* logits, int64_t ldl, const int32_t* target,
                      int64_t t, int64_t v, float inv_temperature) {
         std::vector<float> reversed(static_cast<size_t>(t * v));
         std::vector<int32_t> place(static_cast<size_t>(t));
         for (int64_t i = 0; i < t; ++i) {
           for (int64_t j = 0; j < v; ++j) reversed[static_cast<size_t>(i * v + v - 1 - j)] = logits[i * ldl + j];
           place[static_cast<size_t>(i)] = static_cast<int32_t>(v - 1) - target[i];
         }
         kernels::Kernels().logprob(logp, lse, entropy, reversed.data(), v, place.data(), t, v, inv_temperature);
       };
     }},
};

TEST(ExactnessCheck, SeesOneChangedOrderOfAdditions) {
  SetFloatMode();
  // Wide enough for four blocks in a product: two blocks may be added in either order.
  NamedConfig configs[] = {{"llama", TestDense(128, 4, 2, 32, 96, 45)}, {"v3", TestV3()}};
  configs[1].config.hidden_size = 128;
  for (const NamedConfig& test : configs) {
    const Model model = MakeModel(test.config, 6);
    const Sampled sampled = Sample(model, Requests(test.config.vocab_size, 6), 1.0, {});
    std::vector<reference::Sequence> sequences;
    std::vector<float> want;
    for (size_t i = 0; i < sampled.text.size(); ++i) {
      sequences.push_back({sampled.text[i], sampled.prompt_tokens[i]});
      want.insert(want.end(), sampled.logp[i].begin(), sampled.logp[i].end());
    }
    const auto mismatches = [&](const kernels::KernelTable& table, double* largest) {
      Context ctx;
      ctx.k = &table;
      const std::vector<float> got = RunProduct(ctx, model, sequences, {}, false).logp;
      EXPECT_EQ(got.size(), want.size());
      int64_t count = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        count += std::memcmp(&got[i], &want[i], sizeof(float)) != 0 ? 1 : 0;
        *largest = std::max(*largest, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
      }
      return count;
    };
    double largest = 0;
    const kernels::KernelTable copy = kernels::Kernels();
    EXPECT_EQ(mismatches(copy, &largest), 0) << test.name;
    EXPECT_EQ(largest, 0);
    for (const Changed& changed : kChanged) {
      kernels::KernelTable table = kernels::Kernels();
      changed.apply(table);
      largest = 0;
      EXPECT_GT(mismatches(table, &largest), 0) << test.name << " " << changed.name;
      EXPECT_LT(largest, 2.0) << "the change is one of rounding, not of the model";
    }
  }
}

}  // namespace
}  // namespace r1
