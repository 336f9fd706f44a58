// Byte-pair encoding as published tokenizers do it, in the Hugging Face tokenizer.json format.
//   text -> added tokens cut out (leftmost, then longest; first those that are looked for in the text as it is, then,
//   in what is left and normalized, the others) -> words (word_split.h) -> bytes or characters -> merges in rank order
//   (bpe_merge.h) -> ids
// Two alphabets. Bytes: every byte has a token. Characters (SentencePiece's form in Llama 2): a character without a
// token becomes its bytes' tokens <0xNN>. So any string, valid UTF-8 or not, is encoded, and content decodes to its
// normalized form. Exceptions: white space that an added token with lstrip or rstrip swallows; in the second alphabet,
// U+2581, which is a space there; the 13 bytes that valid UTF-8 never has, where a vocabulary has no token for them
// (they become U+FFFD).
// Work is O(n log n) for n bytes of any text; no recursion. All const functions may be called from several threads.
// The loader accepts the forms in tokenizer_json.cc and refuses every other one by name.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/added_match.h"
#include "text/bpe_merge.h"
#include "text/word_split.h"

namespace r1 {

// A token that is found in scaffold text before any splitting.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  // not found where a letter, digit or the like stands next to it
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // swallows white space after it
  bool normalized = false;   // its normalized form is looked for in the normalized text
  bool special = true;       // Decode(ids, skip_special = true) leaves it out
};

enum class Alphabet { kBytes, kCharacters };
enum class Normalizer {
  kNone,
  kNfc,
  kSpaceBefore,  // of kCharacters: one space before every stretch of text; Decode takes one away at the begin
};

// What a tokenizer is made of; Tokenizer::FromParts checks it.
struct TokenizerParts {
  std::vector<std::string> tokens;                  // raw bytes by id: " try", "\n"; for an added token its content
  std::vector<std::pair<int32_t, int32_t>> merges;  // ids
  std::vector<int32_t> merge_ranks;                 // of each merge; empty: its place in the list
  std::vector<AddedToken> added;
  Alphabet alphabet = Alphabet::kBytes;
  WordPattern pattern = WordPattern::kR1;
  Normalizer normalizer = Normalizer::kNone;
  bool ignore_merges = false;        // a word that is a token needs no merges to be it
  std::vector<int32_t> byte_tokens;  // of kCharacters: the 256 ids of <0x00>..<0xFF>
  int32_t unknown = -1;              // of kCharacters: only written back, since every byte has a token
  std::vector<int32_t> before;       // ids that Encode(text, true) puts before the text: the begin token
  std::vector<int32_t> after;        // and after it
};

class Tokenizer {
 public:
  // `where` names the source in errors. The forms are listed at the top of tokenizer_json.cc.
  static Result<Tokenizer> FromJson(std::string_view json, std::string_view where);
  static Result<Tokenizer> Load(const std::string& path);
  static Result<Tokenizer> FromParts(TokenizerParts parts, std::string_view where);
  // The tokenizer.json text; the same tokenizer gives the same bytes. Merges of one rank are written one after the
  // other, which the format cannot tell from different ranks.
  std::string ToJson() const;

  // Scaffold text: templates and corpora of ours, where "<think>" is the token. Never use it on text of a user.
  // `around`: with the tokens that the file's post_processor puts around a text.
  std::vector<int32_t> Encode(std::string_view text, bool around = false) const;
  // Content: no added token is ever produced, whatever the text says.
  std::vector<int32_t> EncodeContent(std::string_view text) const;
  // An id outside [0, size()), which a model with a padded vocabulary can sample, becomes U+FFFD.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = false) const;

  int32_t size() const { return static_cast<int32_t>(parts_.tokens.size()); }
  // The id of the token with exactly these raw bytes (" try", not the file's spelling of it), or -1.
  int32_t IdOf(std::string_view token) const;
  // Raw bytes of a token; "" outside [0, size()).
  std::string TextOf(int32_t id) const;
  // The added token with this id, or null.
  const AddedToken* AddedOf(int32_t id) const;
  const TokenizerParts& parts() const { return parts_; }

  // Calls `visit` for each stretch of normalized text between added tokens (id -1) and for each added token (its id),
  // in order.
  void ForEachSegment(std::string_view text,
                      const std::function<void(std::string_view stretch, int32_t id)>& visit) const;

 private:
  struct Finder {  // of the added tokens that are looked for together
    AddedMatcher matcher;
    std::vector<int32_t> which;  // index of the matcher's texts into parts_.added
  };

  Tokenizer() = default;
  Status AddAdded(std::string_view where);
  Status AddPlain(std::string_view where);
  Status AddMerges(std::string_view where);
  void AllowUnits(int32_t id);
  void MakeFinders();
  std::string_view Normalize(std::string_view text, std::string* buffer) const;
  void Cut(const Finder& finder, std::string_view text,
           const std::function<void(std::string_view stretch, int32_t id)>& visit) const;
  void EncodeNormalized(std::string_view text, BpeMerger::Scratch& scratch, std::vector<int32_t>& out) const;
  void EncodeWord(std::string_view word, BpeMerger::Scratch& scratch, std::vector<int32_t>& out) const;

  TokenizerParts parts_;
  std::array<int32_t, 256> byte_id_{};  // the unit of a byte
  TextIndex plain_;                     // tokens that merges can make
  TextIndex added_;
  std::vector<bool> whole_word_;  // by id: a word that is this token needs no merging
  std::vector<bool> is_byte_;     // by id: <0xNN>
  BpeMerger merger_;
  std::vector<int32_t> added_index_;  // id -> index into parts_.added, or -1
  Finder raw_finder_;
  Finder normalized_finder_;
};

}  // namespace r1
