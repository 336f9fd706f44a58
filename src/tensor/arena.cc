#include "tensor/arena.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/check.h"

namespace r1 {

Arena::Arena(size_t first_chunk_bytes) {
  chunks_.push_back(MakeChunk(first_chunk_bytes));
  next_ = chunks_[0].data;
  end_ = next_ + chunks_[0].bytes;
}

Arena::Chunk Arena::MakeChunk(size_t bytes) {
  Chunk chunk;
  chunk.owner.reset(new (std::nothrow) std::byte[bytes + 64]);
  if (chunk.owner == nullptr) {
    CheckFailed(__FILE__, __LINE__, "out of memory",
                "cannot allocate " + std::to_string(bytes >> 20) +
                    " MiB of working memory; use fewer tokens per step or a smaller model");
  }
  const auto address = reinterpret_cast<uintptr_t>(chunk.owner.get());
  chunk.data = chunk.owner.get() + ((address + 63) / 64 * 64 - address);
  chunk.bytes = bytes;
  return chunk;
}

void Arena::Grow(size_t need) {
  if (current_ + 1 < chunks_.size() && chunks_[current_ + 1].bytes >= need) {
    ++current_;
  } else {
    chunks_.resize(current_ + 1);
    chunks_.push_back(MakeChunk(std::max(need, chunks_[current_].bytes * 2)));
    ++current_;
  }
  next_ = chunks_[current_].data;
  end_ = next_ + chunks_[current_].bytes;
}

void Arena::Release(Mark mark) {
  R1_CHECK(mark.chunk < chunks_.size(), "mark of another arena");
  current_ = mark.chunk;
  next_ = mark.next;
  end_ = chunks_[current_].data + chunks_[current_].bytes;
}

void Arena::Reset() {
  if (chunks_.size() > 1) {
    size_t total = 0;
    for (const Chunk& chunk : chunks_) total += chunk.bytes;
    chunks_.clear();
    chunks_.push_back(MakeChunk(total));
  }
  current_ = 0;
  next_ = chunks_[0].data;
  end_ = next_ + chunks_[0].bytes;
}

size_t Arena::allocated_bytes() const {
  size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.bytes;
  return total;
}

}  // namespace r1
