#include "text/origin_text.h"

#include <algorithm>

namespace r1 {

bool OriginText::ContentAt(size_t at) const {
  if (at >= bytes_.size()) return false;
  return (std::upper_bound(flips_.begin(), flips_.end(), at) - flips_.begin()) % 2 == 1;
}

void OriginText::Append(std::string_view text, bool content) {
  if (text.empty()) return;
  if (content != OriginAtEnd()) flips_.push_back(static_cast<uint32_t>(bytes_.size()));
  bytes_ += text;
}

void OriginText::AppendSlice(const OriginText& text, size_t begin, size_t end) {
  if (begin >= end) return;
  const auto first = std::upper_bound(text.flips_.begin(), text.flips_.end(), begin);
  const auto last = std::lower_bound(first, text.flips_.end(), end);
  const bool content = (first - text.flips_.begin()) % 2 == 1;
  if (content != OriginAtEnd()) flips_.push_back(static_cast<uint32_t>(bytes_.size()));
  for (auto flip = first; flip != last; ++flip) {
    flips_.push_back(static_cast<uint32_t>(bytes_.size() + (*flip - begin)));
  }
  bytes_.append(text.bytes_, begin, end - begin);
}

OriginText OriginText::Slice(size_t begin, size_t end) const {
  OriginText slice;
  slice.AppendSlice(*this, begin, end);
  return slice;
}

}  // namespace r1
