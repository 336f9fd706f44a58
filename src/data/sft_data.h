// Texts for supervised training: JSONL, one object a line, in one of three forms (each line its own):
//   {"messages": [{"role": "user", "content": "..."},
//                 {"role": "assistant", "reasoning_content": "...", "content": "..."}]}
//   {"prompt": "...", "completion": "..."}      the same without reasoning_content: the completion may have its own
//   tags
//   {"text": "..."}                             scaffold as it stands, between the begin and the end token; loss on all
//   of it
// in the model's own format (data/model_text.h): that of the built-in world takes one user and one assistant message,
// a chat template also system messages and several turns. The loss is taken on the assistant's turns. A conversation
// is one document, or one for each reply (model_text.h says when). Other keys ("metadata") are ignored. Errors
// (kBadInput) name file, line and key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/corpus_stream.h"
#include "data/model_text.h"

namespace r1 {

// `where` names the source in errors.
Result<std::vector<TokenDocument>> ParseSftData(std::string_view jsonl, std::string_view where, const ModelText& text);
Result<std::vector<TokenDocument>> LoadSftData(const std::string& path, const ModelText& text);

}  // namespace r1
