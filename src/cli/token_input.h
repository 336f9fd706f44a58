// Tokens as commands take them: a tokenizer by the path of what holds it, and lists of ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1::cli {

// path: a tokenizer.json, a GGUF file, a vocabulary of llama2.c (.bin), or a model folder, checkpoint or run with a
// tokenizer.json.
Result<Tokenizer> OpenTokenizer(const std::string& path);

// Ids with commas or spaces between. `option` is the flag they were given with, for errors.
Result<std::vector<int32_t>> ReadTokenIds(std::string_view text, std::string_view option);

}  // namespace r1::cli
