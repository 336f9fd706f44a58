#include "infer/rollout.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "base/check.h"
#include "base/interrupt.h"
#include "base/kill_point.h"

namespace r1 {

namespace {

struct Sequence {  // one completion being decoded
  size_t request = 0;
  int64_t sample = 0;
  int64_t slot = 0;
  int64_t length = 0;  // tokens whose keys are in the cache
  int32_t next = 0;    // token to feed
};

}  // namespace

struct RolloutEngine::Lane {
  Context ctx;
  std::unique_ptr<KvCache> cache;
  std::vector<int64_t> free_slots;
  std::vector<Sequence> active;
  std::vector<int32_t> token, position;
  std::vector<Segment> segments;
  std::vector<float> logp, entropy, lse;
  std::vector<int32_t> chosen;
};

struct RolloutEngine::Work {
  const std::vector<RolloutRequest>& requests;
  const RolloutOptions& options;
  std::vector<std::vector<Completion>>& results;
  std::atomic<size_t> next_request{0};
  int64_t slots, positions;
};

RolloutEngine::RolloutEngine(const Model& model, ThreadPool& pool) : model_(model), pool_(pool) {
  for (int i = 0; i < pool.threads(); ++i) lanes_.push_back(std::make_unique<Lane>());
}
RolloutEngine::~RolloutEngine() = default;

Result<std::vector<std::vector<Completion>>> RolloutEngine::Run(const std::vector<RolloutRequest>& requests,
                                                                const RolloutOptions& options) {
  const ModelConfig& c = model_.config();
  if (c.num_labels != 0)
    return Error{ErrorCode::kRefused, "this is a reward or value model (num_labels 1): it gives scores, not text"};
  int64_t longest = 0, most = 1;
  for (size_t i = 0; i < requests.size(); ++i) {
    const RolloutRequest& r = requests[i];
    const int64_t n = static_cast<int64_t>(r.prompt.size());
    const std::string which = "prompt " + std::to_string(i);
    if (n == 0) return Error{ErrorCode::kBadInput, which + " is empty"};
    if (n + options.max_new_tokens > c.max_position_embeddings) {
      return Error{ErrorCode::kBadInput,
                   which + " has " + std::to_string(n) + " tokens; with " + std::to_string(options.max_new_tokens) +
                       " new ones it exceeds the model's " + std::to_string(c.max_position_embeddings) +
                       " positions: shorten it or lower the number of new tokens"};
    }
    for (int32_t t : r.prompt) {
      if (t < 0 || t >= c.vocab_size)
        return Error{ErrorCode::kBadInput, which + ": token " + std::to_string(t) + " is outside the vocabulary of " +
                                               std::to_string(c.vocab_size)};
    }
    longest = std::max(longest, n);
    most = std::max(most, r.samples);
  }
  std::vector<std::vector<Completion>> results(requests.size());
  int64_t sequences = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    results[i].resize(static_cast<size_t>(requests[i].samples));
    sequences += requests[i].samples;
  }
  if (sequences == 0 || options.max_new_tokens == 0) return results;
  // A group needs a slot each; the first sample's slot computes the prompt. A group larger than a lane enlarges the
  // lane.
  const int64_t share = (sequences + pool_.threads() - 1) / pool_.threads();
  const int64_t slots = std::max(most, std::min(options.slots_per_lane, share));
  const int64_t positions = kernels::RoundUp(longest + options.max_new_tokens, kernels::kPagePositions);
  Work work{requests, options, results, {}, slots, positions};
  pool_.ParallelFor(pool_.threads(), [&](int64_t i, int) { RunLane(*lanes_[static_cast<size_t>(i)], work); });
  if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted while sampling"};
  return results;
}

void RolloutEngine::RunLane(Lane& lane, Work& work) {
  const RolloutOptions& o = work.options;
  const ModelConfig& c = model_.config();
  const int64_t v = c.vocab_size, limit = o.token_limit > 0 ? o.token_limit : v;
  const float inv_temperature = InverseTemperature(o.sampling);
  Context& ctx = lane.ctx;
  Sampler sampler(o.sampling);
  if (lane.cache == nullptr || lane.cache->slots() < work.slots || lane.cache->positions() < work.positions) {
    lane.cache = std::make_unique<KvCache>(c, work.slots, work.positions);
  }
  lane.active.clear();
  lane.free_slots.clear();
  for (int64_t s = lane.cache->slots(); s-- > 0;) lane.free_slots.push_back(s);

  // Samples a token for each listed sequence from its row of logits; finished ones are marked by slot = -1.
  const auto sample_rows = [&](std::vector<Sequence*>& rows, const float* logits, bool shared_row) {
    const int64_t n = static_cast<int64_t>(rows.size());
    lane.chosen.resize(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      const Sequence& s = *rows[static_cast<size_t>(i)];
      const Completion& done = work.results[s.request][static_cast<size_t>(s.sample)];
      const float u = UniformAt(o.seed, o.stream, o.step, work.requests[s.request].key, static_cast<uint32_t>(s.sample),
                                static_cast<uint32_t>(done.tokens.size()));
      lane.chosen[static_cast<size_t>(i)] = sampler.Sample(*ctx.k, logits + (shared_row ? 0 : i * v), v, limit, u);
    }
    lane.logp.assign(static_cast<size_t>(n), 0.0f);
    lane.lse.resize(static_cast<size_t>(n));
    lane.entropy.assign(static_cast<size_t>(n), 0.0f);
    if (o.want_logp) {
      for (int64_t i = 0; i < (shared_row ? n : 1); ++i) {
        ctx.k->logprob(lane.logp.data() + i, lane.lse.data() + i, lane.entropy.data() + i, logits, v,
                       lane.chosen.data() + i, shared_row ? 1 : n, v, inv_temperature);
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      Sequence& s = *rows[static_cast<size_t>(i)];
      Completion& out = work.results[s.request][static_cast<size_t>(s.sample)];
      const int32_t token = lane.chosen[static_cast<size_t>(i)];
      out.tokens.push_back(token);
      out.logp.push_back(lane.logp[static_cast<size_t>(i)]);
      out.entropy_sum += static_cast<double>(lane.entropy[static_cast<size_t>(i)]);
      s.next = token;
      const bool stop = std::find(o.stop.begin(), o.stop.end(), token) != o.stop.end();
      const bool go_on = !o.on_token || o.on_token(s.request, s.sample, token);
      if (stop) out.finish = FinishReason::kStop;
      if (stop || !go_on || static_cast<int64_t>(out.tokens.size()) >= o.max_new_tokens) {
        lane.free_slots.push_back(s.slot);
        s.slot = -1;
      }
    }
    std::erase_if(lane.active, [](const Sequence& s) { return s.slot < 0; });
  };

  std::vector<Sequence*> rows;
  while (!Interrupted()) {
    // Take in groups while there is room.
    while (true) {
      const size_t i = work.next_request.load();
      if (i >= work.requests.size() || static_cast<int64_t>(lane.free_slots.size()) < work.requests[i].samples) break;
      size_t expected = i;
      if (!work.next_request.compare_exchange_strong(expected, i + 1)) continue;
      const RolloutRequest& request = work.requests[i];
      if (request.samples == 0) continue;
      const int64_t n = static_cast<int64_t>(request.prompt.size());
      const size_t first = lane.active.size();
      for (int64_t s = 0; s < request.samples; ++s) {
        lane.active.push_back({i, s, lane.free_slots.back(), n, 0});
        lane.free_slots.pop_back();
      }
      lane.position.resize(static_cast<size_t>(n));
      for (int64_t p = 0; p < n; ++p) lane.position[static_cast<size_t>(p)] = static_cast<int32_t>(p);
      const Segment segment{0, n, 0, lane.active[first].slot};
      ctx.Reset();
      const Var* h = model_.Forward(ctx, {request.prompt.data(), lane.position.data(), n, {&segment, 1}},
                                    lane.cache.get(), nullptr);
      for (size_t s = first + 1; s < lane.active.size(); ++s) lane.cache->Copy(segment.slot, lane.active[s].slot, n);
      const int32_t last = static_cast<int32_t>(n - 1);
      const float* logits = HeadLogits(ctx, h, model_.head(), &last, 1);
      rows.clear();
      for (size_t s = first; s < lane.active.size(); ++s) rows.push_back(&lane.active[s]);
      sample_rows(rows, logits, true);
    }
    if (lane.active.empty()) {
      if (work.next_request.load() >= work.requests.size()) break;
      continue;
    }
    KillPoint("rollout.decode");
    lane.token.clear();
    lane.position.clear();
    lane.segments.clear();
    rows.clear();
    for (Sequence& s : lane.active) {
      lane.segments.push_back({static_cast<int64_t>(lane.token.size()), 1, s.length, s.slot});
      lane.token.push_back(s.next);
      lane.position.push_back(static_cast<int32_t>(s.length));
      ++s.length;
      rows.push_back(&s);
    }
    ctx.Reset();
    const int64_t t = static_cast<int64_t>(lane.token.size());
    const Var* h =
        model_.Forward(ctx, {lane.token.data(), lane.position.data(), t, lane.segments}, lane.cache.get(), nullptr);
    sample_rows(rows, HeadLogits(ctx, h, model_.head(), nullptr, t), false);
  }
}

std::vector<std::vector<float>> NextTokenProbabilities(const Model& model, ThreadPool& pool,
                                                       const std::vector<std::vector<int32_t>>& texts,
                                                       const std::vector<std::vector<int32_t>>& candidates) {
  R1_CHECK(texts.size() == candidates.size(), "one list of candidates per text");
  std::vector<std::vector<float>> out(texts.size());
  std::vector<std::unique_ptr<Context>> contexts;
  for (int i = 0; i < pool.threads(); ++i) contexts.push_back(std::make_unique<Context>());
  const int64_t v = model.config().vocab_size;
  pool.ParallelFor(static_cast<int64_t>(texts.size()), [&](int64_t i, int lane) {
    Context& ctx = *contexts[static_cast<size_t>(lane)];
    ctx.Reset();
    const std::vector<int32_t>& text = texts[static_cast<size_t>(i)];
    const int64_t n = static_cast<int64_t>(text.size());
    int32_t* position = ctx.arena.Array<int32_t>(n);
    for (int64_t p = 0; p < n; ++p) position[p] = static_cast<int32_t>(p);
    const Segment segment{0, n, 0, 0};
    const Var* h = model.Forward(ctx, {text.data(), position, n, {&segment, 1}}, nullptr, nullptr);
    const int32_t last = static_cast<int32_t>(n - 1);
    float* prob = ctx.arena.Array<float>(v);
    ctx.k->softmax_row(prob, HeadLogits(ctx, h, model.head(), &last, 1), v, 1.0f);
    for (int32_t token : candidates[static_cast<size_t>(i)]) out[static_cast<size_t>(i)].push_back(prob[token]);
  });
  return out;
}

}  // namespace r1
