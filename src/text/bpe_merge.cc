#include "text/bpe_merge.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace r1 {
namespace {

constexpr size_t kMostProbes = 4096;  // neighbours in a table at most 5/8 full are far fewer unless keys were chosen so

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t SlotOf(uint64_t key, size_t slot_count) {
  key ^= key >> 32;
  key *= 0x9E3779B97F4A7C15u;
  key ^= key >> 29;
  key *= 0xBF58476D1CE4E5B9u;
  return static_cast<size_t>(key >> 20) & (slot_count - 1);
}

size_t TableSize(size_t count) {
  size_t size = 16;
  while (size * 5 < count * 8) size *= 2;
  return size;
}

}  // namespace

void TextIndex::Reserve(size_t count) { slots_.assign(TableSize(count), -1); }

int32_t TextIndex::Insert(const std::vector<std::string>& texts, int32_t id) {
  const std::string& text = texts[static_cast<size_t>(id)];
  size_t slot = SlotOf(std::hash<std::string_view>()(text), slots_.size());
  for (size_t probe = 0; probe < kMostProbes; ++probe) {
    int32_t& there = slots_[slot];
    if (there < 0) return there = id;
    if (texts[static_cast<size_t>(there)] == text) return there;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return -1;
}

int32_t TextIndex::Find(const std::vector<std::string>& texts, std::string_view text) const {
  if (slots_.empty()) return -1;
  size_t slot = SlotOf(std::hash<std::string_view>()(text), slots_.size());
  while (slots_[slot] >= 0 && texts[static_cast<size_t>(slots_[slot])] != text) slot = (slot + 1) & (slots_.size() - 1);
  return slots_[slot];
}

void BpeMerger::Start(std::vector<int32_t> lengths, size_t merge_count) {
  lengths_ = std::move(lengths);
  slots_.assign(TableSize(merge_count), Slot{});
  allowed_.assign(64, kNone);
  allowed_count_ = 0;
  rank_count_ = 0;
}

BpeMerger::Added BpeMerger::Add(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = PairKey(left, right);
  size_t slot = SlotOf(key, slots_.size());
  for (size_t probe = 0; probe < kMostProbes; ++probe) {
    if (slots_[slot].key == key) return Added::kTwice;
    if (slots_[slot].key == kNone) {
      slots_[slot] = {key, merge};
      rank_count_ = std::max(rank_count_, merge.rank + 1);
      return Added::kYes;
    }
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return Added::kCrowded;
}

const Merge* BpeMerger::Find(int32_t left, int32_t right) const {
  const uint64_t key = PairKey(left, right);
  for (size_t slot = SlotOf(key, slots_.size());; slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].key == key) return &slots_[slot].merge;
    if (slots_[slot].key == kNone) return nullptr;
  }
}

void BpeMerger::Allow(int32_t a, int32_t b) {
  const auto insert = [this](uint64_t key) {
    size_t slot = SlotOf(key, allowed_.size());
    while (allowed_[slot] != kNone && allowed_[slot] != key) slot = (slot + 1) & (allowed_.size() - 1);
    const bool fresh = allowed_[slot] == kNone;
    allowed_[slot] = key;
    return fresh;
  };
  if (!insert(PairKey(a, b))) return;
  if (++allowed_count_ * 2 < allowed_.size()) return;
  std::vector<uint64_t> old(allowed_.size() * 2, kNone);
  old.swap(allowed_);
  for (const uint64_t key : old) {
    if (key != kNone) insert(key);
  }
}

bool BpeMerger::Allowed(int32_t a, int32_t b) const {
  const uint64_t key = PairKey(a, b);
  size_t slot = SlotOf(key, allowed_.size());
  while (allowed_[slot] != kNone && allowed_[slot] != key) slot = (slot + 1) & (allowed_.size() - 1);
  return allowed_[slot] == key;
}

void BpeMerger::Flush(Scratch& scratch, std::vector<int32_t>& out) const {
  if (scratch.units.size() <= 2 * kShort) {
    MergeShort(scratch.units.data(), scratch.units.size(), scratch, out);
  } else {
    MergeLong(scratch, out);
  }
  scratch.units.clear();
  if (scratch.units.capacity() > size_t{1} << 20) std::vector<int32_t>().swap(scratch.units);
}

void BpeMerger::MergeShort(int32_t* units, size_t count, Scratch& scratch, std::vector<int32_t>& out) const {
  constexpr int32_t kNoMerge = std::numeric_limits<int32_t>::max();
  std::array<Merge, 2 * kShort> merge;  // of the pair that begins at a place
  const auto look = [&](size_t at) {
    const Merge* found = at + 1 < count ? Find(units[at], units[at + 1]) : nullptr;
    ++scratch.steps;
    merge[at] = found != nullptr ? *found : Merge{kNoMerge, -1};
  };
  for (size_t i = 0; i < count; ++i) look(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merge[i].rank < merge[best].rank) best = i;
    }
    if (merge[best].rank == kNoMerge) break;
    units[best] = merge[best].id;
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      units[i] = units[i + 1];
      merge[i] = merge[i + 1];
    }
    look(best);
    if (best > 0) look(best - 1);
  }
  out.insert(out.end(), units, units + count);
}

void BpeMerger::Offer(size_t at, size_t next, Scratch& scratch) const {
  ++scratch.steps;
  const Merge* merge = Find(scratch.units[at], scratch.units[next]);
  if (merge == nullptr) return;
  int32_t& index = scratch.places_of_rank[static_cast<size_t>(merge->rank)];
  if (index < 0) {
    if (scratch.unused.empty()) {
      scratch.unused.push_back(static_cast<int32_t>(scratch.places.size()));
      scratch.places.emplace_back();
    }
    index = scratch.unused.back();
    scratch.unused.pop_back();
    scratch.ranks.push(merge->rank);
  }
  Scratch::Places& places = scratch.places[static_cast<size_t>(index)];
  const auto place = static_cast<uint32_t>(at);
  if (places.run.empty() || places.run.back() < place) {
    places.run.push_back(place);
  } else if (places.run.back() != place) {
    places.late.push_back(place);
    std::push_heap(places.late.begin(), places.late.end(), std::greater<>());
  }
}

// The units array holds the symbols in place: a symbol's id stands at its first unit; its other units are negative, and
// the last of them is minus the symbol's length, so that the symbol to the left can be found. A place in a list is
// stale, and skipped, if the pair there no longer has the list's rank.
void BpeMerger::MergeLong(Scratch& scratch, std::vector<int32_t>& out) const {
  std::vector<int32_t>& units = scratch.units;
  const size_t count = units.size();
  scratch.places_of_rank.resize(static_cast<size_t>(rank_count_), -1);
  const auto length = [&](size_t at) { return static_cast<size_t>(lengths_[static_cast<size_t>(units[at])]); };
  for (size_t i = 0; i + 1 < count; ++i) Offer(i, i + 1, scratch);
  while (!scratch.ranks.empty()) {
    const int32_t rank = scratch.ranks.top();
    int32_t& index = scratch.places_of_rank[static_cast<size_t>(rank)];
    Scratch::Places& places = scratch.places[static_cast<size_t>(index)];
    size_t at = 0;
    if (places.late.empty() || (!places.run.empty() && places.run.front() <= places.late.front())) {
      at = places.run.front();
      places.run.pop_front();
    } else {
      at = places.late.front();
      std::pop_heap(places.late.begin(), places.late.end(), std::greater<>());
      places.late.pop_back();
    }
    if (places.run.empty() && places.late.empty()) {
      scratch.unused.push_back(std::exchange(index, -1));
      scratch.ranks.pop();
    }
    ++scratch.steps;
    if (units[at] < 0) continue;
    const size_t left_length = length(at);
    const size_t right = at + left_length;
    if (right >= count) continue;
    const Merge* merge = Find(units[at], units[right]);
    if (merge == nullptr || merge->rank != rank) continue;
    const size_t both = left_length + length(right);
    units[right] = -1;
    units[at] = merge->id;
    units[at + both - 1] = -static_cast<int32_t>(both);
    if (at > 0) Offer(units[at - 1] >= 0 ? at - 1 : at - static_cast<size_t>(-units[at - 1]), at, scratch);
    if (at + both < count) Offer(at, at + both, scratch);
  }
  for (size_t at = 0; at < count; at += length(at)) out.push_back(units[at]);
}

}  // namespace r1
