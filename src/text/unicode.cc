#include "text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"

namespace r1 {
namespace {

uint8_t ClassFromIcu(int32_t code) {
  const uint32_t mask = U_GET_GC_MASK(code);
  uint8_t type = 0;
  if ((mask & U_GC_L_MASK) != 0) type = kLetter;
  if ((mask & U_GC_N_MASK) != 0) type = kNumber;
  if ((mask & U_GC_M_MASK) != 0) type = kMark;
  if ((mask & U_GC_P_MASK) != 0) type = kPunctuation;
  if ((mask & U_GC_S_MASK) != 0) type = kSymbol;
  return static_cast<uint8_t>(type | (IsUnicodeSpace(code) ? kSpace : 0));
}

const UNormalizer2& Nfc() {
  static const UNormalizer2* const nfc = [] {
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2* instance = unorm2_getNFCInstance(&error);
    R1_CHECK(U_SUCCESS(error), "ICU has no data for normalization form C");
    return instance;
  }();
  return *nfc;
}

// One combining sequence: code points with their combining classes.
class Sequence {
 public:
  void Clear() { marks_.clear(); }

  void Add(int32_t code) {
    constexpr int32_t kMost = 32;  // UTF-16 units; the longest full canonical decomposition has 4
    std::array<UChar, kMost> units{};
    UErrorCode error = U_ZERO_ERROR;
    const int32_t length = unorm2_getDecomposition(&Nfc(), code, units.data(), kMost, &error);
    if (length < 0 || U_FAILURE(error)) return Push(code);
    for (int32_t i = 0; i < length;) {
      UChar32 part = 0;
      U16_NEXT(units, i, length, part);
      Push(part);
    }
  }

  // Canonical order, then composition (Unicode Standard, 3.11: D108, D115, D117).
  void AppendComposed(std::string* out) {
    for (size_t begin = 0; begin < marks_.size(); ++begin) {
      if (marks_[begin].second == 0) continue;
      size_t end = begin;
      while (end < marks_.size() && marks_[end].second != 0) ++end;
      const auto by_class = [](const Mark& a, const Mark& b) { return a.second < b.second; };
      std::stable_sort(marks_.begin() + static_cast<ptrdiff_t>(begin), marks_.begin() + static_cast<ptrdiff_t>(end),
                       by_class);
      begin = end - 1;
    }
    size_t starter = marks_.size();  // index of the last starter among those kept, or none
    size_t kept = 0;
    int last_class = 0;  // of the last one kept after the starter
    for (const Mark& mark : marks_) {
      const bool blocked = starter < kept && kept > starter + 1 && (last_class >= mark.second || last_class == 0);
      if (starter < kept && !blocked) {
        const int32_t both = unorm2_composePair(&Nfc(), marks_[starter].first, mark.first);
        if (both >= 0) {
          marks_[starter].first = both;
          continue;
        }
      }
      if (mark.second == 0) starter = kept;
      last_class = mark.second;
      marks_[kept++] = mark;
    }
    for (size_t i = 0; i < kept; ++i) AppendUtf8(marks_[i].first, out);
  }

 private:
  using Mark = std::pair<int32_t, uint8_t>;
  void Push(int32_t code) { marks_.emplace_back(code, unorm2_getCombiningClass(&Nfc(), code)); }
  std::vector<Mark> marks_;
};

// True if nothing before this character can change it or be changed by it.
bool BeginsSequence(const Utf8Character& c) { return c.code < 0x300 || unorm2_hasBoundaryBefore(&Nfc(), c.code) != 0; }

}  // namespace

Utf8Character Utf8At(std::string_view text, size_t at) {
  const int length = Utf8Length(text.substr(at, 4));
  if (length == 0) return {-1, 1};
  const auto byte = [&](int i) { return static_cast<unsigned char>(text[at + static_cast<size_t>(i)]); };
  if (length == 1) return {byte(0), 1};
  int32_t code = byte(0) & (0x7F >> length);
  for (int i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3F);
  return {code, length};
}

Utf8Character Utf8Before(std::string_view text, size_t begin, size_t end) {
  size_t at = end - 1;  // back to the first byte of the character
  while (at > begin && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  const Utf8Character c = Utf8At(text.substr(0, end), at);
  return at + static_cast<size_t>(c.length) == end ? c : Utf8Character{-1, 1};
}

void AppendUtf8(int32_t code, std::string* text) {
  const auto tail = [&](int shift) { *text += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    *text += static_cast<char>(code);
  } else if (code < 0x800) {
    *text += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    *text += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    *text += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsUnicodeSpace(int32_t code) {
  if (code <= 0x20) return code == 0x20 || (code >= 0x09 && code <= 0x0D);
  if (code < 0x85) return false;
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

uint8_t ClassOf(int32_t code) {
  static const std::array<uint8_t, 0x800> kTable = [] {
    std::array<uint8_t, 0x800> table{};
    for (int32_t c = 0; c < 0x800; ++c) table[static_cast<size_t>(c)] = ClassFromIcu(c);
    return table;
  }();
  if (code < 0) return 0;
  return code < 0x800 ? kTable[static_cast<size_t>(code)] : ClassFromIcu(code);
}

bool IsWordCharacter(int32_t code) {
  if (code < 0) return false;
  if ((U_GET_GC_MASK(code) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0) return true;
  return u_hasBinaryProperty(code, UCHAR_ALPHABETIC) != 0 || code == 0x200C || code == 0x200D;
}

std::string_view ToNfc(std::string_view text, std::string* buffer) {
  // What may stay as it is: characters below U+0300, and inert ones, each followed by the begin of a sequence.
  const auto plain = [&](const Utf8Character& c) { return c.code < 0x300 || unorm2_isInert(&Nfc(), c.code) != 0; };
  bool copying = false;  // *buffer holds the form of text[0, kept)
  size_t kept = 0;
  Sequence sequence;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    size_t end = at + static_cast<size_t>(c.length);
    if (c.code < 0 || end == text.size() || static_cast<unsigned char>(text[end]) < 0xCC) {  // U+0300 is CC 80
      if (plain(c)) {
        at = end;
        continue;
      }
    }
    if (plain(c) && BeginsSequence(Utf8At(text, end))) {
      at = end;
      continue;
    }
    sequence.Clear();
    sequence.Add(c.code);
    while (end < text.size()) {
      const Utf8Character next = Utf8At(text, end);
      if (BeginsSequence(next)) break;
      sequence.Add(next.code);
      end += static_cast<size_t>(next.length);
    }
    if (!copying) buffer->clear();
    copying = true;
    buffer->append(text.substr(kept, at - kept));
    sequence.AppendComposed(buffer);
    kept = at = end;
  }
  if (!copying) return text;
  buffer->append(text.substr(kept));
  return *buffer;
}

}  // namespace r1
