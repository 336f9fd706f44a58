// Routing, balance loss and expert rows: bits against the definitions on every table, the choice
// against the published order written naively, gradients by complex step with the choice held
// fixed.
#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "kernels/op_test_util.h"
#include "kernels/ref/moe.h"

namespace r1::kernels {
namespace {

using Ints = std::vector<int32_t>;
using MoeTest = OpTest;
using RouteTest = OpTest;

const RouteConfig kConfigs[] = {
    {.experts = 8, .top_k = 2, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 2.5f},
    {.experts = 1, .top_k = 1, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 1.0f},
    {.experts = 16, .top_k = 4, .groups = 4, .topk_group = 2, .softmax = false, .normalize = true, .scale = 1.0f},
    {.experts = 24, .top_k = 3, .groups = 8, .topk_group = 2, .softmax = false, .normalize = false, .scale = 2.0f},
    {.experts = 12, .top_k = 4, .groups = 12, .topk_group = 5, .softmax = false, .normalize = true, .scale = 1.0f},
    {.experts = 64, .top_k = 6, .groups = 1, .topk_group = 1, .softmax = true, .normalize = false, .scale = 16.0f},
    {.experts = 40, .top_k = 6, .groups = 8, .topk_group = 3, .softmax = true, .normalize = true, .scale = 1.0f},
    {.experts = 256, .top_k = 8, .groups = 8, .topk_group = 4, .softmax = false, .normalize = true, .scale = 2.5f},
    {.experts = 5, .top_k = 5, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 1.0f},
};

std::string Name(const KernelTable* table, const RouteConfig& c) {
  return std::string(table->isa) + " E=" + std::to_string(c.experts) + " K=" + std::to_string(c.top_k) +
         " G=" + std::to_string(c.groups) + (c.softmax ? " softmax" : " sigmoid");
}

struct Routed {
  Floats score, weight;
  Ints expert;
};
Routed Define(const Floats& logits, const Floats& bias, int64_t t, const RouteConfig& c) {
  Routed out{Floats(static_cast<size_t>(t * c.experts)), Floats(static_cast<size_t>(t * c.top_k)),
             Ints(static_cast<size_t>(t * c.top_k))};
  for (int64_t row = 0; row < t; ++row) {
    float* score = out.score.data() + row * c.experts;
    ref::RouteScores(score, logits.data() + row * c.experts, c);
    ref::RouteChoose(out.expert.data() + row * c.top_k, score, bias.data(), c);
    ref::RouteWeights(out.weight.data() + row * c.top_k, score, out.expert.data() + row * c.top_k, c);
  }
  return out;
}
Routed RunRoute(const KernelTable* table, const Floats& logits, const Floats& bias, int64_t t, const RouteConfig& c) {
  Rows<float> score(1, t * c.experts, t * c.experts + 1), weight(1, t * c.top_k, t * c.top_k + 1);
  Rows<int32_t> expert(1, t * c.top_k, t * c.top_k + 1);
  table->route(score.data(), expert.data(), weight.data(), logits.data(), bias.data(), t, c);
  score.ExpectUntouched(Name(table, c));
  weight.ExpectUntouched(Name(table, c));
  expert.ExpectUntouched(Name(table, c));
  return {score.Packed(), weight.Packed(), expert.Packed()};
}

// Steps 3 to 7 of the published order with whole sorts, in the words of the paper; ties to the
// lower index. Returned in order of choice.
Ints Published(const float* score, const float* bias, const RouteConfig& c) {
  Floats choice(score, score + c.experts);
  if (!c.softmax) {
    for (size_t i = 0; i < choice.size(); ++i) choice[i] += bias[i];
  }
  const auto descending = [](const Floats& x) {
    Ints order(x.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return x[static_cast<size_t>(a)] > x[static_cast<size_t>(b)]; });
    return order;
  };
  const size_t size = choice.size() / static_cast<size_t>(c.groups);
  Floats group_score;
  for (size_t group = 0; group < static_cast<size_t>(c.groups); ++group) {
    Floats members(choice.begin() + static_cast<std::ptrdiff_t>(group * size),
                   choice.begin() + static_cast<std::ptrdiff_t>((group + 1) * size));
    std::sort(members.rbegin(), members.rend());
    group_score.push_back(c.softmax || size == 1 ? members[0] : members[0] + members[1]);
  }
  const Ints group_order = descending(group_score);
  for (size_t rank = static_cast<size_t>(c.groups > 1 ? c.topk_group : 1); rank < group_order.size(); ++rank) {
    const size_t begin = static_cast<size_t>(group_order[rank]) * size;
    for (size_t i = begin; i < begin + size; ++i) choice[i] = -std::numeric_limits<float>::infinity();
  }
  Ints order = descending(choice);
  order.resize(static_cast<size_t>(c.top_k));
  return order;
}

TEST_F(RouteTest, IsTheDefinitionBitForBitAndThePublishedChoice) {
  for (const RouteConfig& c : kConfigs) {
    for (int64_t t : {0, 1, 50}) {
      for (double shift : {0.0, -3.0}) {  // with -3 every biased score is negative
        const Floats logits = RandomFloats(t * c.experts, 1, 2.0);
        Floats bias = RandomFloats(c.experts, 2, 0.3);
        for (float& b : bias) b += static_cast<float>(shift);
        const Routed want = Define(logits, bias, t, c);
        for (int64_t row = 0; row < t; ++row) {
          Ints published = Published(want.score.data() + row * c.experts, bias.data(), c);
          std::sort(published.begin(), published.end());
          const Ints chosen(want.expert.begin() + row * c.top_k, want.expert.begin() + (row + 1) * c.top_k);
          ASSERT_EQ(chosen, published) << "row " << row << " E=" << c.experts;
        }
        for (const KernelTable* table : AllTables()) {
          const Routed got = RunRoute(table, logits, bias, t, c);
          ExpectBits(Name(table, c) + " score", got.score, want.score);
          EXPECT_EQ(got.expert, want.expert) << Name(table, c);
          ExpectBits(Name(table, c) + " weight", got.weight, want.weight);
        }
      }
    }
  }
}

// Values on a coarse grid, so that most rows have ties between experts and between groups.
TEST_F(RouteTest, TiesGoToTheLowerIndex) {
  for (const RouteConfig& c : kConfigs) {
    const int64_t t = 60;
    Floats logits = RandomFloats(t * c.experts, 3, 1.0), bias(static_cast<size_t>(c.experts), 0.25f);
    for (float& x : logits) x = std::round(x);
    for (int64_t i = 0; i < c.experts; ++i) logits[static_cast<size_t>(i)] = 0.5f;  // row 0: all equal
    const Routed want = Define(logits, bias, t, c);
    for (int64_t row = 0; row < t; ++row) {
      Ints published = Published(want.score.data() + row * c.experts, bias.data(), c);
      std::sort(published.begin(), published.end());
      ASSERT_EQ(Ints(want.expert.begin() + row * c.top_k, want.expert.begin() + (row + 1) * c.top_k), published)
          << "row " << row;
    }
    for (const KernelTable* table : AllTables()) {
      const Routed got = RunRoute(table, logits, bias, t, c);
      EXPECT_EQ(got.expert, want.expert) << Name(table, c);
      for (int64_t k = 0; k < c.top_k; ++k)
        EXPECT_EQ(got.expert[static_cast<size_t>(k)], k) << Name(table, c) << ", all equal";
    }
  }
}

TEST_F(RouteTest, BiasPicksAndScoreWeighs) {
  const RouteConfig c = {
      .experts = 4, .top_k = 2, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 2.5f};
  const Floats logits = {2.0f, 1.0f, 0.0f, -1.0f}, bias = {0.0f, 0.0f, 0.0f, 10.0f};
  for (const KernelTable* table : AllTables()) {
    const Routed got = RunRoute(table, logits, bias, 1, c);
    EXPECT_EQ(got.expert, (Ints{0, 3})) << table->isa;
    const double s0 = 1 / (1 + std::exp(-2.0)), s3 = 1 / (1 + std::exp(1.0));
    EXPECT_NEAR(got.weight[0], 2.5 * s0 / (s0 + s3), 1e-6) << table->isa;
    EXPECT_NEAR(got.weight[1], 2.5 * s3 / (s0 + s3), 1e-6) << table->isa;
  }
}

// A broken row must still name K different experts of the layer: they are used as indices.
TEST_F(RouteTest, BrokenLogitsStillChooseDifferentExperts) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const RouteConfig& c : kConfigs) {
    for (float value : bad) {
      for (bool all : {true, false}) {
        Floats logits(static_cast<size_t>(c.experts), value);
        if (!all) logits.back() = 0.0f;
        const Floats bias(logits.size(), 0.0f);
        for (const KernelTable* table : AllTables()) {
          const Routed got = RunRoute(table, logits, bias, 1, c);
          const std::set<int32_t> distinct(got.expert.begin(), got.expert.end());
          EXPECT_EQ(distinct.size(), static_cast<size_t>(c.top_k)) << Name(table, c);
          EXPECT_GE(*distinct.begin(), 0) << Name(table, c);
          EXPECT_LT(*distinct.rbegin(), c.experts) << Name(table, c);
        }
      }
    }
  }
}

TEST_F(RouteTest, BackwardIsTheDefinitionBitForBit) {
  for (const RouteConfig& c : kConfigs) {
    for (int64_t t : {0, 1, 9}) {
      const Floats logits = RandomFloats(t * c.experts, 1, 2.0), bias = RandomFloats(c.experts, 2, 0.3);
      const Floats dweight = RandomFloats(t * c.top_k, 3), extra = RandomFloats(t * c.experts, 4, 0.1);
      const Routed routed = Define(logits, bias, t, c);
      for (bool with_extra : {false, true}) {
        Floats want(logits.size());
        for (int64_t row = 0; row < t; ++row) {
          ref::RouteBackward<float>(want.data() + row * c.experts, dweight.data() + row * c.top_k,
                                    with_extra ? extra.data() + row * c.experts : nullptr,
                                    routed.score.data() + row * c.experts, routed.expert.data() + row * c.top_k,
                                    routed.weight.data() + row * c.top_k, c);
        }
        for (const KernelTable* table : AllTables()) {
          Rows<float> dlogits(1, t * c.experts, t * c.experts + 1);
          table->route_backward(dlogits.data(), dweight.data(), with_extra ? extra.data() : nullptr,
                                routed.score.data(), routed.expert.data(), routed.weight.data(), t, c);
          ExpectBits(Name(table, c), dlogits.Packed(), want);
          dlogits.ExpectUntouched(Name(table, c));
        }
      }
    }
  }
}

TEST_F(RouteTest, GradientIsTheComplexStepWithTheChoiceFixed) {
  for (const RouteConfig& c : kConfigs) {
    if (c.experts > 64) continue;
    const Floats logits_f = RandomFloats(c.experts, 1, 2.0), bias = RandomFloats(c.experts, 2, 0.3);
    const Ints expert = Define(logits_f, bias, 1, c).expert;
    const Doubles logits = Cast<double>(logits_f), dweight = Cast<double>(RandomFloats(c.top_k, 3)),
                  extra = Cast<double>(RandomFloats(c.experts, 4));
    const auto objective = [&](const std::vector<Complex>& z) {
      std::vector<Complex> score(z.size()), weight(dweight.size());
      ref::RouteScores(score.data(), z.data(), c);
      ref::RouteWeights(weight.data(), score.data(), expert.data(), c);
      Complex sum = 0;
      for (size_t k = 0; k < weight.size(); ++k) sum += dweight[k] * weight[k];
      for (size_t i = 0; i < score.size(); ++i) sum += extra[i] * score[i];
      return sum;
    };
    Doubles score(logits.size()), weight(dweight.size()), dlogits(logits.size());
    ref::RouteScores(score.data(), logits.data(), c);
    ref::RouteWeights(weight.data(), score.data(), expert.data(), c);
    ref::RouteBackward(dlogits.data(), dweight.data(), extra.data(), score.data(), expert.data(), weight.data(), c);
    ExpectClose("E=" + std::to_string(c.experts), dlogits, ComplexGradient(objective, logits), 1e-13, 1e-15);
  }
}

TEST_F(RouteTest, FloatIsNearDouble) {
  for (const RouteConfig& c : kConfigs) {
    const Floats logits = RandomFloats(c.experts, 1, 2.0), bias = RandomFloats(c.experts, 2, 0.3),
                 dweight = RandomFloats(c.top_k, 3);
    const Routed routed = Define(logits, bias, 1, c);
    Doubles score(logits.size()), weight(dweight.size()), exact(logits.size());
    Floats dlogits(logits.size());
    ref::RouteScores(score.data(), Cast<double>(logits).data(), c);
    ref::RouteWeights(weight.data(), score.data(), routed.expert.data(), c);
    ref::RouteBackward<double>(exact.data(), Cast<double>(dweight).data(), nullptr, score.data(), routed.expert.data(),
                               weight.data(), c);
    ref::RouteBackward<float>(dlogits.data(), dweight.data(), nullptr, routed.score.data(), routed.expert.data(),
                              routed.weight.data(), c);
    ExpectClose("score", routed.score, score, 1e-6);
    ExpectClose("weight", routed.weight, weight, 1e-6);
    ExpectClose("dlogits", dlogits, exact, 2e-6, 1e-7);
  }
}

TEST_F(RouteTest, BalanceLossIsTheDefinitionBitForBitAndItsGradientTheComplexStep) {
  for (const RouteConfig& c : kConfigs) {
    for (int64_t t : {0, 1, 7}) {
      const Floats logits = RandomFloats(t * c.experts, 1, 2.0), bias = RandomFloats(c.experts, 2, 0.3);
      const Routed routed = Define(logits, bias, t, c);
      Floats dscore(logits.size());
      float loss = -1;
      ref::BalanceLoss(&loss, dscore.data(), routed.score.data(), routed.expert.data(), t, c, 1e-2f);
      for (const KernelTable* table : AllTables()) {
        Rows<float> got(1, t * c.experts, t * c.experts + 1);
        float got_loss = -1;
        table->balance_loss(&got_loss, got.data(), routed.score.data(), routed.expert.data(), t, c, 1e-2f);
        EXPECT_EQ(got_loss, loss) << Name(table, c);
        ExpectBits(Name(table, c), got.Packed(), dscore);
        got.ExpectUntouched(Name(table, c));
      }
      if (c.experts > 64) continue;
      const auto objective = [&](const std::vector<Complex>& z) {
        Complex value;
        std::vector<Complex> unused(z.size());
        ref::BalanceLoss(&value, unused.data(), z.data(), routed.expert.data(), t, c, 1e-2f);
        return value;
      };
      const Doubles score = Cast<double>(routed.score);
      Doubles exact(score.size());
      double exact_loss = 0;
      ref::BalanceLoss(&exact_loss, exact.data(), score.data(), routed.expert.data(), t, c, 1e-2f);
      ExpectClose("gradient", exact, ComplexGradient(objective, score), 1e-13, 1e-16);
      EXPECT_NEAR(loss, exact_loss, 1e-6 * exact_loss);
      ExpectClose("float", dscore, exact, 1e-6, 1e-9);
    }
  }
}

// Even use of the experts costs alpha; everything on one expert costs more.
TEST_F(RouteTest, BalanceLossIsAlphaWhenEvenAndLargerWhenNot) {
  const RouteConfig c = {
      .experts = 4, .top_k = 1, .groups = 1, .topk_group = 1, .softmax = false, .normalize = true, .scale = 1.0f};
  const Floats even(16, 0.5f);
  Floats one = even, dscore(16);
  for (size_t i = 0; i < 16; i += 4) one[i] = 0.9f;
  for (const KernelTable* table : AllTables()) {
    float loss = 0;
    table->balance_loss(&loss, dscore.data(), even.data(), Ints{0, 1, 2, 3}.data(), 4, c, 0.5f);
    EXPECT_FLOAT_EQ(loss, 0.5f) << table->isa;
    table->balance_loss(&loss, dscore.data(), one.data(), Ints{0, 0, 0, 0}.data(), 4, c, 0.5f);
    EXPECT_FLOAT_EQ(loss, 0.5f * 4 * 0.9f / 2.4f) << table->isa;
    EXPECT_GT(dscore[0], 0.0f) << table->isa;
    EXPECT_LT(dscore[1], 0.0f) << table->isa;
  }
}

TEST_F(MoeTest, RouterProductAndItsBackwardAreTheDefinitionBitForBit) {
  for (int64_t d : {1, 16, 33, 128, 200, 300}) {
    for (int64_t e : {1, 8, 16, 20, 64}) {
      for (int64_t t : {0, 1, 7, 8, 9, 20}) {
        const std::vector<Bf16> x = RoundAll(RandomFloats(t * d, 1));
        const Floats xf = WidenAll(x), gate = RandomFloats(e * d, 2, 0.1), dx0 = RandomFloats(t * d, 3),
                     dgate0 = RandomFloats(e * d, 4);
        Floats dlogits = RandomFloats(t * e, 5), logits(static_cast<size_t>(t * e)), dx = dx0, dgate = dgate0;
        for (size_t i = 0; i < dlogits.size(); i += 3) dlogits[i] = 0;
        ref::RouterLogits(logits.data(), xf.data(), d, gate.data(), t, e, d);
        ref::RouterBackward(dx.data(), d, dgate.data(), dlogits.data(), xf.data(), d, gate.data(), t, e, d);
        for (const KernelTable* table : AllTables()) {
          const std::string what = std::string(table->isa) + " T=" + std::to_string(t) + " E=" + std::to_string(e) +
                                   " D=" + std::to_string(d);
          Rows<Bf16> xs(t, d, d + 3, x);
          Rows<float> got(1, t * e, t * e + 1), dxs(t, d, d + 1, dx0), dgates(1, e * d, e * d + 1, dgate0);
          table->router_logits(got.data(), xs.data(), xs.ld(), gate.data(), t, e, d);
          ExpectBits(what + " logits", got.Packed(), logits);
          got.ExpectUntouched(what);
          table->router_backward(dxs.data(), dxs.ld(), dgates.data(), dlogits.data(), xs.data(), xs.ld(), gate.data(),
                                 t, e, d);
          ExpectBits(what + " dx", dxs.Packed(), dx);
          ExpectBits(what + " dgate", dgates.Packed(), dgate);
          dxs.ExpectUntouched(what);
          dgates.ExpectUntouched(what);
        }
      }
    }
  }
}

TEST_F(MoeTest, RouterGradientIsTheComplexStep) {
  const int64_t t = 2, e = 3, d = 5;
  const Doubles x = Cast<double>(RandomFloats(t * d, 1)), gate = Cast<double>(RandomFloats(e * d, 2)),
                g = Cast<double>(RandomFloats(t * e, 3));
  const auto loss = [&](const std::vector<Complex>& xs, const std::vector<Complex>& gates) {
    std::vector<Complex> logits(g.size());
    ref::RouterLogits(logits.data(), xs.data(), d, gates.data(), t, e, d);
    Complex sum = 0;
    for (size_t i = 0; i < g.size(); ++i) sum += g[i] * logits[i];
    return sum;
  };
  Doubles dx(x.size()), dgate(gate.size());
  ref::RouterBackward(dx.data(), d, dgate.data(), g.data(), x.data(), d, gate.data(), t, e, d);
  ExpectClose("dx", dx, ComplexGradient([&](const auto& z) { return loss(z, Cast<Complex>(gate)); }, x), 1e-14);
  ExpectClose("dgate", dgate, ComplexGradient([&](const auto& z) { return loss(Cast<Complex>(x), z); }, gate), 1e-14);
}

// Slots as a sort by expert would give them: every (token, k) has its own row.
Ints Slots(int64_t t, int64_t k) {
  Ints slot(static_cast<size_t>(t * k));
  std::iota(slot.begin(), slot.end(), 0);
  std::reverse(slot.begin(), slot.end());
  for (size_t i = 0; i + 3 < slot.size(); i += 3) std::swap(slot[i], slot[i + 3]);
  return slot;
}

TEST_F(MoeTest, MovingRowsIsTheDefinitionBitForBit) {
  for (int64_t d : {1, 16, 17, 31, 64, 80, 128, 200}) {
    for (int64_t t : {0, 1, 5}) {
      for (int64_t k : {1, 2, 3}) {
        const Ints slot = Slots(t, k);
        const Floats rows = RandomFloats(t * k * d, 1), weight = RandomFloats(t * k, 2), base = RandomFloats(t * d, 3),
                     dy = RandomFloats(t * d, 4);
        const int64_t padded = RoundUp(d, 32);
        Floats y(base.size()), y_base(base.size()), dx = base, dweight(weight.size()),
                                                    drows(static_cast<size_t>(t * k * padded));
        ref::MoeCombine<float>(y.data(), d, nullptr, 0, rows.data(), d, slot.data(), weight.data(), t, k, d);
        ref::MoeCombine(y_base.data(), d, base.data(), d, rows.data(), d, slot.data(), weight.data(), t, k, d);
        ref::MoeCombineBackward(drows.data(), padded, dweight.data(), dy.data(), d, rows.data(), d, slot.data(),
                                weight.data(), t, k, d);
        ref::MoeScatterAdd(dx.data(), d, rows.data(), d, slot.data(), t, k, d);
        for (const KernelTable* table : AllTables()) {
          const std::string what = std::string(table->isa) + " T=" + std::to_string(t) + " K=" + std::to_string(k) +
                                   " D=" + std::to_string(d);
          Rows<float> in(t * k, d, d + 3, rows), bases(t, d, d + 2, base), dys(t, d, d + 1, dy), out(t, d, d + 4);
          table->moe_combine(out.data(), out.ld(), nullptr, 0, in.data(), in.ld(), slot.data(), weight.data(), t, k, d);
          ExpectBits(what + " y", out.Packed(), y);
          table->moe_combine(out.data(), out.ld(), bases.data(), bases.ld(), in.data(), in.ld(), slot.data(),
                             weight.data(), t, k, d);
          ExpectBits(what + " y + base", out.Packed(), y_base);
          out.ExpectUntouched(what);
          table->moe_combine(bases.data(), bases.ld(), bases.data(), bases.ld(), in.data(), in.ld(), slot.data(),
                             weight.data(), t, k, d);
          ExpectBits(what + " in place", bases.Packed(), y_base);
          Rows<Bf16> drow(t * k, padded, padded + 32);
          Rows<float> dw(1, t * k, t * k + 1), dxs(t, d, d + 2, base);
          table->moe_combine_backward(drow.data(), drow.ld(), dw.data(), dys.data(), dys.ld(), in.data(), in.ld(),
                                      slot.data(), weight.data(), t, k, d);
          ExpectBits(what + " drows", drow.Packed(), RoundAll(drows));
          ExpectBits(what + " dweight", dw.Packed(), dweight);
          drow.ExpectUntouched(what);
          dw.ExpectUntouched(what);
          table->moe_scatter_add(dxs.data(), dxs.ld(), in.data(), in.ld(), slot.data(), t, k, d);
          ExpectBits(what + " dx", dxs.Packed(), dx);
          dxs.ExpectUntouched(what);
        }
      }
    }
  }
}

TEST_F(MoeTest, CombineGradientIsTheComplexStep) {
  const int64_t t = 3, k = 2, d = 7;
  const Ints slot = Slots(t, k);
  const Doubles rows = Cast<double>(RandomFloats(t * k * d, 1)), weight = Cast<double>(RandomFloats(t * k, 2)),
                dy = Cast<double>(RandomFloats(t * d, 3));
  const auto loss = [&](const std::vector<Complex>& r, const std::vector<Complex>& w) {
    std::vector<Complex> y(dy.size());
    ref::MoeCombine<Complex>(y.data(), d, nullptr, 0, r.data(), d, slot.data(), w.data(), t, k, d);
    Complex sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += dy[i] * y[i];
    return sum;
  };
  Doubles drows(rows.size()), dweight(weight.size());
  ref::MoeCombineBackward(drows.data(), d, dweight.data(), dy.data(), d, rows.data(), d, slot.data(), weight.data(), t,
                          k, d);
  ExpectClose("drows", drows, ComplexGradient([&](const auto& z) { return loss(z, Cast<Complex>(weight)); }, rows),
              1e-14);
  ExpectClose("dweight", dweight, ComplexGradient([&](const auto& z) { return loss(Cast<Complex>(rows), z); }, weight),
              1e-14);
}

}  // namespace
}  // namespace r1::kernels
