#include "data/ngrams.h"

#include <algorithm>

#include "base/files.h"
#include "base/json_scan.h"
#include "base/utf8.h"

namespace r1 {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;
constexpr size_t kPendingBlock = size_t{1} << 20;
constexpr int kMaxDepth = 200;
constexpr uint64_t kFnvBasis = 0xcbf29ce484222325u, kFnvPrime = 0x100000001b3u;

uint64_t Fnv(std::string_view text, uint64_t hash) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

// The finisher of SplitMix64: spreads the last bytes over the whole hash.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint32_t CodePoint(std::string_view c) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(c[i])); };
  switch (c.size()) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3:
      return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
  }
}

enum class Kind { kSeparator, kLetter, kWholeWord };

// By block, without Unicode tables: above ASCII everything is a letter but Latin-1 signs, general punctuation, arrows,
// mathematical operators and shapes, CJK and full-width punctuation.
Kind KindOf(uint32_t c) {
  if (c < 0x80) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter ? Kind::kLetter : Kind::kSeparator;
  }
  if (c < 0xc0) return c == 0xaa || c == 0xb5 || c == 0xba ? Kind::kLetter : Kind::kSeparator;
  if (c == 0xd7 || c == 0xf7) return Kind::kSeparator;
  if (c >= 0x2000 && c <= 0x206f) return Kind::kSeparator;
  if (c >= 0x2190 && c <= 0x2bff) return Kind::kSeparator;
  if (c >= 0x3000 && c <= 0x303f) return c == 0x3005 || c == 0x3007 ? Kind::kWholeWord : Kind::kSeparator;
  if ((c >= 0xff01 && c <= 0xff0f) || (c >= 0xff1a && c <= 0xff20) || (c >= 0xff3b && c <= 0xff40) ||
      (c >= 0xff5b && c <= 0xff65) || c == 0xfeff) {
    return Kind::kSeparator;
  }
  const bool whole = (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
                     (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
  return whole ? Kind::kWholeWord : Kind::kLetter;
}

}  // namespace

std::vector<std::string> NormalizedWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (size_t i = 0; i < text.size();) {
    const int length = Utf8Length(text.substr(i));
    if (length == 0) {
      flush();
      ++i;
      continue;
    }
    const std::string_view c = text.substr(i, static_cast<size_t>(length));
    i += static_cast<size_t>(length);
    switch (KindOf(CodePoint(c))) {
      case Kind::kSeparator:
        flush();
        break;
      case Kind::kWholeWord:
        flush();
        words.emplace_back(c);
        break;
      case Kind::kLetter:
        if (c[0] >= 'A' && c[0] <= 'Z') {
          word += static_cast<char>(c[0] - 'A' + 'a');
        } else {
          word += c;
        }
        break;
    }
  }
  flush();
  return words;
}

uint64_t NormalizedHash(std::string_view text) {
  uint64_t hash = kFnvBasis;
  for (const std::string& word : NormalizedWords(text)) hash = Fnv(" ", Fnv(word, hash));
  return Mix(hash);
}

uint64_t TextHash(std::string_view text) { return Mix(Fnv(text, kFnvBasis)); }

std::vector<uint64_t> NgramHashes(const std::vector<std::string>& words, int64_t n) {
  const auto count = static_cast<int64_t>(words.size());
  std::vector<uint64_t> hashes;
  if (n < 1 || count < n) return hashes;
  std::vector<uint64_t> word_hash(words.size());
  for (size_t i = 0; i < words.size(); ++i) word_hash[i] = TextHash(words[i]);
  hashes.reserve(static_cast<size_t>(count - n + 1));
  for (int64_t i = 0; i + n <= count; ++i) {
    uint64_t hash = kFnvBasis;
    for (int64_t j = i; j < i + n; ++j) hash = Mix(hash * kFnvPrime + word_hash[static_cast<size_t>(j)]);
    hashes.push_back(hash);
  }
  return hashes;
}

Status NgramSet::Add(std::string_view text) {
  R1_TRY(AddText(text));
  return Merge();
}

Status NgramSet::AddText(std::string_view text) {
  const std::vector<uint64_t> hashes = NgramHashes(NormalizedWords(text), n_);
  ++texts_;
  short_texts_ += hashes.empty();
  pending_.insert(pending_.end(), hashes.begin(), hashes.end());
  // The list that waits is merged when it is as long as the set, so the work is n log n in all.
  if (pending_.size() >= std::max(kPendingBlock, sorted_.size())) return Merge();
  return {};
}

Status NgramSet::Merge() {
  std::sort(pending_.begin(), pending_.end());
  const auto middle = static_cast<std::ptrdiff_t>(sorted_.size());
  sorted_.insert(sorted_.end(), pending_.begin(), pending_.end());
  std::inplace_merge(sorted_.begin(), sorted_.begin() + middle, sorted_.end());
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
  pending_.clear();
  if (static_cast<int64_t>(sorted_.size()) <= max_ngrams_) return {};
  return Error{ErrorCode::kRefused, "the texts to keep apart hold more than " + std::to_string(max_ngrams_) + " " +
                                        std::to_string(n_) + "-grams; give fewer or smaller files"};
}

Status NgramSet::AddFile(const std::string& path) {
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxFileBytes));
  if (!path.ends_with(".jsonl") && !path.ends_with(".json")) {
    R1_TRY(AddText(text));
    return Merge();
  }
  // A JSONL file is JSON values one after the other on lines; a .json file one value over many lines.
  const bool lines = path.ends_with(".jsonl");
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = lines ? std::min(text.find('\n', begin), text.size()) : text.size();
    const std::string_view part = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (part.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
    JsonScanner scanner(part, kMaxDepth);
    for (JsonScanner::Token token; (token = scanner.Next()) != JsonScanner::Token::kEnd;) {
      if (token == JsonScanner::Token::kError) {
        return Error{ErrorCode::kBadInput, path + " line " + std::to_string(line) + ": " + scanner.error()};
      }
      if (token == JsonScanner::Token::kString) R1_TRY(AddText(scanner.value()));
    }
  }
  return Merge();
}

bool NgramSet::Overlaps(std::string_view text) const {
  for (const uint64_t hash : NgramHashes(NormalizedWords(text), n_)) {
    if (std::binary_search(sorted_.begin(), sorted_.end(), hash)) return true;
  }
  return false;
}

}  // namespace r1
