#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <tuple>

#include "base/quote.h"
#include "text/token_spelling.h"

namespace r1 {
namespace {

constexpr size_t kMaxTokens = 2'000'000;
constexpr size_t kMaxMerges = 2'000'000;

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct PreName {
  std::string_view name;
  WordPattern pattern;
  Normalizer normalizer = Normalizer::kNone;
  bool llama3 = false;  // ignore_merges, and the begin token unless the file says no
};

constexpr std::array kPreNames = {
    PreName{"r1", WordPattern::kR1},
    PreName{"gpt-2", WordPattern::kGpt2},
    PreName{"gpt2", WordPattern::kGpt2},
    PreName{"llama-bpe", WordPattern::kLlama3, Normalizer::kNone, true},
    PreName{"llama3", WordPattern::kLlama3, Normalizer::kNone, true},
    PreName{"llama-v3", WordPattern::kLlama3, Normalizer::kNone, true},
    PreName{"qwen2", WordPattern::kQwen2, Normalizer::kNfc},
    PreName{"deepseek-r1-qwen", WordPattern::kQwen2, Normalizer::kNfc},
    PreName{"deepseek-v3", WordPattern::kDeepSeekV3},
    PreName{"deepseek-llm", WordPattern::kDeepSeekLlm},
};

class Reader {
 public:
  Reader(const GgufVocabulary& vocabulary, std::string_view where) : v_(vocabulary), where_(where) {}

  Result<TokenizerParts> Read() {
    if (v_.tokens.empty()) return Bad("tokenizer.ggml.tokens is missing or empty");
    if (v_.tokens.size() > kMaxTokens) return Bad("tokenizer.ggml.tokens: more than 2,000,000 tokens");
    if (!v_.types.empty() && v_.types.size() != v_.tokens.size()) {
      return Bad("tokenizer.ggml.token_type has " + std::to_string(v_.types.size()) + " entries for " +
                 std::to_string(v_.tokens.size()) + " tokens");
    }
    if (v_.model == "gpt2") {
      R1_TRY(ByteLevel());
    } else if (v_.model == "llama") {
      R1_TRY(SentencePiece());
    } else {
      return Bad("tokenizer.ggml.model is " + Quote(v_.model) + "; this build knows gpt2 and llama");
    }
    R1_TRY(Around("bos", v_.bos, v_.add_bos.value_or(bos_by_default_), &parts_.before));
    R1_TRY(Around("eos", v_.eos, v_.add_eos.value_or(false), &parts_.after));
    return std::move(parts_);
  }

 private:
  Error Bad(const std::string& what) const { return {ErrorCode::kBadInput, where_ + ": " + what}; }

  Status Around(const char* name, int32_t id, bool wanted, std::vector<int32_t>* ids) const {
    if (id < -1 || id >= static_cast<int32_t>(v_.tokens.size())) {
      return Bad(std::string("tokenizer.ggml.") + name + "_token_id is " + std::to_string(id) +
                 ", outside the vocabulary of " + std::to_string(v_.tokens.size()));
    }
    if (!wanted) return {};
    if (id < 0) return Bad(std::string("tokenizer.ggml.add_") + name + "_token is set but there is no such token");
    ids->push_back(id);
    return {};
  }

  // The type of a token; one that stands for nothing else becomes an added token at once.
  Result<int32_t> TypeOf(size_t id) {
    const int32_t type = v_.types.empty() ? static_cast<int32_t>(kNormal) : v_.types[id];
    if (type < kNormal || type > kByte) {
      return Bad("tokenizer.ggml.token_type of token " + std::to_string(id) + " is " + std::to_string(type) +
                 "; wanted is 1 to 6");
    }
    if (type == kUnknown || type == kControl || type == kUserDefined) {
      parts_.tokens[id] = v_.tokens[id];
      AddedToken added;
      added.id = static_cast<int32_t>(id);
      added.content = v_.tokens[id];
      added.special = type != kUserDefined;
      parts_.added.push_back(std::move(added));
    }
    return type;
  }

  Status ByteLevel() {
    const auto* const known =
        std::find_if(kPreNames.begin(), kPreNames.end(), [&](const PreName& entry) { return entry.name == v_.pre; });
    if (known == kPreNames.end()) {
      std::string names;
      for (const PreName& entry : kPreNames) names += (names.empty() ? "" : ", ") + std::string(entry.name);
      return Bad("tokenizer.ggml.pre is " + Quote(v_.pre) + "; this build knows " + names);
    }
    parts_.pattern = known->pattern;
    parts_.normalizer = known->normalizer;
    parts_.ignore_merges = known->llama3;
    bos_by_default_ = known->llama3 && v_.bos >= 0;
    parts_.tokens.resize(v_.tokens.size());
    TextIndex plain;
    plain.Reserve(v_.tokens.size());
    for (size_t id = 0; id < v_.tokens.size(); ++id) {
      R1_ASSIGN(const int32_t type, TypeOf(id));
      if (type == kByte) return Bad("token " + std::to_string(id) + " is a byte token in a byte-level vocabulary");
      if (type != kNormal && type != kUnused) continue;
      if (!ReadSpelledBytes(v_.tokens[id], &parts_.tokens[id])) {
        if (type == kNormal) {
          return Bad("token " + std::to_string(id) + " " + Quote(v_.tokens[id]) +
                     " is not spelled in the byte-level alphabet");
        }
        parts_.tokens[id] = v_.tokens[id];
      }
      if (plain.Insert(parts_.tokens, static_cast<int32_t>(id)) != static_cast<int32_t>(id)) {
        return Bad("token " + Quote(parts_.tokens[id]) + " occurs twice");
      }
    }
    if (v_.merges.size() > kMaxMerges) return Bad("tokenizer.ggml.merges: more than 2,000,000 merges");
    std::string bytes;
    for (size_t i = 0; i < v_.merges.size(); ++i) {
      const std::string& text = v_.merges[i];
      const size_t space = text.find(' ', 1);
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        return Bad("merge " + std::to_string(i + 1) + " is not two tokens with one space between: " + Quote(text));
      }
      std::array<int32_t, 2> side{};
      for (size_t k = 0; k < 2; ++k) {
        const std::string spelled = k == 0 ? text.substr(0, space) : text.substr(space + 1);
        side[k] = ReadSpelledBytes(spelled, &bytes) ? plain.Find(parts_.tokens, bytes) : -1;
        if (side[k] < 0) {
          return Bad("merge " + std::to_string(i + 1) + " joins " + Quote(spelled) +
                     ", which is not in the vocabulary");
        }
      }
      parts_.merges.emplace_back(side[0], side[1]);
    }
    return {};
  }

  Status SentencePiece() {
    if (v_.scores.size() != v_.tokens.size()) {
      return Bad("tokenizer.ggml.scores has " + std::to_string(v_.scores.size()) + " entries for " +
                 std::to_string(v_.tokens.size()) + " tokens");
    }
    if (!v_.add_space_prefix.value_or(true)) return Bad("tokenizer.ggml.add_space_prefix false is not implemented");
    parts_.alphabet = Alphabet::kCharacters;
    parts_.pattern = WordPattern::kWhole;
    parts_.normalizer = Normalizer::kSpaceBefore;
    bos_by_default_ = v_.bos >= 0;
    parts_.byte_tokens.assign(256, -1);
    parts_.tokens.resize(v_.tokens.size());
    TextIndex plain;
    plain.Reserve(v_.tokens.size());
    std::vector<int32_t> by_score;
    for (size_t id = 0; id < v_.tokens.size(); ++id) {
      R1_ASSIGN(const int32_t type, TypeOf(id));
      if (type == kUnknown) parts_.unknown = static_cast<int32_t>(id);
      if (type == kByte) {
        const int byte = ReadByteToken(v_.tokens[id]);
        if (byte < 0) return Bad("byte token " + std::to_string(id) + " is " + Quote(v_.tokens[id]) + ", not <0xNN>");
        parts_.tokens[id] = std::string(1, static_cast<char>(byte));
        parts_.byte_tokens[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
      }
      if (type != kNormal && type != kUnused) continue;
      if (!std::isfinite(v_.scores[id])) return Bad("the score of token " + std::to_string(id) + " is not finite");
      parts_.tokens[id] = ReadSpelledCharacters(v_.tokens[id]);
      if (plain.Insert(parts_.tokens, static_cast<int32_t>(id)) != static_cast<int32_t>(id)) {
        return Bad("token " + Quote(parts_.tokens[id]) + " occurs twice");
      }
      by_score.push_back(static_cast<int32_t>(id));
    }
    std::stable_sort(by_score.begin(), by_score.end(), [&](int32_t a, int32_t b) {
      return v_.scores[static_cast<size_t>(a)] > v_.scores[static_cast<size_t>(b)];
    });
    return MergesByScore(by_score, plain);
  }

  // Every way to cut a token into two tokens; the rank is that of its score.
  Status MergesByScore(const std::vector<int32_t>& by_score, const TextIndex& plain) {
    constexpr size_t kMaxCharacters = 256;  // longer tokens of published vocabularies: none above 100
    int32_t rank = -1;
    float score = 0;
    for (const int32_t id : by_score) {
      const std::string_view token = parts_.tokens[static_cast<size_t>(id)];
      if (token.size() > kMaxCharacters) return Bad("token " + std::to_string(id) + " is longer than 256 bytes");
      if (rank < 0 || v_.scores[static_cast<size_t>(id)] != score) ++rank;
      score = v_.scores[static_cast<size_t>(id)];
      for (size_t cut = 1; cut < token.size(); ++cut) {
        if ((static_cast<unsigned char>(token[cut]) & 0xC0) == 0x80) continue;
        const int32_t left = plain.Find(parts_.tokens, token.substr(0, cut));
        const int32_t right = left < 0 ? -1 : plain.Find(parts_.tokens, token.substr(cut));
        if (right < 0) continue;
        if (parts_.merges.size() == kMaxMerges) return Bad("the tokens can be joined in more than 2,000,000 ways");
        parts_.merges.emplace_back(left, right);
        parts_.merge_ranks.push_back(rank);
      }
    }
    return {};
  }

  const GgufVocabulary& v_;
  std::string where_;
  TokenizerParts parts_;
  bool bos_by_default_ = false;
};

}  // namespace

Result<Tokenizer> TokenizerFromGguf(const GgufVocabulary& vocabulary, std::string_view where) {
  R1_ASSIGN(TokenizerParts parts, Reader(vocabulary, where).Read());
  return Tokenizer::FromParts(std::move(parts), where);
}

}  // namespace r1
