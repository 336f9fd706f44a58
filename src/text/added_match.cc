#include "text/added_match.h"

#include <algorithm>
#include <numeric>

namespace r1 {

AddedMatcher::AddedMatcher(const std::vector<std::string>& texts) {
  std::vector<int32_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0);
  const auto text = [&](int32_t i) -> const std::string& { return texts[static_cast<size_t>(i)]; };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::lexicographical_compare(
        text(a).rbegin(), text(a).rend(), text(b).rbegin(), text(b).rend(),
        [](char x, char y) { return static_cast<unsigned char>(x) < static_cast<unsigned char>(y); });
  });
  for (const std::string& t : texts) lengths_.push_back(static_cast<uint32_t>(t.size()));
  // A node is a range of `order` whose reversed texts share their first `depth` bytes.
  struct Range {
    size_t begin;
    size_t end;
    size_t depth;
  };
  std::vector<Range> level = {{0, order.size(), 0}};
  std::vector<Range> next_level;
  std::vector<int32_t> parent = {0};
  fail_.push_back(0);
  byte_.push_back(0);
  longest_.push_back(-1);
  root_child_.fill(-1);
  while (!level.empty()) {
    next_level.clear();
    int32_t node = static_cast<int32_t>(first_child_.size());
    for (Range range : level) {
      first_child_.push_back(static_cast<int32_t>(byte_.size()));
      if (range.depth > 0 && text(order[range.begin]).size() == range.depth) {
        longest_[static_cast<size_t>(node)] = order[range.begin++];  // the shortest sorts first; all are different
      }
      while (range.begin < range.end) {
        const auto byte_at = [&](size_t i) {
          const std::string& t = text(order[i]);
          return static_cast<unsigned char>(t[t.size() - 1 - range.depth]);
        };
        const unsigned char byte = byte_at(range.begin);
        size_t end = range.begin;
        while (end < range.end && byte_at(end) == byte) ++end;
        if (node == 0) root_child_[byte] = static_cast<int32_t>(byte_.size());
        next_level.push_back({range.begin, end, range.depth + 1});
        byte_.push_back(byte);
        parent.push_back(node);
        fail_.push_back(0);
        longest_.push_back(-1);
        range.begin = end;
      }
      ++node;
    }
    level.swap(next_level);
  }
  first_child_.push_back(static_cast<int32_t>(byte_.size()));
  for (size_t node = 1; node < byte_.size(); ++node) {
    const auto above = static_cast<size_t>(parent[node]);
    int32_t fail = above == 0 ? 0 : fail_[above];
    if (above != 0) {
      while (fail != 0 && Child(fail, byte_[node]) < 0) fail = fail_[static_cast<size_t>(fail)];
      fail = std::max(0, Child(fail, byte_[node]));
    }
    fail_[node] = fail;
    if (longest_[node] < 0) longest_[node] = longest_[static_cast<size_t>(fail)];
  }
}

int32_t AddedMatcher::Child(int32_t node, unsigned char byte) const {
  if (node == 0) return root_child_[byte];
  const auto begin = byte_.begin() + first_child_[static_cast<size_t>(node)];
  const auto end = byte_.begin() + first_child_[static_cast<size_t>(node) + 1];
  const auto found = std::lower_bound(begin, end, byte);
  return found != end && *found == byte ? static_cast<int32_t>(found - byte_.begin()) : -1;
}

AddedMatcher::Match AddedMatcher::Matches::back() const {
  const auto index = static_cast<int32_t>(packed_.back() & 0xFFFFFF);
  const auto begin = static_cast<size_t>(packed_.back() >> 24);
  return {begin, begin + matcher_->lengths_[static_cast<size_t>(index)], index};
}

AddedMatcher::Matches AddedMatcher::FindAll(std::string_view text) const {
  Matches matches;
  matches.matcher_ = this;
  if (empty()) return matches;
  int32_t node = 0;
  for (size_t at = text.size(); at-- > 0;) {
    const auto byte = static_cast<unsigned char>(text[at]);
    int32_t child = Child(node, byte);
    ++matches.steps;
    while (child < 0 && node != 0) {
      node = fail_[static_cast<size_t>(node)];
      child = Child(node, byte);
      ++matches.steps;
    }
    node = std::max(0, child);
    if (const int32_t index = longest_[static_cast<size_t>(node)]; index >= 0) {
      matches.packed_.push_back(static_cast<uint64_t>(at) << 24 | static_cast<uint64_t>(index));
    }
  }
  return matches;
}

}  // namespace r1
