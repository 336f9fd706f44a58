// What a stored model says of its texts (tokenizer, special tokens, chat template), between the files of a Hugging Face
// folder and the keys of a GGUF file.
//   tokenizer.json                              tokenizer.ggml.* (text/tokenizer_gguf.h), and the whole file as
//                                               tokenizer.huggingface.json, which GGUF provides for and which alone
//                                               keeps everything
//   tokenizer_config.json bos_token and so on   tokenizer.ggml.{bos,eos,padding,unknown}_token_id
//     add_bos_token, add_eos_token              tokenizer.ggml.add_{bos,eos}_token
//     chat_template, or chat_template.jinja     tokenizer.chat_template
//   generation_config.json eos_token_id, a list r1.eos_token_ids, if there are several
// A GGUF list of tokens is as long as the embedding: the rows beyond the tokenizer are "[PAD<id>]" of type 5 (unused),
// as llama.cpp writes them; reading takes these off again. A model without a tokenizer has tokenizer.ggml.model
// "no_vocab".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/gguf.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace r1 {

struct StoredText {
  std::optional<Tokenizer> tokenizer;  // nothing: the model has none
  std::string tokenizer_json;          // of the tokenizer
  int32_t bos = -1, eos = -1, pad = -1, unknown = -1;
  std::vector<int32_t> stop;  // tokens that end a reply; eos alone if the model does not say
  std::optional<bool> add_bos, add_eos;
  std::string chat_template;  // "": none
};

Result<StoredText> ReadFolderText(const std::string& folder);
Result<StoredText> ReadGgufText(const GgufFile& file);

// Nothing if the file has no tokens.
Result<std::optional<GgufVocabulary>> VocabularyFromGguf(const GgufFile& file);
// Tokens, types, scores, merges, model and pre. Scores are minus the rank of the first merge that makes a token. Names
// of pre are llama.cpp's; a tokenizer that r1 trained has "r1", which other programs do not know.
GgufVocabulary VocabularyOf(const Tokenizer& tokenizer);

// vocab_size: rows of the embedding, not fewer than tokens. What GGUF cannot hold is told in notes.
Status AddTextKeys(const StoredText& text, int64_t vocab_size, GgufMetadata* keys, std::vector<std::string>* notes);
// tokenizer.json, tokenizer_config.json with the template, generation_config.json. max_length: of the model, tokens.
Status WriteFolderText(const StoredText& text, const std::string& folder, int64_t max_length);

}  // namespace r1
