// A tokenizer from the metadata of a GGUF file (tokenizer.ggml.*), which somebody else has read into a plain struct.
//   model "gpt2": byte-level; merges as "a b"; pre names the pre-tokenizer: r1, gpt-2, llama-bpe (llama3, llama-v3),
//   qwen2
//     (deepseek-r1-qwen), deepseek-v3, deepseek-llm. qwen2 gets the normalization form C of its tokenizer.json, which
//     llama.cpp leaves out.
//   model "llama": SentencePiece; there are no merges: any two neighbours whose joint text is a token may be joined,
//   the
//     best score first, the leftmost among equals.
// Token types: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. 2, 3 and 4 become added tokens (4 is
// not special); 5 is normal and never made, having no merges. Everything else is an error that names it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

struct GgufVocabulary {
  std::string model;                // tokenizer.ggml.model
  std::string pre;                  // tokenizer.ggml.pre
  std::vector<std::string> tokens;  // tokenizer.ggml.tokens, as spelled there
  std::vector<int32_t> types;       // tokenizer.ggml.token_type; empty: all normal
  std::vector<float> scores;        // tokenizer.ggml.scores; of "llama" only
  std::vector<std::string> merges;  // tokenizer.ggml.merges; of "gpt2" only
  int32_t bos = -1;                 // tokenizer.ggml.bos_token_id and so on; -1: not given
  int32_t eos = -1;
  int32_t unknown = -1;
  std::optional<bool> add_bos;  // not given: true for "llama" and for Llama 3, else false
  std::optional<bool> add_eos;  // not given: false
  std::optional<bool> add_space_prefix;
};

// `where` names the file in errors.
Result<Tokenizer> TokenizerFromGguf(const GgufVocabulary& vocabulary, std::string_view where);

}  // namespace r1
