// Search for many texts at once: at every place of a text, the longest of them that begins there (Aho and Corasick
// 1975, run over the reversed texts from the end, where the longest suffix found is the longest that begins). Time is
// linear in the text whatever it holds and however the searched texts share beginnings and ends; memory is 8 bytes for
// each place where one begins.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

class AddedMatcher {
 public:
  // texts: none empty, all different, at most 2^23 of them.
  explicit AddedMatcher(const std::vector<std::string>& texts = {});
  bool empty() const { return lengths_.empty(); }

  struct Match {
    size_t begin;
    size_t end;
    int32_t index;  // into the constructor's list
  };
  // Matches by falling begin: back() is the leftmost. Only one is at a place, but they may overlap.
  class Matches {
   public:
    bool empty() const { return packed_.empty(); }
    Match back() const;
    void pop_back() { packed_.pop_back(); }
    int64_t steps = 0;  // transitions tried

   private:
    friend class AddedMatcher;
    const AddedMatcher* matcher_ = nullptr;
    std::vector<uint64_t> packed_;  // begin << 24 | index
  };
  Matches FindAll(std::string_view text) const;

 private:
  int32_t Child(int32_t node, unsigned char byte) const;

  // Nodes in breadth-first order: the children of a node are neighbours, sorted by their byte.
  std::vector<int32_t> first_child_;  // and one more at the end
  std::vector<unsigned char> byte_;
  std::vector<int32_t> fail_;
  std::vector<int32_t> longest_;  // text that ends here, or at the nearest node by fail links; -1
  std::vector<uint32_t> lengths_;
  std::array<int32_t, 256> root_child_{};
};

}  // namespace r1
