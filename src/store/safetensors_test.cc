#include "store/safetensors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

#include "base/io_fault.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

std::string File(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + data;
}

std::string WithLength(uint64_t length, const std::string& rest) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

std::string Tensor(const std::string& name, const std::string& type, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::string Message(const std::string& file, int64_t max_header = SafetensorsFile::kMaxHeaderBytes) {
  const auto parsed = SafetensorsFile::Parse(file, "m", max_header);
  if (parsed.ok()) return "accepted";
  EXPECT_EQ(parsed.error().code, ErrorCode::kBadInput);
  return parsed.error().message;
}

// One tensor with the given parts, and 8 bytes of data.
std::string One(const std::string& type, const std::string& shape, const std::string& offsets) {
  return Message(File("{" + Tensor("w", type, shape, offsets) + "}", "12345678"));
}

struct Case {
  const char* id;
  std::string file;
  std::string wanted;  // part of the message, or "accepted"
};

TEST(Safetensors, MalformedFiles) {
  const std::string f32 = Tensor("w", "F32", "[2]", "[0,8]"), data = "12345678";
  const std::vector<Case> cases = {
      {"S1 empty file", "", "0 bytes are too few"},
      {"S2 seven bytes", "1234567", "7 bytes are too few"},
      {"S3 N = 0", WithLength(0, ""), "byte 8: the text ends too early"},
      {"S4 N = 2^64-1", WithLength(~uint64_t{0}, "{}"), "18446744073709551615 bytes, more than"},
      {"S5 N = 2^63", WithLength(uint64_t{1} << 63, "{}"), "9223372036854775808 bytes, more than"},
      {"S6 N = 100 MB + 1", WithLength(100'000'001, "{}"), "more than the 100000000 allowed"},
      {"S7 N beyond the file", WithLength(3, "{}"), "3 bytes, but the file has 10"},
      {"S8 not UTF-8", File("{\"\xff\":1}"), "invalid UTF-8"},
      {"S9 only {", File("{"), "the text ends too early"},
      {"S10 a list", File("[]"), "must be a JSON object"},
      {"S11 byte order mark", File("\xef\xbb\xbf{}"), "expected a value"},
      {"S12 text after the object", File("{}x"), "something follows"},
      {"S13 NUL padding", File(std::string("{}\0\0", 4)), "something follows"},
      {"S14 white space around", File(" \n{" + f32 + "} \t", data), "accepted"},
      {"S15 name twice, one range", File("{" + f32 + "," + Tensor("w", "I32", "[2]", "[0,8]") + "}", data),
       "duplicate tensor 'w'"},
      {"S15b name twice, two ranges",
       File("{" + Tensor("w", "F32", "[1]", "[0,4]") + "," + Tensor("w", "F32", "[1]", "[4,8]") + "}", data),
       "duplicate tensor 'w'"},
      {"S15c name twice by an escape",
       File("{" + Tensor("w", "F32", "[1]", "[0,4]") + "," + Tensor("\\u0077", "F32", "[1]", "[4,8]") + "}", data),
       "duplicate tensor 'w'"},
      {"S16 inner key twice",
       File("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", data),
       "duplicate key 'dtype'"},
      {"S17 metadata twice", File("{\"__metadata__\":{},\"__metadata__\":{}}"), "duplicate key '__metadata__'"},
      {"S17b metadata key twice", File("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), "duplicate key 'a'"},
      {"S18 metadata not text", File("{\"__metadata__\":{\"a\":1}}"), "must be strings"},
      {"S18b metadata a list", File("{\"__metadata__\":[]}"), "must be an object"},
      {"S19 overlap",
       File("{" + Tensor("a", "U8", "[5]", "[0,5]") + "," + Tensor("b", "U8", "[4]", "[4,8]") + "}", data),
       "'b' overlaps"},
      {"S20 hole", File("{" + Tensor("a", "U8", "[3]", "[0,3]") + "," + Tensor("b", "U8", "[4]", "[4,8]") + "}", data),
       "data byte 3: 1 bytes before tensor 'b' belong to no tensor"},
      {"S20b hole at the start", File("{" + Tensor("a", "U8", "[7]", "[1,8]") + "}", data),
       "data byte 0: 1 bytes before"},
      {"S21 bytes at the end", File("{" + f32 + "}", data + "PK"), "data byte 8: 2 bytes at the end"},
      {"S21b data without tensors", File("{}", "x"), "1 bytes at the end"},
      {"S22 one byte short", File("{" + f32 + "}", "1234567"), "not inside the 7 bytes"},
      {"S31b dtype not text", File("{\"w\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}", data),
       "dtype must be a string"},
      {"S35 JSON depth", File("{\"w\":" + std::string(200, '[') + std::string(200, ']') + "}"), "an object is wanted"},
      {"S35b deep shape", File("{" + Tensor("w", "F32", "[[[[2]]]]", "[0,8]") + "}", data),
       "shape must be whole numbers"},
      {"S36 half a surrogate pair", File("{" + Tensor("\\ud800", "F32", "[2]", "[0,8]") + "}", data), "surrogate"},
      {"a key missing", File("{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", data), "are all needed"},
      {"an unknown key", File("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", data),
       "unknown key 'x'"},
      {"a tensor that is a number", File("{\"w\":1}", ""), "tensor 'w': an object is wanted"},
      {"no tensors", File("{}"), "accepted"},
      {"padded with spaces", File("{" + f32 + "}      ", data), "accepted"}};
  for (const Case& each : cases) {
    const std::string message = Message(each.file);
    EXPECT_NE(message.find(each.wanted), std::string::npos) << each.id << ": " << message;
    if (each.wanted != "accepted") {
      EXPECT_EQ(message.substr(0, 3), "m: ") << each.id << ": the file is not named";
    }
  }
  EXPECT_NE(Message(File(std::string(101, ' ')), 100).find("more than the 100 allowed"), std::string::npos);
}

TEST(Safetensors, ShapesAndOffsets) {
  const std::string max64 = "18446744073709551615", fine = "accepted";
  const auto has = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message << " / wanted: " << part;
  };
  EXPECT_EQ(One("F32", "[2]", "[0,8]"), fine);
  EXPECT_EQ(One("F64", "[]", "[0,8]"), fine) << "a scalar";
  EXPECT_EQ(One("U8", "[1,2,4,1,1,1,1,1]", "[0,8]"), fine);
  has(One("F32", "[2]", "[8,0]"), "not inside");      // S23
  has(One("F32", "[2]", "[-0,8]"), "whole numbers");  // S24
  has(One("F32", "[2]", "[0.0,8]"), "whole numbers");
  has(One("F32", "[2]", "[0,8e0]"), "whole numbers");
  has(One("F32", "[2]", "[00,8]"), "may not begin with 0");
  has(One("F32", "[2]", "[-8,0]"), "whole numbers");
  has(One("F32", "[2]", "[\"0\",8]"), "whole numbers");
  has(One("F32", "[2]", "[0,8,8]"), "more than 2");
  has(One("F32", "[2]", "[0]"), "must be two numbers");
  has(One("F32", "[2]", "[0," + max64 + "]"), "whole numbers");
  has(One("F32", "[2]", "[0,9223372036854775807]"), "not inside");
  has(One("U8", "[2,18446744073709551614]", "[0,8]"), "whole numbers");  // S25
  has(One("U8", "[4294967296,4294967296]", "[0,8]"), "too large");
  has(One("F32", "[4611686018427387904]", "[0,8]"), "too large");    // S26: elements x 4 = 2^64
  has(One("F32", "[0,9223372036854775807]", "[0,0]"), "too large");  // S27
  has(One("F32", "[" + max64 + ",2,0]", "[0,0]"), "whole numbers");  // S28
  has(One("U8", "[9223372036854775807,2,0]", "[0,0]"), "too large");
  std::string rank = "[1";
  for (int i = 1; i < 100000; ++i) rank += ",1";
  has(One("U8", rank + "]", "[0,1]"), "more than 8 numbers");                                        // S29
  has(One("F32", "[3]", "[0,8]"), "F32 of shape [3] has 12 bytes, but data_offsets [0, 8] have 8");  // S30
  has(One("F32", "[2]", "[0,4]"), "has 8 bytes");
  has(One("X9", "[2]", "[0,8]"), "dtype 'X9' is not supported");  // S31
  has(One("f32", "[2]", "[0,8]"), "dtype 'f32' is not supported");
  has(One("F4", "[3]", "[0,2]"), "dtype 'F4' is not supported");  // S32
  has(One("F32", "{}", "[0,8]"), "shape must be a list");
  has(One("F32", "[null]", "[0,8]"), "whole numbers");
}

TEST(Safetensors, ManyTensorsOnOneRange) {  // S37
  std::string header = "{";
  for (int i = 0; i < 10; ++i) header += (i ? "," : "") + Tensor("t" + std::to_string(i), "U8", "[8]", "[0,8]");
  EXPECT_NE(Message(File(header + "}", "12345678")).find("overlaps"), std::string::npos);
}

TEST(Safetensors, EmptyTensorsAndOrder) {
  const std::string header = "{" + Tensor("b", "U8", "[4]", "[4,8]") + "," + Tensor("none", "F32", "[0,5]", "[4,4]") +
                             "," + Tensor("a", "F32", "[1]", "[0,4]") + "," + Tensor("end", "F32", "[0]", "[8,8]") +
                             "}";
  const std::string bytes = File(header, "AAAABBBB");
  const auto file = SafetensorsFile::Parse(bytes, "m");
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[1].name, "none");
  EXPECT_EQ(file->tensors()[2].name, "b");
  EXPECT_EQ(file->Find("b")->data[0], 'B');
  EXPECT_EQ(file->Find("none")->elements(), 0);
  EXPECT_EQ(file->Find("c"), nullptr);
  EXPECT_EQ(file->Find(""), nullptr);
  EXPECT_NE(
      Message(File("{" + Tensor("a", "U8", "[8]", "[0,8]") + "," + Tensor("e", "U8", "[0]", "[4,4]") + "}", "12345678"))
          .find("'e' overlaps"),
      std::string::npos);
}

TEST(Safetensors, StrangeNamesAreOpaqueAndEscapedInMessages) {  // S34
  for (const std::string name : {"../../etc/passwd", "a\\u0000b", "a\\nb\\u001b[2J", ""}) {
    EXPECT_EQ(Message(File("{" + Tensor(name, "F32", "[2]", "[0,8]") + "}", "12345678")), "accepted") << name;
  }
  EXPECT_NE(Message(File("{" + Tensor("a\\n\\u001b[2J", "F32", "[3]", "[0,8]") + "}", "12345678"))
                .find("tensor 'a\\n\\x1b[2J': F32"),
            std::string::npos);
}

TEST(Safetensors, EveryBitFlipAndCutEndsInAnAnswer) {
  const std::string good = File("{\"__metadata__\":{\"k\":\"v\"}," + Tensor("a", "F32", "[2]", "[0,8]") + "," +
                                    Tensor("b", "BF16", "[2,2]", "[8,16]") + "}",
                                "0123456789abcdef");
  ASSERT_EQ(Message(good), "accepted");
  int refused = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    refused += Message(bad) != "accepted";
  }
  EXPECT_GT(refused, 500);
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(Message(good.substr(0, length)), "accepted") << length;
}

TEST(Safetensors, WriteAndReadBack) {
  TempDir dir;
  const std::vector<float> a{1, -2, 3.5f};
  const std::vector<uint16_t> b{0x3f80, 0x4000};
  const int64_t step = -7;
  const std::vector<TensorToStore> tensors{{"z.weight", StoredType::kF32, {3}, a.data()},
                                           {"a \"quoted\"\n", StoredType::kBF16, {1, 2}, b.data()},
                                           {"none", StoredType::kF32, {0, 4}, nullptr},
                                           {"step", StoredType::kI64, {}, &step}};
  const std::vector<std::pair<std::string, std::string>> metadata{{"format", "pt"}, {"note", "对"}};
  ASSERT_TRUE(WriteSafetensors(dir / "m.safetensors", tensors, metadata).ok());
  ASSERT_TRUE(WriteSafetensors(dir / "again", tensors, metadata).ok());
  EXPECT_EQ(*Sha256OfFile(dir / "m.safetensors"), *Sha256OfFile(dir / "again"));
  EXPECT_EQ(*FileSize(dir / "m.safetensors"), SafetensorsFileBytes(tensors, metadata));
  EXPECT_EQ(ListDir(dir.path())->size(), 2u) << "a temporary file stayed";
  const auto file = SafetensorsFile::Open(dir / "m.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata(), metadata);
  ASSERT_EQ(file->tensors().size(), 4u);
  for (size_t i : {size_t{0}, size_t{1}, size_t{3}}) {
    const StoredTensor* read = file->Find(tensors[i].name);
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->type, tensors[i].type);
    EXPECT_EQ(read->shape, tensors[i].shape);
    EXPECT_EQ(std::memcmp(read->data, tensors[i].data, static_cast<size_t>(read->bytes)), 0);
  }
  EXPECT_TRUE(file->Get("z.weight", StoredType::kF32, {3}).ok());
  EXPECT_EQ(file->Get("z.weight", StoredType::kF32, {4}).error().message,
            (dir / "m.safetensors") + ": tensor 'z.weight' is F32 [3], but F32 [4] is wanted");
  EXPECT_EQ(file->Get("w", StoredType::kF32, {4}).error().message,
            (dir / "m.safetensors") + ": there is no tensor 'w'");
  // The data begins at a multiple of 8.
  uint64_t header = 0;
  const std::string bytes = *ReadFile(dir / "m.safetensors", 1 << 20);
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

// The bytes of the reference implementation for the same content (serialize_file of the Rust crate pads the header to 8
// too).
TEST(Safetensors, KnownBytes) {
  TempDir dir;
  const float one = 1;
  ASSERT_TRUE(WriteSafetensors(dir / "f", {{"w", StoredType::kF32, {1}, &one}}, {}).ok());
  const std::string header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
  std::string padded = header;
  padded.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(*ReadFile(dir / "f", 1000), File(padded, std::string("\0\0\x80\x3f", 4)));
}

TEST(Safetensors, WriterFaultsLeaveTheOldFile) {
  TempDir dir;
  const std::vector<float> old_values(100, 1), new_values(100, 2);
  const auto write = [&](const std::vector<float>& values) {
    return WriteSafetensors(dir / "f", {{"w", StoredType::kF32, {100}, values.data()}}, {});
  };
  ASSERT_TRUE(write(old_values).ok());
  int failures = 0;
  for (int64_t n = 1;; ++n) {
    InjectIoFault(n, ENOSPC);
    const Status status = write(new_values);
    InjectIoFault(0, 0);
    ASSERT_EQ(ListDir(dir.path())->size(), 1u);
    const auto file = SafetensorsFile::Open(dir / "f");
    ASSERT_TRUE(file.ok());
    if (status.ok()) break;
    ++failures;
    ASSERT_LT(n, 20);
  }
  EXPECT_EQ(failures, 6);
}

TEST(Safetensors, NonFiniteAreCounted) {  // S38
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{
      1, inf, -inf, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::max(), 0};
  const std::vector<uint16_t> bf16{0x7f80, 0xffc0, 0x7f7f, 0x0001}, f16{0x7c00, 0x7bff, 0xfe00};
  const std::vector<uint8_t> e4m3{0x7f, 0xff, 0x7e, 0x78}, e5m2{0x7c, 0x7d, 0x7b};
  const auto count = [](StoredType type, const auto& v) {
    StoredTensor tensor{.name = "w",
                        .type = type,
                        .shape = {},
                        .data = reinterpret_cast<const char*>(v.data()),
                        .bytes = static_cast<int64_t>(v.size() * sizeof(v[0]))};
    return CountNonFinite(tensor);
  };
  EXPECT_EQ(count(StoredType::kF32, values), 3);
  EXPECT_EQ(count(StoredType::kBF16, bf16), 2);
  EXPECT_EQ(count(StoredType::kF16, f16), 2);
  EXPECT_EQ(count(StoredType::kF8E4M3, e4m3), 2);
  EXPECT_EQ(count(StoredType::kF8E5M2, e5m2), 2);
  EXPECT_EQ(count(StoredType::kI32, values), 0);
  EXPECT_EQ(count(StoredType::kF64, std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}), 1);
}

TEST(Safetensors, ShortenedWhileOpen) {  // S39
  TempDir dir;
  const std::vector<float> values(100000, 1);
  ASSERT_TRUE(WriteSafetensors(dir / "f", {{"w", StoredType::kF32, {100000}, values.data()}}, {}).ok());
  const auto file = SafetensorsFile::Open(dir / "f");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->CheckIntact().ok());
  ASSERT_EQ(truncate((dir / "f").c_str(), 10000), 0);
  std::vector<float> copy(100000);
  std::memcpy(copy.data(), file->Find("w")->data, 400000);
  EXPECT_EQ(copy[0], 1.0f);
  EXPECT_EQ(copy[99999], 0.0f);
  EXPECT_EQ(file->CheckIntact().error().code, ErrorCode::kBadInput);
}

TEST(Safetensors, OpenRefusesOtherThanFiles) {
  TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(SafetensorsFile::Open(dir / "pipe").error().code, ErrorCode::kBadInput);
  EXPECT_EQ(SafetensorsFile::Open(dir.path()).error().code, ErrorCode::kBadInput);
  EXPECT_EQ(SafetensorsFile::Open(dir / "none").error().code, ErrorCode::kUnavailable);
}

TEST(Safetensors, MillionTensors) {  // S33
  std::string header = "{";
  constexpr int kTensors = 1300000;
  header.reserve(size_t{kTensors} * 76);
  for (int i = 0; i < kTensors; ++i) {
    const std::string n = std::to_string(i), m = std::to_string(i + 1);
    header += (i ? ",\"" : "\"") + n + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + n + "," + m + "]}";
  }
  header += "}";
  ASSERT_LT(header.size(), 100'000'000u);
  const std::string bytes = File(header, std::string(kTensors, 'x'));
  const int64_t before = PeakRssBytes();
  const auto begin = std::chrono::steady_clock::now();
  const auto file = SafetensorsFile::Parse(bytes, "m");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->Find("1299999")->data, bytes.data() + bytes.size() - 1);
  const int64_t extra = PeakRssBytes() - before;
  RecordProperty("seconds", std::to_string(seconds));
  RecordProperty("extra_bytes", std::to_string(extra));
  std::printf("%d tensors, header of %zu bytes: %.2f s, %lld MB more\n", kTensors, header.size(), seconds,
              static_cast<long long>(extra >> 20));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(extra, (int64_t{64} << 20) + 2 * static_cast<int64_t>(header.size()));
#endif
}

}  // namespace
}  // namespace r1
