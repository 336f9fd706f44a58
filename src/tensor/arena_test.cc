// The bump allocator: alignment, separation of live allocations, marks, and the steady state without system
// allocations.
#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace r1 {
namespace {

struct Block {
  unsigned char* data;
  size_t bytes;
  unsigned char value;
};

// Fills every block with a value of its own and checks that none disturbed another.
void ExpectSeparate(const std::vector<Block>& blocks) {
  for (const Block& b : blocks) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data) % 64, 0u);
    EXPECT_TRUE(std::all_of(b.data, b.data + b.bytes, [&](unsigned char c) { return c == b.value; }));
  }
}

Block Take(Arena& arena, size_t bytes, size_t n) {
  Block b{arena.Array<unsigned char>(static_cast<int64_t>(bytes)), bytes, static_cast<unsigned char>(n)};
  std::fill(b.data, b.data + bytes, b.value);
  return b;
}

TEST(Arena, LiveAllocationsAreAlignedAndSeparate) {
  Arena arena(1024);
  Rng rng(1, Stream::kTest);
  std::vector<Block> blocks;
  for (size_t i = 0; i < 300; ++i)
    blocks.push_back(Take(arena, static_cast<size_t>(rng.Below(i % 50 == 0 ? 20000 : 300)), i));
  ExpectSeparate(blocks);
}

TEST(Arena, ReleaseMakesRoomAndKeepsWhatWasBefore) {
  Arena arena(256);
  std::vector<Block> kept{Take(arena, 100, 1)};
  const Arena::Mark mark = arena.GetMark();
  unsigned char* first = arena.Array<unsigned char>(64);
  for (int i = 0; i < 20; ++i) Take(arena, 1000, 7);  // new chunks
  const size_t held = arena.allocated_bytes();
  arena.Release(mark);
  EXPECT_EQ(arena.Array<unsigned char>(64), first);
  arena.Release(mark);
  for (int i = 0; i < 20; ++i) Take(arena, 1000, 9);
  EXPECT_EQ(arena.allocated_bytes(), held) << "chunks are used again";
  ExpectSeparate(kept);

  // Scopes nest; a chunk that is too small for what comes next is replaced and nothing live is lost.
  {
    const ArenaScope outer(arena);
    kept.push_back(Take(arena, 500, 3));
    {
      const ArenaScope inner(arena);
      Take(arena, 100000, 4);
    }
    kept.push_back(Take(arena, 200000, 5));
    ExpectSeparate(kept);
  }
  kept.resize(1);
  ExpectSeparate(kept);
}

TEST(Arena, ResetJoinsChunksAndThenNeverGrows) {
  Arena arena(64);
  const auto step = [&] {
    arena.Reset();
    std::vector<Block> blocks;
    for (size_t i = 0; i < 40; ++i) blocks.push_back(Take(arena, 100 + 977 * (i % 7), i));
    ExpectSeparate(blocks);
    return arena.allocated_bytes();
  };
  step();
  const size_t after_second = step();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(), after_second);
}

TEST(Arena, ZeroedAndNew) {
  Arena arena(64);
  std::fill_n(arena.Array<int64_t>(100), 100, int64_t{-1});
  arena.Reset();
  const int64_t* zero = arena.Zeroed<int64_t>(100);
  EXPECT_TRUE(std::all_of(zero, zero + 100, [](int64_t x) { return x == 0; }));
  struct Thing {
    int a = 5;
    double b = 2.5;
  };
  const Thing* thing = arena.New<Thing>();
  EXPECT_EQ(thing->a, 5);
  EXPECT_EQ(thing->b, 2.5);
}

}  // namespace
}  // namespace r1
