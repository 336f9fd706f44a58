// Buffers for tensors: 64-byte aligned, zeroed, huge pages where they are large. Out of memory is exit code 75 with the
// bytes that were wanted, or an Error from Create.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace r1 {

// nullptr if the memory cannot be had. bytes > 0.
void* AllocateZeroed(int64_t bytes);
void FreeAllocated(void* pointer, int64_t bytes);
Error OutOfMemoryError(int64_t bytes);
// Prints the error and exits with code 75.
[[noreturn]] void OutOfMemory(int64_t bytes);

int64_t PeakRssBytes();      // highest resident memory of this process so far
int64_t TotalMemoryBytes();  // of the machine, or the control group's limit if lower
int64_t FreeMemoryBytes();   // an estimate of what can still be allocated without swapping

template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  AlignedBuffer() = default;
  // count >= 0 elements, all zero.
  explicit AlignedBuffer(int64_t count) {
    if (!Allocate(count)) OutOfMemory(Bytes(count));
  }
  static Result<AlignedBuffer> Create(int64_t count) {
    AlignedBuffer buffer;
    if (!buffer.Allocate(count)) return OutOfMemoryError(Bytes(count));
    return Result<AlignedBuffer>(std::move(buffer));
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() {
    if (data_ != nullptr) FreeAllocated(data_, Bytes(size_));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  static int64_t Bytes(int64_t count) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    return count < 0 || count > kMax / static_cast<int64_t>(sizeof(T)) ? kMax : count * static_cast<int64_t>(sizeof(T));
  }
  bool Allocate(int64_t count) {
    if (count == 0) return true;
    data_ = static_cast<T*>(AllocateZeroed(Bytes(count)));
    size_ = data_ == nullptr ? 0 : count;
    return data_ != nullptr;
  }
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace r1
