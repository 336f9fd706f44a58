// Exp, log-probabilities, their gradient and softmax: bits against the definitions on every table,
// accuracy against double, gradients by complex step, extreme logits, temperature, and independence
// of a row from its neighbours.
#include <limits>

#include "kernels/op_test_util.h"
#include "kernels/ref/softmax.h"

namespace r1::kernels {
namespace {

using ExpTest = OpTest;

TEST_F(ExpTest, RelativeErrorOverTheWholeRange) {
  double worst = 0;
  for (uint32_t bits = 0; bits < 0x42b09999u; bits += 211) {  // 0 .. 88.3, and the negatives to -87.3
    for (float x : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      if (x < -87.3f) continue;
      const double want = std::exp(static_cast<double>(x));
      worst = std::fmax(worst, std::fabs(static_cast<double>(ref::Exp(x)) - want) / want);
    }
  }
  EXPECT_LT(worst, 8e-8);
  EXPECT_GT(worst, 3e-8);  // the loop did look
}

TEST_F(ExpTest, EdgesAreExact) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(ref::Exp(0.0f), 1.0f);
  EXPECT_EQ(ref::Exp(-0.0f), 1.0f);
  EXPECT_EQ(ref::Exp(-infinity), 0.0f);
  EXPECT_EQ(ref::Exp(-87.31f), 0.0f);
  EXPECT_GT(ref::Exp(-87.3f), 1.17549435e-38f);
  EXPECT_EQ(ref::Exp(infinity), ref::Exp(88.3f));
  EXPECT_TRUE(std::isfinite(ref::Exp(infinity)));
  EXPECT_TRUE(std::isnan(ref::Exp(std::numeric_limits<float>::quiet_NaN())));
}

// Every table's Exp through the sigmoid of the router's scores, over the whole range.
TEST_F(ExpTest, EveryTableHasTheSameBits) {
  const RouteConfig config = {
      .experts = 16, .top_k = 1, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 1.0f};
  Floats logits;
  for (uint32_t bits = 0; bits < 0x42b80000u; bits += 65521) {
    logits.push_back(std::bit_cast<float>(bits));
    logits.push_back(-std::bit_cast<float>(bits));
  }
  for (int i = -250000; i < 250000; ++i) logits.push_back(static_cast<float>(i) * 3.6e-4f);
  logits.resize(logits.size() / 16 * 16);
  const int64_t t = static_cast<int64_t>(logits.size()) / 16;
  Floats want;
  for (float x : logits) want.push_back(ref::Sigmoid(x));
  for (const KernelTable* table : AllTables()) {
    Floats score(logits.size()), weight(static_cast<size_t>(t));
    std::vector<int32_t> expert(static_cast<size_t>(t));
    table->route(score.data(), expert.data(), weight.data(), logits.data(), nullptr, t, config);
    ExpectBits(table->isa, score, want);
  }
}

using LogProbTest = OpTest;

struct Outputs {
  Floats logp, lse, entropy;
};
template <class S>
void Define(std::vector<S>* logp, std::vector<S>* lse, std::vector<S>* entropy, const std::vector<S>& logits,
            const std::vector<int32_t>& target, int64_t t, int64_t v, float inv_temperature) {
  for (std::vector<S>* out : {logp, lse, entropy}) out->resize(static_cast<size_t>(t));
  for (int64_t row = 0; row < t; ++row) {
    const size_t r = static_cast<size_t>(row);
    ref::LogProb(&(*logp)[r], &(*lse)[r], &(*entropy)[r], logits.data() + row * v, target[r], v, inv_temperature);
  }
}
std::vector<int32_t> Targets(int64_t t, int64_t v) {
  std::vector<int32_t> target;
  for (int64_t row = 0; row < t; ++row) target.push_back(static_cast<int32_t>(row == 0 ? v - 1 : row * 37 % v));
  return target;
}

TEST_F(LogProbTest, ForwardAndBackwardAreTheDefinitionBitForBit) {
  for (int64_t v : {1, 2, 15, 16, 17, 33, 64, 65, 130, 640}) {
    for (int64_t t : {0, 1, 4}) {
      for (float inv_temperature : {1.0f, 0.6f, 2.5f}) {
        const Floats logits = RandomFloats(t * v, 1, 5.0), g = RandomFloats(t, 2);
        Floats h = RandomFloats(t, 3, 0.1);
        const std::vector<int32_t> target = Targets(t, v);
        Outputs want;
        Define(&want.logp, &want.lse, &want.entropy, logits, target, t, v, inv_temperature);
        const int64_t padded = RoundUp(v, 32);
        for (bool with_entropy : {false, true}) {
          Floats d(static_cast<size_t>(t * padded));
          for (int64_t row = 0; row < t; ++row) {
            const size_t r = static_cast<size_t>(row);
            ref::LogProbBackward(d.data() + row * padded, logits.data() + row * v, target[r], want.lse[r], g[r],
                                 want.entropy[r], with_entropy ? h[r] : 0.0f, v, inv_temperature);
          }
          for (const KernelTable* table : AllTables()) {
            const std::string what = std::string(table->isa) + " T=" + std::to_string(t) + " V=" + std::to_string(v);
            Rows<float> rows(t, v, v + 3, logits), logp(1, t, t + 1), lse(1, t, t + 1), entropy(1, t, t + 1),
                lse_alone(1, t, t + 1);
            table->logprob(logp.data(), lse.data(), entropy.data(), rows.data(), rows.ld(), target.data(), t, v,
                           inv_temperature);
            table->logprob(nullptr, lse_alone.data(), nullptr, rows.data(), rows.ld(), nullptr, t, v, inv_temperature);
            ExpectBits(what + " logp", logp.Packed(), want.logp);
            ExpectBits(what + " lse", lse.Packed(), want.lse);
            ExpectBits(what + " lse alone", lse_alone.Packed(), want.lse);
            ExpectBits(what + " entropy", entropy.Packed(), want.entropy);
            Rows<Bf16> ds(t, padded, padded + 32);
            table->logprob_backward(ds.data(), ds.ld(), rows.data(), rows.ld(), target.data(), lse.data(), g.data(),
                                    with_entropy ? entropy.data() : nullptr, with_entropy ? h.data() : nullptr, t, v,
                                    inv_temperature);
            ExpectBits(what + " dlogits", ds.Packed(), RoundAll(d));
            ds.ExpectUntouched(what);
          }
        }
      }
    }
  }
}

TEST_F(LogProbTest, FloatIsNearDouble) {
  const int64_t t = 8, v = 640;
  const Floats logits = RandomFloats(t * v, 1, 5.0);
  const std::vector<int32_t> target = Targets(t, v);
  Outputs got;
  Doubles logp, lse, entropy;
  Define(&got.logp, &got.lse, &got.entropy, logits, target, t, v, 0.7f);
  Define(&logp, &lse, &entropy, Cast<double>(logits), target, t, v, 0.7f);
  ExpectClose("logp", got.logp, logp, 0, 3e-6);
  ExpectClose("lse", got.lse, lse, 0, 3e-6);
  ExpectClose("entropy", got.entropy, entropy, 0, 3e-6);
}

TEST_F(LogProbTest, GradientIsTheComplexStep) {
  const int64_t v = 23;
  const Doubles logits = Cast<double>(RandomFloats(v, 1, 2.0));
  for (float inv_temperature : {1.0f, 0.6f}) {
    for (double g : {0.0, 1.7}) {
      for (double h : {0.0, -0.4}) {
        const auto objective = [&](const std::vector<Complex>& z) {
          Complex logp, lse, entropy;
          ref::LogProb(&logp, &lse, &entropy, z.data(), 5, v, inv_temperature);
          return g * logp + h * entropy;
        };
        double logp = 0, lse = 0, entropy = 0;
        Doubles d(logits.size());
        ref::LogProb(&logp, &lse, &entropy, logits.data(), 5, v, inv_temperature);
        ref::LogProbBackward(d.data(), logits.data(), 5, lse, g, entropy, h, v, inv_temperature);
        ExpectClose("dlogits", d, ComplexGradient(objective, logits), 1e-13, 1e-15);
      }
    }
  }
}

TEST_F(LogProbTest, ExtremeLogits) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelTable* table : AllTables()) {
    const auto run = [&](Floats logits, int32_t target) {
      Floats out(3);
      table->logprob(&out[0], &out[1], &out[2], logits.data(), static_cast<int64_t>(logits.size()), &target, 1,
                     static_cast<int64_t>(logits.size()), 1.0f);
      return out;
    };
    Floats far(40, -1e30f);  // one certain token, the others out of reach
    far[3] = 1e30f;
    EXPECT_EQ(run(far, 3), (Floats{0.0f, 1e30f, 0.0f})) << table->isa;
    EXPECT_EQ(run(far, 4)[0], -2e30f) << table->isa;
    Floats masked(40, -infinity);  // masked tokens count for nothing, in the entropy too
    masked[0] = masked[39] = 5.0f;
    const Floats two = run(masked, 39);
    EXPECT_FLOAT_EQ(two[0], -std::log(2.0f)) << table->isa;
    EXPECT_FLOAT_EQ(two[2], std::log(2.0f)) << table->isa;
    EXPECT_EQ(run(masked, 1)[0], -infinity) << table->isa;
    const Floats same = run(Floats(640, 88.0f), 17);  // uniform
    EXPECT_FLOAT_EQ(same[0], -std::log(640.0f)) << table->isa;
    EXPECT_FLOAT_EQ(same[2], std::log(640.0f)) << table->isa;
    for (size_t bad : {0u, 20u, 39u}) {  // a broken row says so, wherever the break is
      Floats broken(40, 1.0f);
      broken[bad] = nan;
      EXPECT_TRUE(std::isnan(run(broken, 1)[1])) << table->isa;
      broken[bad] = infinity;
      EXPECT_TRUE(std::isnan(run(broken, 1)[1])) << table->isa;
    }
    const float certain = run(Floats{30.0f, 0.0f},
                              0)[0];  // log(1 / (1 + e^-30)) is below a float's step at 1, but not lost to it at 30
    EXPECT_LE(certain, 0.0f);
    EXPECT_GT(certain, -1e-6f);
  }
}

TEST_F(LogProbTest, GradientOfAMaskedTokenIsZeroAndRowsSumToZero) {
  const int64_t t = 3, v = 50;
  const Floats logits = RandomFloats(t * v, 1, 3.0), lse_dummy = {0, 0, 0};
  const std::vector<int32_t> target = {1, -1, 49};
  const Floats g = {2.0f, 0.0f, -1.0f};
  for (const KernelTable* table : AllTables()) {
    Floats lse(3);
    table->logprob(nullptr, lse.data(), nullptr, logits.data(), v, nullptr, t, v, 1.0f);
    Rows<Bf16> d(t, 64, 64);
    table->logprob_backward(d.data(), 64, logits.data(), v, target.data(), lse.data(), g.data(), nullptr, nullptr, t, v,
                            1.0f);
    for (int64_t row = 0; row < t; ++row) {
      double sum = 0, size = 0;
      for (int64_t i = 0; i < v; ++i) {
        sum += static_cast<double>(ToFloat(d(row, i)));
        size += std::fabs(static_cast<double>(ToFloat(d(row, i))));
      }
      EXPECT_NEAR(sum, 0, 4e-3 * size) << table->isa;
      EXPECT_EQ(size == 0, row == 1) << table->isa;
    }
    EXPECT_GT(ToFloat(d(0, 1)), 0.0f);
    EXPECT_LT(ToFloat(d(2, 49)), 0.0f);
  }
}

// Masked tokens (logit -infinity) have no gradient, and leave the others' alone.
TEST_F(LogProbTest, MaskedTokensHaveNoGradient) {
  const int64_t v = 40;
  Floats logits = RandomFloats(v, 1, 2.0);
  const std::vector<size_t> masked = {0, 17, 39};
  for (size_t i : masked) logits[i] = -std::numeric_limits<float>::infinity();
  Floats kept;
  for (float x : logits) {
    if (std::isfinite(x)) kept.push_back(x);
  }
  const Floats g = {0.7f}, h = {0.3f};
  const int32_t target = 1, target_kept = 0;
  double logp = 0, lse_kept = 0, entropy_kept = 0;
  Doubles want(kept.size());
  const Doubles kept_d = Cast<double>(kept);
  ref::LogProb(&logp, &lse_kept, &entropy_kept, kept_d.data(), target_kept, static_cast<int64_t>(kept.size()), 1.0f);
  ref::LogProbBackward<double>(want.data(), kept_d.data(), target_kept, lse_kept, g[0], entropy_kept, h[0],
                               static_cast<int64_t>(kept.size()), 1.0f);
  for (const KernelTable* table : AllTables()) {
    Floats lse(1), entropy(1);
    table->logprob(nullptr, lse.data(), entropy.data(), logits.data(), v, nullptr, 1, v, 1.0f);
    Rows<Bf16> d(1, 64, 64);
    table->logprob_backward(d.data(), 64, logits.data(), v, &target, lse.data(), g.data(), entropy.data(), h.data(), 1,
                            v, 1.0f);
    Floats got = WidenAll(d.Packed());
    for (size_t i : masked) EXPECT_EQ(got[i], 0.0f) << table->isa;
    got.resize(static_cast<size_t>(v));
    for (auto i = masked.rbegin(); i != masked.rend(); ++i) got.erase(got.begin() + static_cast<std::ptrdiff_t>(*i));
    ExpectClose(table->isa, got, want, 4e-3);
  }
}

// The sampler looks at one row, the trainer at many: the same bits.
TEST_F(LogProbTest, ARowDoesNotKnowItsNeighbours) {
  const int64_t t = 9, v = 77;
  const Floats logits = RandomFloats(t * v, 1, 5.0);
  const std::vector<int32_t> target = Targets(t, v);
  for (const KernelTable* table : AllTables()) {
    Floats together(t), alone(t);
    table->logprob(together.data(), nullptr, nullptr, logits.data(), v, target.data(), t, v, 0.9f);
    for (int64_t row = 0; row < t; ++row) {
      Floats entropy(1);  // asking for more must not change it either
      table->logprob(&alone[static_cast<size_t>(row)], nullptr, entropy.data(), logits.data() + row * v, v,
                     &target[static_cast<size_t>(row)], 1, v, 0.9f);
    }
    ExpectBits(table->isa, alone, together);
  }
}

using SoftmaxTest = OpTest;

TEST_F(SoftmaxTest, IsTheDefinitionBitForBitAndNearDouble) {
  for (int64_t v : {1, 2, 15, 16, 17, 64, 100, 640}) {
    for (float inv_temperature : {1.0f, 0.6f, 100.0f}) {
      const Floats logits = RandomFloats(v, 1, 5.0);
      Floats want(logits.size());
      ref::SoftmaxRow(want.data(), logits.data(), v, inv_temperature);
      Doubles exact(logits.size());
      ref::SoftmaxRow(exact.data(), Cast<double>(logits).data(), v, inv_temperature);
      ExpectClose("prob", want, exact, 2e-5);
      for (const KernelTable* table : AllTables()) {
        Rows<float> prob(1, v, v + 1);
        table->softmax_row(prob.data(), logits.data(), v, inv_temperature);
        ExpectBits(std::string(table->isa) + " V=" + std::to_string(v), prob.Packed(), want);
        prob.ExpectUntouched(table->isa);
      }
    }
  }
}

TEST_F(SoftmaxTest, AgreesWithLogProb) {
  const int64_t v = 640;
  const Floats logits = RandomFloats(v, 1, 3.0);
  const Floats prob = [&] {
    Floats p(logits.size());
    Kernels().softmax_row(p.data(), logits.data(), v, 1.0f);
    return p;
  }();
  double sum = 0;
  for (int32_t i = 0; i < v; ++i) {
    float logp = 0;
    Kernels().logprob(&logp, nullptr, nullptr, logits.data(), v, &i, 1, v, 1.0f);
    EXPECT_NEAR(std::log(prob[static_cast<size_t>(i)]), logp, 2e-6);
    sum += static_cast<double>(prob[static_cast<size_t>(i)]);
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

}  // namespace
}  // namespace r1::kernels
