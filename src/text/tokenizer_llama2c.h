// The vocabulary file of llama2.c (tokenizer.bin, tok512.bin), SentencePiece with scores. Little-endian:
//   int32 longest token, bytes; then to the end of the file, a token each: float32 score, int32 length, the bytes
// Tokens 0, 1, 2 are unknown, begin and end (whatever the file spells them), 3 .. 258 the bytes <0x00> .. <0xFF>, the
// rest text in which a space is a space or U+2581. The begin token is put before a text. Two neighbours whose joint
// text is a token may be joined, the best score first, the leftmost among equals. Source: tokenizer.py and run.c of
// karpathy/llama2.c.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

Result<Tokenizer> LoadLlama2cTokenizer(const std::string& path);
// `where` names the file in errors.
Result<Tokenizer> ParseLlama2cTokenizer(std::string_view file, std::string_view where);

}  // namespace r1
