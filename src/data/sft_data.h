// Texts for supervised training: JSONL, one object a line, in one of three forms (each line its own):
//   {"messages": [{"role": "user", "content": "..."},
//                 {"role": "assistant", "reasoning_content": "...", "content": "..."}]}
//   {"prompt": "...", "completion": "..."}      the same without reasoning_content: the completion may have its own
//   tags
//   {"text": "..."}                             scaffold as it stands, between <|begin|> and <|end|>; loss on all of it
// in the template of data/chat.h. The loss is taken on the assistant's turn. One turn each: longer conversations and
// system messages are refused by name. Other keys ("metadata") are ignored. Errors (kBadInput) name file, line and key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/corpus_stream.h"
#include "text/tokenizer.h"

namespace r1 {

// `where` names the source in errors.
Result<std::vector<TokenDocument>> ParseSftData(std::string_view jsonl, std::string_view where,
                                                const Tokenizer& tokenizer);
Result<std::vector<TokenDocument>> LoadSftData(const std::string& path, const Tokenizer& tokenizer);

}  // namespace r1
