// A bump allocator for the tensors of one step: allocation is an addition, release is a reset. The first steps find out
// how much is needed (chunks are added); Reset() then joins them into one chunk, so the steady state never calls
// malloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace r1 {

class Arena {
 public:
  explicit Arena(size_t first_chunk_bytes = size_t{1} << 20);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // 64-byte aligned, not zeroed. The objects' destructors never run.
  void* Bytes(size_t bytes) {
    const size_t need = (bytes + 63) & ~size_t{63};
    if (need > static_cast<size_t>(end_ - next_)) Grow(need);
    void* p = next_;
    next_ += need;
    return p;
  }
  template <class T>
  T* Array(int64_t count) {
    return static_cast<T*>(Bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  template <class T>
  T* Zeroed(int64_t count);
  template <class T>
  T* New() {
    return new (Bytes(sizeof(T))) T();
  }

  // Everything allocated since becomes free again. A mark is valid until an earlier mark is released.
  struct Mark {
    size_t chunk;
    std::byte* next;
  };
  Mark GetMark() const { return {current_, next_}; }
  void Release(Mark mark);
  void Reset();
  size_t allocated_bytes() const;  // held from the system

 private:
  struct Chunk {
    std::byte* data;
    size_t bytes;
    std::unique_ptr<std::byte[]> owner;
  };
  static Chunk MakeChunk(size_t bytes);
  void Grow(size_t need);
  std::vector<Chunk> chunks_;
  size_t current_ = 0;
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
};

// Frees what was allocated in a block when the block ends.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.GetMark()) {}
  ~ArenaScope() { arena_.Release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

template <class T>
T* Arena::Zeroed(int64_t count) {
  T* p = Array<T>(count);
  __builtin_memset(static_cast<void*>(p), 0, static_cast<size_t>(count) * sizeof(T));
  return p;
}

}  // namespace r1
