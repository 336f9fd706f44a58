// What a model is, as the keys of a GGUF file say it, and back.
//   architecture   model_type
//   llama          llama       rotated pairs lie side by side in its q and k rows (model/gguf_params.h)
//   qwen2, qwen3   the same
//   deepseek2      deepseek_v3 if there are correction biases, else deepseek_v2
// Latent attention is written the new way: one key-value head of kv_lora_rank + qk_rope_head_dim, the widths of a head
// in key_length_mla and value_length_mla. Files of before 2025-04, without these two keys, are read too.
// Where keys are absent: as many key-value heads as heads; head width embedding_length / head_count; vocab_size from
// the tokens, then from the embedding; softmax gates; the published groups for 256 experts with sigmoid gates (8, of
// which 4) and for 160 with softmax (8, of which 3), else one group. yarn has one mscale for both of config.json's.
// Llama 3's scaling has no keys, but a tensor rope_freqs.weight of d/2 divisors of the frequencies; what made them is
// found again by trying.
// Numbers are float32; they come back as the shortest decimal that is that float32 (1e-05, not 9.99999975e-06).
// Keys of our own, which other programs pass over, hold what has no place otherwise: r1.model_type (deepseek2),
// r1.rope_scaling.* (llama3's four numbers; mscale where it is not mscale_all_dim).
// Sources: llama.cpp's converter and loader; ggml's docs/gguf.md.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "store/gguf.h"

namespace r1 {

// Errors name the file and the key: an architecture that is not known (kRefused), a key that is absent, of another kind
// or out of range, and keys that change the arithmetic in a way this program does not compute.
Result<ModelConfig> ModelConfigFromGguf(const GgufFile& file);

// general.architecture and all keys of it. Refuses a scalar head, which GGUF has no place for.
Status AddConfigKeys(const ModelConfig& config, GgufMetadata* keys);

// The values of rope_freqs.weight: f_i / f'_i of model/rope.h. Empty unless the scaling is llama3.
std::vector<float> FrequencyDivisors(const ModelConfig& config);

}  // namespace r1
