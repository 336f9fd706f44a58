// Frequencies of the rotary embedding, and what stretches them beyond the context of pretraining.
//   f_i = theta^(-2i/d), i = 0 .. d/2 - 1; position p turns pair i by p f'_i; cos and sin are multiplied by a factor a.
//   default   f' = f, a = 1
//   linear    f' = f / factor, a = 1
//   llama3    wavelength w = 2 pi / f, L0 = original_max_position_embeddings: w < L0 / high: f; w > L0 / low: f /
//   factor;
//             between them (1 - t) f / factor + t f with t = (L0 / w - low) / (high - low); a = 1
//   yarn      a blend of f and f / factor between two dimensions, the ones that turn beta_fast and beta_slow times in
//   L0
//             positions; a = 0.1 ln(factor) + 1, or the ratio of the two mscale, or attention_factor
// Latent attention with yarn and mscale_all_dim also multiplies the scores: SoftmaxScale.
// Sources: Su et al. 2021; Peng et al. 2023 (YaRN); the published Llama 3.1 and DeepSeek-V3 config.json.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"

namespace r1 {

// Every impossible or unknown scaling is an error that names the field.
Status ValidateRopeScaling(const RopeScaling& scaling, const std::string& where);

// f'_i of a rotated width d (even) and the factor a. max_positions stands for L0 where the scaling names none.
std::vector<double> RopeFrequencies(const RopeScaling& scaling, double theta, int64_t d, int64_t max_positions);
double RopeAttentionFactor(const RopeScaling& scaling);
// The table that kernels rotate by: position p has cos of its pairs, then sin, both times a. RopeWidth (the rotated
// width of a head) floats a position.
int64_t RopeWidth(const ModelConfig& config);
void FillRopeTable(const ModelConfig& config, int64_t positions, float* table);

// Scale of the attention scores: 1 / sqrt(d_qk), times m² with m = 0.1 mscale_all_dim ln(factor) + 1 under yarn.
double SoftmaxScale(const ModelConfig& config);

}  // namespace r1
