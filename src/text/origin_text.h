// A text that knows of every byte whether it comes from the template (scaffold) or from a variable (content). Rendering
// a chat template keeps this through every operation on strings, so that later only scaffold can become special tokens.
// Stored as the bytes and the offsets at which the origin changes, beginning with scaffold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

class OriginText {
 public:
  OriginText() = default;
  OriginText(std::string bytes, bool content) : bytes_(std::move(bytes)) {
    if (content && !bytes_.empty()) flips_.push_back(0);
  }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool HasContent() const { return !flips_.empty(); }
  // Of the byte at `at`; false at the end.
  bool ContentAt(size_t at) const;
  // What the text costs in memory.
  size_t Cost() const { return bytes_.size() + flips_.size() * sizeof(uint32_t); }

  void Append(std::string_view text, bool content);
  void Append(const OriginText& text) { AppendSlice(text, 0, text.size()); }
  // text[begin, end) with its origins; text is another object.
  void AppendSlice(const OriginText& text, size_t begin, size_t end);
  OriginText Slice(size_t begin, size_t end) const;

  // visit(stretch, content) for each maximal stretch of one origin, in order.
  template <class Visit>
  void ForEachStretch(Visit&& visit) const {
    size_t begin = 0;
    for (size_t i = 0; begin < bytes_.size(); ++i) {
      const size_t end = i < flips_.size() ? flips_[i] : bytes_.size();
      if (end > begin) visit(std::string_view(bytes_).substr(begin, end - begin), i % 2 == 1);
      begin = end;
    }
  }

 private:
  bool OriginAtEnd() const { return flips_.size() % 2 == 1; }

  std::string bytes_;
  std::vector<uint32_t> flips_;  // increasing, each below size()
};

}  // namespace r1
