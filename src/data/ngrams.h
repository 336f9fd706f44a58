// Words of texts, and overlap between texts by runs of n words: decontamination and duplicates.
//   word      a run of letters and digits between anything else; punctuation, signs and white space separate and are
//             dropped. ASCII letters are lower-cased. Every Han, Hiragana or Katakana character is a word of its own.
//             A byte that is not UTF-8 separates.
//   n-gram    n words in a row of one text, kept as a 64-bit hash: two different n-grams are taken for one with
//             probability about (number of n-grams kept) / 2^64.
// What this does not catch: paraphrases, translations, other spellings of the same number, and texts shorter than n
// words (which have no n-gram at all).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

// The words of a text, as defined above.
std::vector<std::string> NormalizedWords(std::string_view text);
// Hash of a text's words: equal for texts that differ in case, spacing and punctuation only.
uint64_t NormalizedHash(std::string_view text);
// Hash of the bytes.
uint64_t TextHash(std::string_view text);

// Hashes of all runs of n words, in order; empty if there are fewer words.
std::vector<uint64_t> NgramHashes(const std::vector<std::string>& words, int64_t n);

// A set of n-grams of benchmark texts: 8 bytes for each distinct n-gram, and up to twice as much again while it grows.
class NgramSet {
 public:
  explicit NgramSet(int64_t n, int64_t max_ngrams = int64_t{200} << 20) : n_(n), max_ngrams_(max_ngrams) {}
  // Error kRefused when the set would become larger than max_ngrams.
  Status Add(std::string_view text);
  // A JSONL file (*.jsonl, *.json): every string anywhere in a line is a text. Any other file: the whole is one text.
  Status AddFile(const std::string& path);
  // Does the text share an n-gram with the set?
  bool Overlaps(std::string_view text) const;

  int64_t n() const { return n_; }
  int64_t size() const { return static_cast<int64_t>(sorted_.size()); }  // distinct n-grams
  int64_t texts() const { return texts_; }
  int64_t short_texts() const { return short_texts_; }  // of fewer than n words: they can catch nothing

 private:
  Status AddText(std::string_view text);  // leaves n-grams in pending_
  Status Merge();
  int64_t n_;
  int64_t max_ngrams_;
  std::vector<uint64_t> sorted_;
  std::vector<uint64_t> pending_;
  int64_t texts_ = 0, short_texts_ = 0;
};

}  // namespace r1
