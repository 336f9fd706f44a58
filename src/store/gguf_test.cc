#include "store/gguf.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>

#include "base/io_fault.h"
#include "base/memory.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

// Bytes of a file, written field by field so that any field can be wrong.
class Bytes {
 public:
  template <class T>
  Bytes& Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& Str(const std::string& text) { return Put(uint64_t{text.size()}).Add(text); }
  Bytes& Add(const std::string& raw) {
    text_ += raw;
    return *this;
  }
  Bytes& Head(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return Add("GGUF").Put(version).Put(tensors).Put(keys);
  }
  Bytes& Key(const std::string& key, GgufType type) { return Str(key).Put(static_cast<uint32_t>(type)); }
  Bytes& ArrayKey(const std::string& key, GgufType element, uint64_t count) {
    return Key(key, GgufType::kArray).Put(static_cast<uint32_t>(element)).Put(count);
  }
  Bytes& Tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    Str(name).Put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) Put(dim);
    return Put(type).Put(offset);
  }
  Bytes& Pad(size_t alignment = 32) {
    text_.resize((text_.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  operator std::string() const { return text_; }

 private:
  std::string text_;
};

constexpr uint64_t kMinusOne = ~uint64_t{0};
constexpr uint64_t kMaxInt64 = uint64_t{1} << 63;

std::string Message(const std::string& file) {
  const auto parsed = GgufFile::Parse(file, "m");
  if (parsed.ok()) return "accepted";
  EXPECT_EQ(parsed.error().code, ErrorCode::kBadInput);
  EXPECT_EQ(parsed.error().message.substr(0, 3), "m: ") << "the file is not named";
  return parsed.error().message;
}

struct Case {
  const char* id;
  std::string file;
  std::string wanted;  // part of the message, or "accepted"
};

void Check(const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    const std::string message = Message(each.file);
    EXPECT_NE(message.find(each.wanted), std::string::npos) << each.id << ": " << message;
    EXPECT_LT(message.size(), 1000u) << each.id;
  }
}

TEST(Gguf, MalformedHeadersAndKeys) {
  const auto key = [](GgufType type) { return Bytes().Head(0, 1).Key("k", type); };
  const auto align = [&](uint32_t value) {
    return Bytes().Head(0, 1).Key("general.alignment", GgufType::kU32).Put(value);
  };
  const auto string_key = [&](uint64_t length, const std::string& text) {
    return key(GgufType::kString).Put(length).Add(text);
  };
  const std::string none(24 + 64, '\0');
  std::string nested = Bytes().Head(0, 1).Key("deep", GgufType::kArray);
  for (int i = 0; i < 10000; ++i) nested += std::string(Bytes().Put(uint32_t{9}).Put(uint64_t{1}));
  nested += std::string(Bytes().Put(uint32_t{0}).Put(uint64_t{0}));
  std::string three_deep = Bytes().Head(0, 1).ArrayKey("k", GgufType::kArray, 2);
  for (int i = 0; i < 2; ++i) {
    three_deep += std::string(Bytes().Put(uint32_t{9}).Put(uint64_t{2}));
    three_deep += std::string(Bytes().Put(uint32_t{0}).Put(uint64_t{3}).Add("abc"));
    three_deep += std::string(Bytes().Put(uint32_t{8}).Put(uint64_t{1}).Str("x"));
  }
  Check({
      {"empty", "", "0 bytes are too few"},
      {"23 bytes", std::string("GGUF") + std::string(19, '\0'), "23 bytes are too few"},
      {"no keys, no tensors", Bytes().Head(0, 0), "accepted"},
      {"the same of version 2", Bytes().Head(0, 0, 2), "accepted"},
      {"G1 magic", std::string("GGML") + none, "does not begin with 'GGUF'"},
      {"G1b another file", std::string("PK\3\4") + none, "does not begin with 'GGUF'"},
      {"G2 version 0", Bytes().Head(0, 0, 0), "version 0 cannot be read"},
      {"G3 version 1", Bytes().Head(0, 0, 1), "version 1 cannot be read"},
      {"G4 version of the future", Bytes().Head(0, 0, 4), "version 4 cannot be read"},
      {"G5 byte-swapped", Bytes().Head(0, 0, 3u << 24), "big-endian"},
      {"G6 tensor count -1", Bytes().Head(kMinusOne, 0).Add(none), "18446744073709551615 tensors are announced"},
      {"G7 key count -1", Bytes().Head(0, kMinusOne).Add(none), "18446744073709551615 keys are announced"},
      {"G8 10^7 keys in 1 kB", Bytes().Head(0, 10'000'000).Add(std::string(1000, '\0')), "10000000 keys"},
      {"G8b 65,536 keys in 1 kB", Bytes().Head(0, 65536).Add(std::string(1000, '\0')), "do not fit into the 1000"},
      {"G8c 65,536 tensors in 1 kB", Bytes().Head(65536, 0).Add(std::string(1000, '\0')), "do not fit into the 1000"},
      {"G9 key length -1", Bytes().Head(0, 1).Put(kMinusOne).Add(none), "18446744073709551615 bytes; at most 1024"},
      {"G9b key beyond the file", Bytes().Head(0, 1).Put(uint64_t{100}).Add("12345678"), "the file ends after 8"},
      {"G10 empty key", Bytes().Head(0, 1).Key("", GgufType::kU8).Put(uint8_t{1}).Add(none), "a key is empty"},
      {"G11 duplicate key",
       Bytes().Head(0, 2).Key("k", GgufType::kU8).Put(uint8_t{1}).Key("k", GgufType::kU16).Put(uint16_t{1}),
       "duplicate key 'k'"},
      {"G12 value type 13", Bytes().Head(0, 1).Str("k").Put(uint32_t{13}).Add(none), "value type 13 is unknown"},
      {"G12b value type -1", Bytes().Head(0, 1).Str("k").Put(~0u).Add(none), "value type 4294967295"},
      {"G12c element type 13", Bytes().Head(0, 1).ArrayKey("k", static_cast<GgufType>(13), 1).Add(none),
       "value type 13"},
      {"G13 string of 2^63", string_key(kMaxInt64, "x"), "9223372036854775808 bytes; at most 16777216"},
      {"G13b string beyond the file", string_key(10, "x"), "10 bytes, but the file ends after 1"},
      {"G13c string length cut", key(GgufType::kString).Put(uint32_t{1}), "the file ends inside key 'k'"},
      {"G14 nested 10,000 deep", nested, "nested deeper than the 4 allowed"},
      {"G14b nested three deep", three_deep, "accepted"},
      {"G15 2^60 elements", Bytes().Head(0, 1).ArrayKey("k", GgufType::kU8, uint64_t{1} << 60), "are more than"},
      {"G15b count times size wraps",
       Bytes().Head(0, 1).ArrayKey("k", GgufType::kU64, (uint64_t{1} << 61) + 1).Add(none),
       "2305843009213693953 elements of type u64 are more than"},
      {"G15c strings", Bytes().Head(0, 1).ArrayKey("k", GgufType::kString, 100).Add(none), "are more than"},
      {"G15d a string of an array", Bytes().Head(0, 1).ArrayKey("k", GgufType::kString, 1).Put(kMinusOne),
       "at most 16777216"},
      {"G15e inner array", Bytes().Head(0, 1).ArrayKey("k", GgufType::kArray, 1).Put(0u).Put(kMinusOne),
       "are more than"},
      {"G16 truth value 2", key(GgufType::kBool).Put(uint8_t{2}), "a truth value is 2"},
      {"G16b in an array", Bytes().Head(0, 1).ArrayKey("k", GgufType::kBool, 3).Add(std::string("\0\1\xff", 3)),
       "byte 51: key 'k': a truth value is 255"},
      {"G17 alignment 0", align(0), "must be a power of two"},
      {"G17b alignment 13", align(13), "(u32 13) must be a power of two"},
      {"G17c alignment 2^31", align(1u << 31), "must be a power of two from 1 to 1048576"},
      {"G17d of another type", Bytes().Head(0, 1).Key("general.alignment", GgufType::kU64).Put(uint64_t{32}),
       "of type u32"},
      {"G17e alignment 64", align(64), "accepted"},
      {"bytes after the keys", Bytes().Head(0, 0).Add("xxxxxxxxxxxxxxxx"), "not zero"},
      {"zeros after the keys", Bytes().Head(0, 0).Pad(), "accepted"},
      {"more zeros after the keys", Bytes().Head(0, 0).Pad().Add(std::string(32, '\0')), "belong to no tensor"},
  });
}

TEST(Gguf, MalformedTensors) {
  // One tensor of the given kind, and `bytes` of data.
  const auto one = [](const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset = 0, size_t bytes = 32) {
    return std::string(Bytes().Head(1, 0).Tensor("w", dims, type, offset).Pad().Add(std::string(bytes, 'x')));
  };
  const auto two = [](uint64_t first_dim, uint64_t second_offset, size_t bytes) {
    return std::string(Bytes()
                           .Head(2, 0)
                           .Tensor("a", {first_dim}, 24, 0)
                           .Tensor("b", {32}, 24, second_offset)
                           .Pad()
                           .Add(std::string(bytes, '\0')));
  };
  constexpr uint32_t kF32 = 0, kI8 = 24, kQ8_0 = 8, kQ6K = 14;
  const std::string name64(64, 'n'), unfit = "too large, or its rows are not whole blocks";
  Check({
      {"eight floats", one({8}, kF32), "accepted"},
      {"a scalar", one({}, 28, 0, 8), "accepted"},
      {"the end filled up", Bytes().Head(1, 0).Tensor("w", {4}, kI8, 0).Pad().Add("abcd").Pad(), "accepted"},
      {"the end not filled", one({4}, kI8, 0, 4), "accepted"},
      {"the end filled with text", one({4}, kI8), "the filling between tensors is not zero"},
      {"G18 name of 64", Bytes().Head(1, 0).Tensor(name64, {4}, kI8, 0).Pad().Add("abcd"), "accepted"},
      {"G18b name of 65", Bytes().Head(1, 0).Tensor(name64 + "n", {4}, kI8, 0).Pad().Add("abcd"),
       "65 bytes; at most 64"},
      {"G18c empty name", Bytes().Head(1, 0).Tensor("", {4}, kI8, 0).Pad().Add("abcd"), "name is empty"},
      {"G19 five dimensions", one({1, 1, 1, 1, 1}, kI8), "5 dimensions; at most 4"},
      {"G19b 2^32 - 1 dimensions", Bytes().Head(1, 0).Str("w").Put(~0u).Add(std::string(64, '\0')),
       "4294967295 dimensions"},
      {"G20 negative dimension", one({kMinusOne}, kI8), "dimension 0 is 18446744073709551615"},
      {"G20b -2^63", one({8, kMaxInt64}, kI8), "dimension 1 is 9223372036854775808"},
      {"G21 product wraps", one({kMaxInt64 - 1, 2, 1, 1}, kI8), unfit},
      {"G22 bytes wrap", one({kMinusOne / 4}, kF32), unfit},
      {"G22b filling up wraps", one({(kMaxInt64 - 1) / 4}, kF32), "9223372036854775804 bytes at 0"},
      {"G23 two that add up to 0",
       Bytes()
           .Head(2, 0)
           .Tensor("a", {0x7FFFFFFFFFFFFFC0}, kI8, 0)
           .Tensor("b", {0x7FFFFFFFFFFFFFC0}, kI8, 0x7FFFFFFFFFFFFFC0)
           .Pad()
           .Add("x"),
       "tensor 'a' has 9223372036854775744 bytes at 0 of the data, but the file has only 1"},
      {"G24 2^42 + 1", one({(uint64_t{1} << 42) + 1}, kF32), "17592186044420 bytes at 0"},
      {"G25 zero dimension", one({0}, kF32, 0, 0), "dimension 0 is 0"},
      {"G25b zero with a huge one", one({kMaxInt64 - 1, 0}, kF32, 0, 0), "dimension 1 is 0"},
      {"G26 type 4, removed", one({32}, 4), "type 4 is unknown or no longer in use"},
      {"G26b type 31, removed", one({32}, 31), "type 31 is unknown"},
      {"G26c type 1000", one({32}, 1000), "type 1000 is unknown"},
      {"G26d type -1", one({32}, ~0u), "type 4294967295 is unknown"},
      {"G27 half a block", one({48}, kQ8_0, 0, 51), unfit},
      {"G27b half a big block", one({128, 2}, kQ6K, 0, 210), unfit},
      {"G27c rows of two blocks", one({64, 3}, kQ8_0, 0, 204), "accepted"},
      {"G28 offset unaligned", one({4}, kI8, 1), "'w' is said to begin at 1"},
      {"G28b alignment of the file",
       Bytes()
           .Head(2, 1)
           .Key("general.alignment", GgufType::kU32)
           .Put(uint32_t{64})
           .Tensor("a", {4}, kI8, 0)
           .Tensor("b", {4}, kI8, 32)
           .Pad(64)
           .Add(std::string(96, '\0')),
       "'b' is said to begin at 32 of the data, but the one before it ends so that it must begin at 64"},
      {"G29 two in order", two(32, 32, 64), "accepted"},
      {"G29b overlap", two(33, 32, 64), "must begin at 64"},
      {"G29c the same place", two(32, 0, 64), "must begin at 32"},
      {"G29d gap", two(32, 64, 96), "must begin at 32"},
      {"G29e offset -32", two(32, kMinusOne - 31, 64), "is said to begin at 18446744073709551584"},
      {"G30 more than the file", one({1 << 20}, kF32), "4194304 bytes at 0 of the data, but the file has only 32"},
      {"G31 one byte short", one({8}, kF32, 0, 31), "the file has only 31"},
      {"G31b no data", std::string(Bytes().Head(1, 0).Tensor("w", {8}, kF32, 0)), "the file has only 0"},
      {"G31c end in the list", Bytes().Head(1, 0).Str("w").Put(uint32_t{1}).Put(uint64_t{8}), "do not fit"},
      {"G31d bytes after the data", one({8}, kF32, 0, 33), "1 bytes at the end belong to no tensor"},
      {"G32 duplicate tensor",
       Bytes().Head(2, 0).Tensor("a", {32}, kI8, 0).Tensor("a", {32}, kI8, 32).Pad().Add(std::string(64, 'x')),
       "duplicate tensor 'a'"},
      {"a name is escaped", Bytes().Head(1, 0).Tensor("\x1b[2J\n", {0}, kI8, 0).Pad(), "tensor '\\x1b[2J\\n'"},
  });
}

TEST(Gguf, ManyKeysInLinearTime) {  // G33
  const auto file = [](uint64_t keys) {
    Bytes bytes;
    bytes.Head(0, keys);
    for (uint64_t i = 0; i < keys; ++i)
      bytes.Key("a.long.common.beginning." + std::to_string(i), GgufType::kU32).Put(static_cast<uint32_t>(i));
    return std::string(bytes);
  };
  const auto seconds = [](const std::string& bytes, bool wanted) {
    const auto begin = std::chrono::steady_clock::now();
    const auto parsed = GgufFile::Parse(bytes, "m");
    EXPECT_EQ(parsed.ok(), wanted);
    if (parsed.ok()) {
      EXPECT_EQ(*parsed->Integer("a.long.common.beginning.777"), 777);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const int64_t before = PeakRssBytes();
  const std::string most = file(65536), too_many = file(500000);
  std::printf("65,536 keys: %.3f s, 500,000 refused: %.6f s\n", seconds(most, true), seconds(too_many, false));
  EXPECT_NE(Message(too_many).find("500000 keys are announced; at most 65536"), std::string::npos);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(PeakRssBytes() - before, (int64_t{64} << 20) + 3 * static_cast<int64_t>(most.size() + too_many.size()));
#endif
}

TEST(Gguf, EveryBitFlipAndCutEndsInAnAnswer) {
  const std::string good = Bytes()
                               .Head(2, 3)
                               .Key("general.architecture", GgufType::kString)
                               .Str("llama")
                               .ArrayKey("list", GgufType::kString, 2)
                               .Str("a")
                               .Str("bc")
                               .Key("flag", GgufType::kBool)
                               .Put(true)
                               .Tensor("a", {32, 2}, 8, 0)
                               .Tensor("b", {3}, 0, 96)
                               .Pad()
                               .Add(std::string(68, 'q'))
                               .Add(std::string(28, '\0'))
                               .Add("0123456789ab");
  ASSERT_EQ(Message(good), "accepted");
  int refused = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    const auto parsed = GgufFile::Parse(bad, "m");
    refused += !parsed.ok();
    if (!parsed.ok()) continue;
    (void)CheckGgufModel(*parsed);
    for (const StoredTensor& tensor : parsed->tensors()) {
      ASSERT_GE(tensor.data, bad.data());
      ASSERT_LE(tensor.data + tensor.bytes, bad.data() + bad.size());
    }
  }
  EXPECT_GT(refused, 1000);
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(Message(good.substr(0, length)), "accepted") << length;
}

// G34 to G36: each a change of one key of a sound model.
TEST(Gguf, ModelKeysThatContradict) {
  const auto message = [](const std::function<void(GgufMetadata&)>& more, uint32_t heads = 4, uint32_t width = 64,
                          size_t scores = 3) {
    TempDir dir;
    GgufMetadata keys;
    keys.AddString("general.architecture", "llama");
    keys.Add("llama.attention.head_count", heads);
    keys.Add("llama.embedding_length", width);
    const std::vector<std::string_view> tokens{"a", "b", "c"};
    keys.AddStrings("tokenizer.ggml.tokens", tokens);
    const std::vector<float> values(scores, 0);
    keys.AddArray("tokenizer.ggml.scores", std::span<const float>(values));
    more(keys);
    EXPECT_TRUE(WriteGguf(dir / "f", keys, {}).ok());
    const auto file = GgufFile::Open(dir / "f");
    if (!file.ok()) return file.error().message;
    const Status status = CheckGgufModel(*file);
    return status.ok() ? std::string("accepted") : status.error().message;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << " / wanted: " << part;
  };
  const auto nothing = [](GgufMetadata&) {};
  has(message(nothing), "accepted");
  has(message(nothing, 4, 64, 2), "key 'tokenizer.ggml.scores': it must be an array as long as the 3 tokens, not 2");
  const std::vector<int32_t> types(4, 1);
  has(message([&](GgufMetadata& m) { m.AddArray("tokenizer.ggml.token_type", std::span<const int32_t>(types)); }),
      "as long as the 3 tokens, not 4");
  has(message([](GgufMetadata& m) { m.Add("tokenizer.ggml.token_type", 1u); }), "not one value");
  has(message([](GgufMetadata& m) { m.Add("tokenizer.ggml.bos_token_id", 3u); }), "there is no token 3");
  has(message([](GgufMetadata& m) { m.Add("tokenizer.ggml.eos_token_id", int32_t{-1}); }), "there is no token -1");
  has(message([](GgufMetadata& m) { m.Add("tokenizer.ggml.eos_token_id", 2u); }), "accepted");
  has(message(nothing, 0), "key 'llama.attention.head_count': 0 is not from 1");
  has(message(nothing, 3), "64 is no multiple of the 3 heads");
  has(message([](GgufMetadata& m) { m.Add("llama.attention.key_length", 32u); }, 3), "accepted");
  has(message([](GgufMetadata& m) { m.Add("llama.attention.head_count_kv", 3u); }), "the 4 heads are no multiple of 3");
  has(message([](GgufMetadata& m) { m.Add("llama.rope.dimension_count", 15u); }), "15 is odd");
  has(message([](GgufMetadata& m) { m.Add("llama.block_count", 1000000000u); }), "1000000000 is not from 1 to 10000");
  has(message([](GgufMetadata& m) { m.Add("llama.block_count", 2.0f); }), "is f32 2, but an integer");
  has(message([](GgufMetadata& m) { m.Add("llama.expert_used_count", 9u); }), "9 of 0 experts");
}

TEST(Gguf, QuantScalesThatAreNotFinite) {  // G37
  std::string data(34 * 3, '\1');
  data.replace(34, 2, std::string("\0\x7c", 2));  // the scale of the second block: infinite
  data.replace(68, 2, std::string("\1\xfe", 2));  // of the third: NaN
  const std::string bytes = Bytes().Head(1, 0).Tensor("w", {32, 3}, 8, 0).Pad().Add(data);
  const auto file = GgufFile::Parse(bytes, "m");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(CountNonFinite(file->tensors()[0]), 64);
}

TEST(Gguf, AllValueTypesReadBackAndWriteAgain) {
  TempDir dir;
  GgufMetadata keys;
  keys.AddString("general.architecture", "llama");
  keys.Add("general.alignment", uint32_t{64});
  keys.Add("u8", uint8_t{255});
  keys.Add("i8", int8_t{-128});
  keys.Add("u16", uint16_t{65535});
  keys.Add("i16", int16_t{-32768});
  keys.Add("u32", uint32_t{4294967295u});
  keys.Add("i32", std::numeric_limits<int32_t>::min());
  keys.Add("u64", std::numeric_limits<uint64_t>::max());
  keys.Add("i64", std::numeric_limits<int64_t>::min());
  keys.Add("f32", 0.1f);
  keys.Add("f64", 0.1);
  keys.Add("yes", true);
  keys.AddString("text", std::string_view("a\0b\n", 4));
  const std::vector<std::string_view> words{"one", "", "对"};
  keys.AddStrings("words", words);
  const std::vector<int16_t> numbers{-1, 0, 7};
  keys.AddArray("numbers", std::span<const int16_t>(numbers));
  keys.AddArray("empty", std::span<const double>());
  const std::vector<float> a{1, 2, 3, 4, 5, 6};
  const std::string blocks(34 * 4, 'q');
  const std::vector<TensorToStore> tensors{{"z", StoredType::kF32, {2, 3}, a.data()},
                                           {"a.weight", StoredType::kQ8_0, {2, 64}, blocks.data()},
                                           {"scalar", StoredType::kF32, {}, a.data()}};
  ASSERT_TRUE(WriteGguf(dir / "f", keys, tensors).ok());
  EXPECT_EQ(*FileSize(dir / "f"), *GgufFileBytes(keys, tensors));
  EXPECT_EQ(ListDir(dir.path())->size(), 1u) << "a temporary file stayed";
  const auto file = GgufFile::Open(dir / "f");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->alignment(), 64);
  EXPECT_EQ(*file->Integer("u8"), 255);
  EXPECT_EQ(*file->Integer("i8"), -128);
  EXPECT_EQ(*file->Integer("u16"), 65535);
  EXPECT_EQ(*file->Integer("i16"), -32768);
  EXPECT_EQ(*file->Integer("u32"), 4294967295);
  EXPECT_EQ(*file->Integer("i32"), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(*file->Integer("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*file->Number("f32"), double{0.1f});
  EXPECT_EQ(*file->Number("f64"), 0.1);
  EXPECT_EQ(*file->Number("i8"), -128.0);
  EXPECT_TRUE(*file->Bool("yes"));
  EXPECT_EQ(*file->String("text"), std::string_view("a\0b\n", 4));
  EXPECT_EQ(*file->Strings("words"), words);
  EXPECT_EQ(*file->Integers("numbers"), (std::vector<int64_t>{-1, 0, 7}));
  EXPECT_EQ(*file->Numbers("numbers"), (std::vector<double>{-1, 0, 7}));
  EXPECT_TRUE(file->Numbers("empty")->empty());
  const std::string at = dir / "f";
  EXPECT_EQ(file->Integer("u64").error().message,
            at + ": key 'u64' is u64 18446744073709551615, but an integer below 2^63 is wanted");
  EXPECT_EQ(file->Integer("none").error().message, at + ": there is no key 'none'");
  EXPECT_EQ(file->Integer("f32").error().code, ErrorCode::kBadInput);
  EXPECT_EQ(file->String("yes").error().message, at + ": key 'yes' is bool, but a string is wanted");
  EXPECT_EQ(file->Strings("numbers").error().message,
            at + ": key 'numbers' is an array of i16, but an array of strings is wanted");
  EXPECT_FALSE(file->Strings("text").ok());
  EXPECT_FALSE(file->Bool("u8").ok());
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "z");
  EXPECT_TRUE(file->Get("z", StoredType::kF32, {2, 3}).ok());
  EXPECT_TRUE(file->Get("scalar", StoredType::kF32, {}).ok());
  EXPECT_EQ(file->Find("a.weight")->elements(), 128);
  EXPECT_EQ(std::memcmp(file->Find("z")->data, a.data(), 24), 0);

  GgufMetadata again;
  for (const GgufEntry& entry : file->metadata()) again.Raw(entry);
  std::vector<TensorToStore> same;
  for (const StoredTensor& tensor : file->tensors()) same.push_back({tensor.name, tensor.type, tensor.shape, nullptr});
  const TensorSource source = [&](size_t i) {
    const StoredTensor& tensor = file->tensors()[i];
    return std::string_view(tensor.data, static_cast<size_t>(tensor.bytes));
  };
  ASSERT_TRUE(WriteGguf(dir / "g", again, same, source).ok());
  EXPECT_EQ(*ReadFile(dir / "f", 1 << 20), *ReadFile(dir / "g", 1 << 20));
  EXPECT_TRUE(file->CheckIntact().ok());
}

// The bytes as the format's page gives them.
TEST(Gguf, KnownBytes) {
  TempDir dir;
  GgufMetadata keys;
  keys.Add("n", uint16_t{7});
  const float values[2] = {1, 2};
  ASSERT_TRUE(WriteGguf(dir / "f", keys, {{"w", StoredType::kF32, {1, 2}, values}}).ok());
  const std::string wanted = Bytes()
                                 .Head(1, 1)
                                 .Key("n", GgufType::kU16)
                                 .Put(uint16_t{7})
                                 .Tensor("w", {2, 1}, 0, 0)
                                 .Pad()
                                 .Put(1.0f)
                                 .Put(2.0f)
                                 .Pad();
  EXPECT_EQ(*ReadFile(dir / "f", 1000), wanted);
}

TEST(Gguf, WriterRefusesWhatCouldNotBeReadBack) {
  TempDir dir;
  const std::vector<float> a(64, 1);
  const auto message = [&](const GgufMetadata& keys, const std::vector<TensorToStore>& tensors) {
    const Status status = WriteGguf(dir / "f", keys, tensors);
    EXPECT_TRUE(ListDir(dir.path())->empty());
    return status.ok() ? std::string("written") : status.error().message;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << " / wanted: " << part;
  };
  GgufMetadata twice, align;
  twice.Add("k", 1u);
  twice.Add("k", 2u);
  has(message(twice, {}), "key 'k' is empty, too long or given twice");
  align.Add("general.alignment", uint64_t{32});
  has(message(align, {}), "must be a power of two");
  has(message({}, {{std::string(65, 'n'), StoredType::kF32, {1}, a.data()}}), "65 bytes, not 1 to 64");
  has(message({}, {{"w", StoredType::kF32, {1}, a.data()}, {"w", StoredType::kF32, {1}, a.data()}}), "given twice");
  has(message({}, {{"w", StoredType::kF8E4M3, {1}, a.data()}}), "F8_E4M3, which GGUF does not know");
  has(message({}, {{"w", StoredType::kQ8_0, {48}, a.data()}}), "not of whole blocks of 32");
  has(message({}, {{"w", StoredType::kF32, {1, 1, 1, 1, 1}, a.data()}}), "more than 4 dimensions");
  has(message({}, {{"w", StoredType::kF32, {0}, a.data()}}), "is empty");
  const TensorSource fails = [](size_t) -> Result<std::string_view> { return Error{ErrorCode::kIo, "gone"}; };
  EXPECT_EQ(WriteGguf(dir / "f", {}, {{"w", StoredType::kF32, {1}, nullptr}}, fails).error().message, "gone");
  EXPECT_TRUE(ListDir(dir.path())->empty());
}

TEST(Gguf, WriterFaultsLeaveTheOldFile) {
  TempDir dir;
  const std::vector<float> values(100, 1);
  const std::vector<TensorToStore> tensors{{"w", StoredType::kF32, {100}, values.data()}};
  ASSERT_TRUE(WriteGguf(dir / "f", {}, tensors).ok());
  int failures = 0;
  for (int64_t n = 1;; ++n) {
    InjectIoFault(n, ENOSPC);
    const Status status = WriteGguf(dir / "f", {}, tensors);
    InjectIoFault(0, 0);
    ASSERT_EQ(ListDir(dir.path())->size(), 1u);
    ASSERT_TRUE(GgufFile::Open(dir / "f").ok());
    if (status.ok()) break;
    ++failures;
    ASSERT_LT(n, 20);
  }
  EXPECT_EQ(failures, 7);  // open, header, data, filling, sync, rename, sync of the folder
}

TEST(Gguf, ShortenedWhileOpenAndOtherThanFiles) {
  TempDir dir;
  const std::vector<float> values(100000, 1);
  ASSERT_TRUE(WriteGguf(dir / "f", {}, {{"w", StoredType::kF32, {100000}, values.data()}}).ok());
  const auto file = GgufFile::Open(dir / "f");
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(truncate((dir / "f").c_str(), 10000), 0);
  float last = 2;
  std::memcpy(&last, file->Find("w")->data + 399996, 4);
  EXPECT_EQ(last, 0.0f);
  EXPECT_EQ(file->CheckIntact().error().code, ErrorCode::kBadInput);
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(GgufFile::Open(dir / "pipe").error().code, ErrorCode::kBadInput);
  EXPECT_EQ(GgufFile::Open(dir.path()).error().code, ErrorCode::kBadInput);
  EXPECT_EQ(GgufFile::Open(dir / "none").error().code, ErrorCode::kUnavailable);
}

// Vocabularies written by llama.cpp: read, plausible, and the same bytes when they are written again.
TEST(Gguf, PublishedVocabularies) {
  const char* data = std::getenv("R1_DATA");
  const std::string folder = JoinPath(data != nullptr ? data : R1_SOURCE_DIR "/../shared/data", "tokenizers/gguf");
  if (!IsDir(folder)) GTEST_SKIP() << "missing: " << folder << " (R1_DATA says where data is)";
  struct Published {
    const char* name;
    const char* model;
    size_t tokens;
  };
  for (const Published& each : {Published{"gpt-2", "gpt2", 50257}, Published{"deepseek-llm", "gpt2", 102400},
                                Published{"llama-spm", "llama", 32000}}) {
    const std::string path = folder + "/ggml-vocab-" + each.name + ".gguf";
    const auto file = GgufFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_TRUE(CheckGgufModel(*file).ok()) << CheckGgufModel(*file).error().message;
    EXPECT_EQ(*file->String("tokenizer.ggml.model"), each.model);
    const auto tokens = file->Strings("tokenizer.ggml.tokens");
    ASSERT_TRUE(tokens.ok()) << tokens.error().message;
    EXPECT_EQ(tokens->size(), each.tokens);
    EXPECT_EQ(file->Integers("tokenizer.ggml.token_type")->size(), each.tokens);
    TempDir dir;
    GgufMetadata again;
    for (const GgufEntry& entry : file->metadata()) again.Raw(entry);
    ASSERT_TRUE(WriteGguf(dir / "again", again, {}).ok());
    EXPECT_EQ(*Sha256OfFile(dir / "again"), *Sha256OfFile(path)) << each.name;
  }
}

}  // namespace
}  // namespace r1
