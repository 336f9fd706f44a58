// Byte-level byte-pair encoding in the Hugging Face tokenizer.json format.
//   text -> added tokens cut out (leftmost, then longest) -> words (word_split.h) -> bytes -> merges in rank order ->
//   ids
// Every byte has a token, so any string, valid UTF-8 or not, is encoded and decodes to itself. Exceptions to "to
// itself": white space that an added token with lstrip or rstrip swallows. Work is O(n log w) for n bytes and words of
// w <= 1,025 bytes; no recursion. All const functions may be called from several threads. The loader accepts the forms
// that ToJson writes (see FromJson) and refuses every other one by name.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace r1 {

// A token that is found in scaffold text before any splitting.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool lstrip = false;  // swallows white space before it
  bool rstrip = false;  // swallows white space after it
  bool special = true;  // Decode(ids, skip_special = true) leaves it out
};

// What a tokenizer is made of; Tokenizer::FromParts checks it.
struct TokenizerParts {
  std::vector<std::string> tokens;                  // raw bytes by id; for an added token its content
  std::vector<std::pair<int32_t, int32_t>> merges;  // ids, in rank order
  std::vector<AddedToken> added;
};

class Tokenizer {
 public:
  // `where` names the source in errors. Model type BPE with byte-level alphabet, pre_tokenizer
  // Sequence(Split(kWordPattern), ByteLevel without its own regex), decoder ByteLevel, no normalizer, post_processor
  // null or ByteLevel.
  static Result<Tokenizer> FromJson(std::string_view json, std::string_view where);
  static Result<Tokenizer> Load(const std::string& path);
  static Result<Tokenizer> FromParts(TokenizerParts parts, std::string_view where);
  // The tokenizer.json text; the same tokenizer gives the same bytes.
  std::string ToJson() const;

  // Scaffold text: templates and corpora of ours, where "<think>" is the token. Never use it on text of a user.
  std::vector<int32_t> Encode(std::string_view text) const;
  // Content: no added token is ever produced, whatever the text says.
  std::vector<int32_t> EncodeContent(std::string_view text) const;
  // An id outside [0, size()), which a model with a padded vocabulary can sample, becomes U+FFFD.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = false) const;

  int32_t size() const { return static_cast<int32_t>(parts_.tokens.size()); }
  // The id of the token with exactly these raw bytes (" try", not the file's spelling of it), or -1.
  int32_t IdOf(std::string_view token) const;
  // Raw bytes of a token; "" outside [0, size()).
  std::string TextOf(int32_t id) const;
  const TokenizerParts& parts() const { return parts_; }

  // Calls `visit` for each stretch of scaffold text between added tokens (id -1) and for each added token (its id), in
  // order.
  void ForEachSegment(std::string_view text,
                      const std::function<void(std::string_view stretch, int32_t id)>& visit) const;

 private:
  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  using IdMap = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;
  struct Merge {
    int32_t rank;
    int32_t id;
  };
  struct Scratch;  // reused between the words of one call

  Tokenizer() = default;
  void EncodeStretch(std::string_view text, Scratch& scratch, std::vector<int32_t>& out) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;

  TokenizerParts parts_;
  std::array<int32_t, 256> byte_id_{};
  IdMap plain_id_;    // tokens that merges can make
  IdMap whole_word_;  // those of them that encode to themselves: a word found here needs no merging
  IdMap added_id_;
  std::unordered_map<uint64_t, Merge> merge_;  // key: left id << 32 | right id
  std::vector<int32_t> added_index_;           // id -> index into parts_.added, or -1
  // Trie of added tokens: child of (node << 8 | byte), and the added token that ends at a node, or -1.
  std::unordered_map<uint64_t, int32_t> trie_child_;
  std::vector<int32_t> trie_end_;
  std::array<bool, 256> trie_first_{};
};

}  // namespace r1
