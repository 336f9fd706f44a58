// Sampling in float32: completions of one prompt, one after the other, with the sampler, the random numbers and the
// stop rules of infer/rollout.h. The prompt is computed once.
#pragma once

#include <vector>

#include "infer/float_runner.h"
#include "infer/rollout.h"

namespace r1 {

// The completions of request 0, key 0. The runner's sequence must be empty; afterwards it holds the prompt. Error if
// the prompt is empty, too long or has a token outside the vocabulary, or if the model has a scalar head.
Result<std::vector<Completion>> SampleFloat(FloatRunner& runner, const std::vector<int32_t>& prompt, int64_t samples,
                                            const RolloutOptions& options);

}  // namespace r1
