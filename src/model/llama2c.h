// Models of llama2.c, file version 0 (a .bin of its training, e.g. stories260K.bin). Little-endian:
//   7 int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative: a head of its own), seq_len
//   float32 in this order, a matrix [out, in], each kind for all layers L:
//     token_embedding [V, D]   rms_att [L, D]   wq [L, D, D]   wk, wv [L, KV, D]   wo [L, D, D]   rms_ffn [L, D]
//     w1 [L, F, D]   w2 [L, D, F]   w3 [L, F, D]   rms_final [D]   cos, sin [seq_len, head_dim / 2] (not read)
//     wcls [V, D] if vocab_size is negative
// w1 is the gate, w2 down, w3 up. Rows of wq and wk are in the order of adjacent pairs; they are read in the order of
// Hugging Face files, where a pair is (i, i + head_dim / 2) of its head. Rotation base 10000, norms' epsilon 1e-5: the
// file does not say, llama2.c computes with these. Source: run.c and export.py of karpathy/llama2.c.
//
// The file is trusted with nothing: the sizes must be those of a model (ValidateStoredConfig) and make exactly as many
// bytes as the file has. Files of other versions begin with the bytes "24ka" and are refused by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/param_source.h"

namespace r1 {

bool LooksLikeLlama2c(const std::string& path);  // a regular file whose name ends with .bin
Result<ModelSource> OpenLlama2c(const std::string& path);
// The same on bytes in memory (tests, fuzzing); they must outlive the source.
Result<ModelSource> ParseLlama2c(std::string_view file, const std::string& where);

}  // namespace r1
