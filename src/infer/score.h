// Values of texts under a model with a scalar head (reward models, process reward models, the value model of PPO). A
// value depends on its own text and the weights only, never on batch, order or threads (exact mode).
#pragma once

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "model/model.h"

namespace r1 {

// The value at the last token of each text. Texts are not empty, within the vocabulary and not longer than the model's
// positions.
std::vector<double> ScoreTexts(const Model& model, ThreadPool& pool, const std::vector<std::vector<int32_t>>& texts);

// result[i][k]: the value at token first[i] + k of texts[i], which has seen that token and all before it, up to the
// last token. 0 <= first[i] < length. In PPO the value before token t of a reply is the one at token t - 1.
std::vector<std::vector<float>> ScoreEveryToken(const Model& model, ThreadPool& pool,
                                                const std::vector<std::vector<int32_t>>& texts,
                                                const std::vector<int64_t>& first);

}  // namespace r1
