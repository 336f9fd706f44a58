#include "infer/float_rollout.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/interrupt.h"

namespace r1 {

Result<std::vector<Completion>> SampleFloat(FloatRunner& runner, const std::vector<int32_t>& prompt, int64_t samples,
                                            const RolloutOptions& options) {
  R1_CHECK(runner.length() == 0, "a runner that holds another sequence");
  if (runner.config().num_labels != 0)
    return Error{ErrorCode::kRefused, "this is a reward or value model (num_labels 1): it gives scores, not text"};
  const int64_t n = static_cast<int64_t>(prompt.size());
  if (n == 0) return Error{ErrorCode::kBadInput, "the prompt is empty"};
  if (n + options.max_new_tokens > runner.positions()) {
    return Error{ErrorCode::kBadInput, "the prompt has " + std::to_string(n) + " tokens; with " +
                                           std::to_string(options.max_new_tokens) + " new ones it exceeds the " +
                                           std::to_string(runner.positions()) +
                                           " positions: shorten it or lower the number of new tokens"};
  }
  const kernels::KernelTable& k = kernels::Kernels();
  const int64_t v = runner.width(), limit = options.token_limit > 0 ? options.token_limit : v;
  const float inv_temperature = InverseTemperature(options.sampling);
  std::vector<float> after_prompt;
  constexpr int64_t kBlock = 256;  // tokens at a time bound the memory; they change no number
  for (int64_t at = 0; at < n; at += kBlock) {
    const std::span<const int32_t> block(prompt.data() + at, static_cast<size_t>(std::min(kBlock, n - at)));
    R1_ASSIGN(const std::span<const float> row, runner.Append(block, FloatRunner::Rows::kLast));
    after_prompt.assign(row.begin(), row.end());
  }
  Sampler sampler(options.sampling);
  std::vector<Completion> out(static_cast<size_t>(samples));
  for (int64_t sample = 0; sample < samples; ++sample) {
    Completion& done = out[static_cast<size_t>(sample)];
    runner.Rewind(n);
    const float* logits = after_prompt.data();
    while (static_cast<int64_t>(done.tokens.size()) < options.max_new_tokens) {
      if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted while sampling"};
      if (!done.tokens.empty()) {
        R1_ASSIGN(const std::span<const float> row, runner.Append({&done.tokens.back(), 1}, FloatRunner::Rows::kLast));
        logits = row.data();
      }
      const float u = UniformAt(options.seed, options.stream, options.step, 0, static_cast<uint32_t>(sample),
                                static_cast<uint32_t>(done.tokens.size()));
      const int32_t token = sampler.Sample(k, logits, v, limit, u);
      float logp = 0, lse = 0, entropy = 0;
      if (options.want_logp) k.logprob(&logp, &lse, &entropy, logits, v, &token, 1, v, inv_temperature);
      done.tokens.push_back(token);
      done.logp.push_back(logp);
      done.entropy_sum += static_cast<double>(entropy);
      const bool stop = std::find(options.stop.begin(), options.stop.end(), token) != options.stop.end();
      if (stop) done.finish = FinishReason::kStop;
      if ((options.on_token && !options.on_token(0, sample, token)) || stop) break;
    }
  }
  runner.Rewind(n);
  return out;
}

}  // namespace r1
