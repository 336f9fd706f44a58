#include "infer/score.h"

#include <memory>
#include <utility>

#include "base/check.h"

namespace r1 {

namespace {

constexpr int64_t kBatchTokens = 1024;  // of one forward pass

// Texts [from, to) side by side in one forward pass.
void ScoreBatch(const Model& model, Context& ctx, const std::vector<std::vector<int32_t>>& texts,
                const std::vector<int64_t>& first, size_t from, size_t to, std::vector<std::vector<float>>& out) {
  std::vector<int32_t> token, position, row;
  std::vector<Segment> segments;
  for (size_t i = from; i < to; ++i) {
    const int64_t start = static_cast<int64_t>(token.size()), n = static_cast<int64_t>(texts[i].size());
    R1_CHECK(first[i] >= 0 && first[i] < n, "score: no such token in the text");
    segments.push_back({start, n, 0, 0});
    token.insert(token.end(), texts[i].begin(), texts[i].end());
    for (int64_t p = 0; p < n; ++p) position.push_back(static_cast<int32_t>(p));
    for (int64_t p = first[i]; p < n; ++p) row.push_back(static_cast<int32_t>(start + p));
  }
  ctx.Reset();
  Var* hidden = model.Forward(ctx, {token.data(), position.data(), static_cast<int64_t>(token.size()), segments},
                              nullptr, nullptr);
  const Values* values = ScalarHead(ctx, hidden, model.score(), row.data(), static_cast<int64_t>(row.size()));
  const float* next = values->value;
  for (size_t i = from; i < to; ++i) {
    const int64_t n = static_cast<int64_t>(texts[i].size()) - first[i];
    out[i].assign(next, next + n);
    next += n;
  }
}

}  // namespace

std::vector<std::vector<float>> ScoreEveryToken(const Model& model, ThreadPool& pool,
                                                const std::vector<std::vector<int32_t>>& texts,
                                                const std::vector<int64_t>& first) {
  R1_CHECK(model.config().num_labels == 1, "score: the model has no scalar head");
  R1_CHECK(texts.size() == first.size(), "score: one first token per text");
  std::vector<std::pair<size_t, size_t>> batches;
  for (size_t from = 0; from < texts.size();) {
    size_t to = from, tokens = 0;
    do {
      tokens += texts[to++].size();
    } while (to < texts.size() && tokens + texts[to].size() <= static_cast<size_t>(kBatchTokens));
    batches.emplace_back(from, to);
    from = to;
  }
  std::vector<std::vector<float>> out(texts.size());
  std::vector<std::unique_ptr<Context>> contexts;
  for (int i = 0; i < pool.threads(); ++i) contexts.push_back(std::make_unique<Context>());
  pool.ParallelFor(static_cast<int64_t>(batches.size()), [&](int64_t b, int lane) {
    const auto& [from, to] = batches[static_cast<size_t>(b)];
    ScoreBatch(model, *contexts[static_cast<size_t>(lane)], texts, first, from, to, out);
  });
  return out;
}

std::vector<double> ScoreTexts(const Model& model, ThreadPool& pool, const std::vector<std::vector<int32_t>>& texts) {
  std::vector<int64_t> last;
  for (const std::vector<int32_t>& text : texts) last.push_back(static_cast<int64_t>(text.size()) - 1);
  std::vector<double> out;
  for (const std::vector<float>& values : ScoreEveryToken(model, pool, texts, last)) {
    out.push_back(static_cast<double>(values[0]));
  }
  return out;
}

}  // namespace r1
