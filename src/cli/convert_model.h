// Converts a stored model: Hugging Face folder or GGUF file to either, with or without another number type; a .bin file
// of llama2.c too, and with an adapter merged into the weights.
// Number types of what is written ("keep" if none is asked for):
//   keep    F32, F16 and BF16 stay. F64 becomes F32; F8_E4M3, with its scales, BF16. Block types stay between GGUF
//   files
//           (byte for byte) and become F32 in a folder, which is exact.
//   GGUF    vectors (norms, biases), router gates and rope_freqs are F32 whatever is asked for, as llama.cpp has them.
//           With q4_0 and q4_k the head, or the embedding if tied, is Q6_K. Rows that are no whole blocks fall back:
//           Q4_K and Q6_K to Q8_0, Q8_0 and Q4_0 to F16.
//   folder  f32, f16, bf16 or keep; e_score_correction_bias stays F32. keep gives what GGUF made F32 back its type: the
//           type of the embedding if all its values have one there, else F32; where that is not what the folder had,
//           the GGUF file says it (key r1.stored_types).
// So folder -> GGUF -> folder gives the bytes of every F32, F16 and BF16 tensor back, and GGUF -> folder -> GGUF equal
// tensors of these types. Sources: llama.cpp's converter and quantizer.
//
// One tensor after the other is read, converted and written: memory is that of the largest one, of experts stacked in
// one tensor the bytes written and one expert as floats.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/quant.h"
#include "store/tensors.h"

namespace r1::cli {

struct ConvertOptions {
  std::string source;              // a model folder, a run or stage with checkpoints, a .gguf file, a .bin of llama2.c
  std::string target;              // ends in .gguf: a file; else a folder. Must not be there.
  std::optional<StoredType> type;  // nothing: keep
  int64_t max_shard_bytes = 5'000'000'000;
  std::string tokenizer;  // of a .bin source, which holds none: a vocabulary of llama2.c or a tokenizer.json; "": none
  std::string adapter;    // a folder of PEFT, merged into the weights (model/lora_merge.h); "": none
  std::function<void(int64_t done, int64_t total, const std::string& tensor)> progress;  // may be empty
};

struct ConvertedTensor {
  std::string name;  // as written
  StoredType from = StoredType::kF32, to = StoredType::kF32;
  std::vector<int64_t> shape;
  int64_t bytes = 0;                     // written
  bool fallback = false;                 // the type asked for does not divide the rows
  std::optional<ConversionError> error;  // if a value changed, or is not finite in a type that is not wider
};

struct ConvertReport {
  std::string source, target;
  std::vector<ConvertedTensor> tensors;
  std::vector<std::string> notes;
  int64_t bytes = 0;  // of the tensors written
};

// Written beside the target and renamed when all is there.
Result<ConvertReport> ConvertModel(const ConvertOptions& options);

}  // namespace r1::cli
