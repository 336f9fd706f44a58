// The parts of a tokenizer.json beside vocabulary and merges: which forms are known, read and written.
//   alphabet of bytes (model.byte_fallback false):
//     normalizer      null, NFC, or a Sequence of none or one NFC
//     pre_tokenizer   ByteLevel with its own expression (GPT-2), or a Sequence of Split(Regex, Isolated) by exactly the
//                     expressions of word_split.h and ByteLevel without one
//     decoder         ByteLevel
//   alphabet of characters (model.byte_fallback true, Llama 2):
//     normalizer      Sequence(Prepend U+2581, Replace " " by U+2581)
//     pre_tokenizer   null
//     decoder         Sequence(Replace U+2581 by " ", ByteFallback, Fuse, Strip one " " at the begin)
//   both: post_processor null, ByteLevel, TemplateProcessing (its "single"), or a Sequence of these
// Every other form is an error that names it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

// Fills alphabet, pattern, normalizer, before and after.
Status ReadForms(const nlohmann::json& root, bool byte_fallback, std::string_view where, TokenizerParts* parts);

std::string NormalizerText(const TokenizerParts& parts);  // as the value of its key, two levels in
std::string PreTokenizerText(const TokenizerParts& parts);
std::string PostProcessorText(const TokenizerParts& parts);
std::string DecoderText(const TokenizerParts& parts);

}  // namespace r1
