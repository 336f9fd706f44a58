// Merging of byte-pair encoding: again and again the neighbouring pair of lowest rank is joined, the leftmost first
// among equal ranks, until no pair has a merge. The result is that of this definition for any ranks, also where a
// merge's product takes part in a merge of lower rank.
// A run of n units costs O(n log n): short runs are searched pair by pair; long ones are cut where no merge can ever
// join two units, and each part keeps the places of its pairs by rank. Long parts need about 8 bytes a unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

// Open-addressed set of ids by the texts they stand for; the texts live in the caller's list.
class TextIndex {
 public:
  void Reserve(size_t count);  // before the first Insert; no more than `count` may follow
  // The id that has this text already, `id` if it is new, or -1 where so many texts share a hash that the file is
  // refused: a search would not be O(1).
  int32_t Insert(const std::vector<std::string>& texts, int32_t id);
  int32_t Find(const std::vector<std::string>& texts, std::string_view text) const;  // -1 if there is none

 private:
  std::vector<int32_t> slots_;
};

struct Merge {
  int32_t rank;
  int32_t id;
};

class BpeMerger {
 public:
  // Memory of one call, reused between its words.
  struct Scratch {
    struct Places {  // where pairs of one rank are or were, in ascending order; late comers apart
      std::deque<uint32_t> run;
      std::vector<uint32_t> late;  // a heap, least first
    };
    std::vector<int32_t> units;
    std::vector<int32_t> places_of_rank;  // index into places, or -1
    std::vector<Places> places;
    std::vector<int32_t> unused;  // of places
    std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ranks;
    int64_t steps = 0;  // pairs looked at: what the time is proportional to, but for a logarithm
  };

  // `lengths`: units that each id stands for, 1 for those that are units; the product of a merge has the sum.
  void Start(std::vector<int32_t> lengths, size_t merge_count);
  enum class Added { kYes, kTwice, kCrowded };  // kCrowded: as TextIndex::Insert's -1
  Added Add(int32_t left, int32_t right, Merge merge);
  // Says that the unit b may stand right of a inside a product; units never named so are never joined across.
  void Allow(int32_t a, int32_t b);

  const Merge* Find(int32_t left, int32_t right) const;

  // A run of units is given one by one; what is certain is appended to `out` at once.
  void Push(int32_t unit, Scratch& scratch, std::vector<int32_t>& out) const {
    if (scratch.units.size() >= kShort &&
        (!Allowed(scratch.units.back(), unit) || scratch.units.size() >= kMostUnits)) {
      Flush(scratch, out);
    }
    scratch.units.push_back(unit);
  }
  void Flush(Scratch& scratch, std::vector<int32_t>& out) const;  // ends the run

 private:
  static constexpr size_t kShort = 24;
  static constexpr size_t kMostUnits = size_t{1} << 30;  // a longer run is cut here
  struct Slot {
    uint64_t key = kNone;
    Merge merge{-1, -1};
  };
  static constexpr uint64_t kNone = ~uint64_t{0};

  bool Allowed(int32_t a, int32_t b) const;
  void MergeShort(int32_t* units, size_t count, Scratch& scratch, std::vector<int32_t>& out) const;
  void MergeLong(Scratch& scratch, std::vector<int32_t>& out) const;
  void Offer(size_t at, size_t next, Scratch& scratch) const;

  std::vector<int32_t> lengths_;
  std::vector<Slot> slots_;
  std::vector<uint64_t> allowed_;  // open-addressed set of pairs of units
  size_t allowed_count_ = 0;
  int32_t rank_count_ = 0;
};

}  // namespace r1
