#include "store/safetensors_index.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "base/memory.h"
#include "base/test_dir.h"
#include "store/gguf.h"

namespace r1 {
namespace {

constexpr char kA[] = "model-00001-of-00002.safetensors";
constexpr char kB[] = "model-00002-of-00002.safetensors";

// A folder with tensors a and b in the first shard, c in the second.
class Shards : public ::testing::Test {
 protected:
  void SetUp() override { Write(dir_.path()); }

  void Write(const std::string& folder) {
    const std::vector<TensorToStore> tensors{{"a", StoredType::kF32, {2}, values_},
                                             {"b", StoredType::kF16, {2}, values_},
                                             {"c", StoredType::kF8E4M3, {8}, values_}};
    ASSERT_TRUE(WriteShardedSafetensors(folder, tensors, {{"format", "pt"}}, 12).ok());
  }
  std::string Index() const { return dir_ / kSafetensorsIndexName; }
  std::string Message() const { return MessageOf(Index()); }
  static std::string MessageOf(const std::string& path) {
    const auto opened = ShardedSafetensors::Open(path);
    return opened.ok() ? "accepted" : opened.error().message;
  }
  void Replace(const std::string& from, const std::string& to) {
    std::string text = *ReadFile(Index(), 1 << 20);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " is not in " << text;
    ASSERT_TRUE(WriteFileAtomic(Index(), text.replace(at, from.size(), to)).ok());
  }
  void Has(const std::string& part) const { EXPECT_NE(Message().find(part), std::string::npos) << Message(); }

  TempDir dir_;
  const float values_[2] = {1, 2};
};

TEST_F(Shards, WrittenAndReadAcrossFiles) {
  EXPECT_EQ(*ListDir(dir_.path()), (std::vector<std::string>{kA, kB, kSafetensorsIndexName}));
  EXPECT_EQ(*ReadFile(Index(), 1000),
            std::string("{\n  \"metadata\": {\n    \"total_size\": 20\n  },\n  \"weight_map\": {\n    \"a\": \"") + kA +
                "\",\n    \"b\": \"" + kA + "\",\n    \"c\": \"" + kB + "\"\n  }\n}\n");
  const auto opened = ShardedSafetensors::Open(Index());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(opened->shards().size(), 2u);
  EXPECT_EQ(opened->tensors().size(), 3u);
  EXPECT_EQ(std::memcmp(opened->Find("c")->data, values_, 8), 0);
  EXPECT_TRUE(opened->Get("b", StoredType::kF16, {2}).ok());
  EXPECT_EQ(opened->Get("d", StoredType::kF16, {2}).error().message, Index() + ": there is no tensor 'd'");
  EXPECT_TRUE(opened->CheckIntact().ok());
  ASSERT_EQ(truncate((dir_ / kB).c_str(), 10), 0);
  EXPECT_EQ(opened->CheckIntact().error().code, ErrorCode::kBadInput);
}

TEST_F(Shards, NamesThatLeadOutOfTheFolder) {  // I1
  for (const char* name : {"../../etc/passwd", "/etc/passwd", "a/b.safetensors", "..", ".", "", ".hidden", "a\\\\b",
                           "a\\u0000b.safetensors", "..\\\\x"}) {
    TempDir dir;
    ASSERT_TRUE(
        WriteFileAtomic(dir / kSafetensorsIndexName, std::string("{\"weight_map\": {\"a\": \"") + name + "\"}}").ok());
    const std::string message = MessageOf(dir / kSafetensorsIndexName);
    EXPECT_NE(message.find("is not a plain file name"), std::string::npos) << name << ": " << message;
  }
  EXPECT_EQ(ResolveInFolder(dir_.path(), "../x").error().code, ErrorCode::kBadInput);
}

TEST_F(Shards, LinksThatLeadOutOfTheFolder) {  // I2
  TempDir other;
  ASSERT_TRUE(RenamePath(dir_ / kB, other / "secret").ok());
  ASSERT_EQ(symlink((other / "secret").c_str(), (dir_ / kB).c_str()), 0);
  Has("it is a link that leads out of its folder");
  // Inside the folder it may.
  ASSERT_TRUE(RemoveFile(dir_ / kB).ok());
  ASSERT_TRUE(RenamePath(other / "secret", dir_ / "stored").ok());
  ASSERT_EQ(symlink("stored", (dir_ / kB).c_str()), 0);
  EXPECT_EQ(Message(), "accepted");
  ASSERT_TRUE(RemoveFile(dir_ / "stored").ok());
  Has("is missing");  // a link to nothing
}

TEST_F(Shards, CacheOfHuggingFace) {  // I2
  TempDir hub;
  const std::string repository = hub / "models--org--name", snapshot = repository + "/snapshots/0123abc",
                    blobs = repository + "/blobs";
  ASSERT_TRUE(MakeDirs(snapshot).ok() && MakeDirs(blobs).ok() && MakeDirs(repository + "/other").ok());
  for (const std::string& name : std::vector<std::string>{kA, kB, kSafetensorsIndexName}) {
    ASSERT_TRUE(RenamePath(dir_ / name, blobs + "/sum-" + name).ok());
    ASSERT_EQ(symlink(("../../blobs/sum-" + name).c_str(), (snapshot + "/" + name).c_str()), 0);
  }
  EXPECT_EQ(MessageOf(snapshot + "/" + kSafetensorsIndexName), "accepted");
  EXPECT_TRUE(OpenTensors(snapshot).ok());
  // Only blobs: not another folder of the repository, and not if the folder is none of such a cache.
  ASSERT_TRUE(RenamePath(blobs + "/sum-" + kB, repository + "/other/x").ok());
  ASSERT_TRUE(RemoveFile(snapshot + "/" + kB).ok());
  ASSERT_EQ(symlink("../../other/x", (snapshot + "/" + kB).c_str()), 0);
  EXPECT_NE(MessageOf(snapshot + "/" + kSafetensorsIndexName).find("leads out of its folder"), std::string::npos);
}

TEST_F(Shards, TensorInTwoShards) {  // I3
  // Twice in the map, and twice in the files.
  Replace("\"b\": ", "\"c\": \"" + std::string(kA) + "\", \"b\": ");
  Has("tensor 'c' is placed twice, in '" + std::string(kA) + "' and '" + kB + "'");
  TempDir dir;
  Write(dir.path());
  ASSERT_TRUE(
      WriteSafetensors(dir / kB, {{"c", StoredType::kF32, {2}, values_}, {"a", StoredType::kF32, {2}, values_}}, {})
          .ok());
  EXPECT_EQ(MessageOf(dir / kSafetensorsIndexName),
            (dir / kB) + ": holds tensor 'a' which the index places in '" + kA + "'");
}

TEST_F(Shards, MissingShard) {  // I4
  ASSERT_TRUE(RemoveFile(dir_ / kB).ok());
  EXPECT_EQ(Message(), Index() + ": file '" + kB + "' of the index is missing; fetch it, or fetch the model again");
}

TEST_F(Shards, IndexAndFilesDisagree) {  // I5
  Replace("\"c\":", "\"d\":");
  EXPECT_EQ(Message(), (dir_ / kB) + ": holds tensor 'c' which the index does not name");
  Replace("\"d\":", "\"c\":");
  Replace("\"c\":", "\"e\": \"" + std::string(kB) + "\", \"c\":");
  EXPECT_EQ(Message(), Index() + ": tensor 'e' is not in '" + kB + "'");
}

TEST_F(Shards, OtherThanFiles) {  // I6
  ASSERT_TRUE(RemoveFile(dir_ / kB).ok());
  ASSERT_EQ(mkfifo((dir_ / kB).c_str(), 0600), 0);
  Has("it is a pipe or a device, not a file");
  ASSERT_TRUE(RemoveFile(dir_ / kB).ok());
  ASSERT_TRUE(MakeDirs(dir_ / kB).ok());
  Has("it is a folder, not a file");
  ASSERT_EQ(rmdir((dir_ / kB).c_str()), 0);
  ASSERT_EQ(symlink("/dev/zero", (dir_ / kB).c_str()), 0);
  Has("leads out of its folder");
  ASSERT_TRUE(RemoveFile(Index()).ok());
  ASSERT_EQ(mkfifo(Index().c_str(), 0600), 0);
  Has("it is a pipe or a device, not a file");
}

TEST_F(Shards, MillionEntries) {  // I7
  std::string map, header = "{";
  constexpr int kTensors = 1'000'000;
  map.reserve(size_t{kTensors} * 30);
  header.reserve(size_t{kTensors} * 64);
  for (int i = 0; i < kTensors; ++i) {
    const std::string n = std::to_string(i);
    map += (i ? ",\"" : "\"") + n + "\":\"s.safetensors\"";
    header += (i ? ",\"" : "\"") + n + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  header += "}";
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "s.safetensors", file + header).ok());
  ASSERT_TRUE(WriteFileAtomic(Index(), "{\"weight_map\":{" + map + "}}").ok());
  const auto begin = std::chrono::steady_clock::now();
  const auto opened = ShardedSafetensors::Open(Index());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_NE(opened->Find("999999"), nullptr);
  std::printf("1,000,000 entries, index of %zu bytes: %.2f s\n", map.size(), seconds);
  // Many files are refused before any is opened.
  map.clear();
  for (int i = 0; i < 100000; ++i) map += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"f" + std::to_string(i) + "\"";
  ASSERT_TRUE(WriteFileAtomic(Index(), "{\"weight_map\":{" + map + "}}").ok());
  Has("more than 1000 files are named");
}

TEST_F(Shards, NamesThatDifferInCase) {  // I8
  Replace(kB, "MODEL-00001-of-00002.safetensors");
  Has("files 'MODEL-00001-of-00002.safetensors' and 'model-00001-of-00002.safetensors' differ only in upper and lower");
}

TEST_F(Shards, Sums) {  // I9
  const std::string good = *Sha256OfFile(dir_ / kA) + "  " + kA + "\n" + *Sha256OfFile(dir_ / kB) + " *" + kB + "\n";
  const auto verify = [&](const std::string& text) {
    EXPECT_TRUE(WriteFileAtomic(dir_ / kSumsName, text).ok());
    const Result<int64_t> verified = VerifySums(dir_.path());
    return verified.ok() ? std::to_string(*verified) + " files" : verified.error().message;
  };
  EXPECT_EQ(verify(good), "2 files");
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  std::string wrong = good;
  wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
  has(verify(wrong), (dir_ / kA) + ": its SHA-256 is ");
  has(verify("short"), "SHA256SUMS:1: not a line of sha256sum");
  has(verify(std::string(64, 'A') + "  " + kA), "not a line");
  has(verify(std::string(64, 'a') + "  ../x"), "not a plain file name");
  has(verify(std::string(64, 'a') + "  none"), "cannot open");
}

TEST_F(Shards, MalformedIndices) {
  const auto message = [](const std::string& text) {
    const auto parsed = ParseSafetensorsIndex(text, "m");
    return parsed.ok() ? std::string("accepted") : parsed.error().message;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << " / wanted: " << part;
    EXPECT_TRUE(text == "accepted" || text.substr(0, 2) == "m:") << text;
  };
  has(message(""), "ends too early");
  has(message("[]"), "m:1:1: the index must be a JSON object");
  has(message("{}"), "no object 'weight_map'");
  has(message("{\"weight_map\": []}"), "'weight_map' must be an object");
  has(message("{\"weight_map\": {\"a\": 1}}"), "the file of 'a' is not a text");
  has(message("{\"weight_map\": {}, \"weight_map\": {}}"), "duplicate key 'weight_map'");
  has(message("{\"weight_map\": {}} x"), "something follows");
  has(message("{\"weight_map\": {}, \"metadata\": 1}"), "'metadata' must be an object");
  has(message("{\"weight_map\": {\"\xff\": \"a\"}}"), "invalid UTF-8");
  has(message("{\"x\": " + std::string(100000, '[') + "}"), "m:1:");
  has(message("{\"weight_map\": {\"a\": \"f\""), "ends too early");
  has(message("{\"weight_map\": {}}"), "accepted");
  has(message("{\"more\": [{\"a\": [1, {}]}, 2], \"weight_map\": {}, \"last\": null}"), "accepted");
  const auto parsed = ParseSafetensorsIndex(
      R"({"metadata": {"x": [{}], "total_size": 5, "y": 1}, "weight_map": {"b": "t", "a": "s", "c": "s"}})", "m");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->total_size, 5);
  EXPECT_EQ(parsed->shards, (std::vector<std::string>{"s", "t"}));
  EXPECT_EQ(parsed->placement, (std::vector<std::pair<std::string, uint32_t>>{{"a", 0}, {"b", 1}, {"c", 0}}));
  for (const char* size : {"1e30", "-1", "\"5\"", "99999999999999999999", "[5]"}) {
    const auto odd =
        ParseSafetensorsIndex(std::string("{\"metadata\": {\"total_size\": ") + size + "}, \"weight_map\": {}}", "m");
    ASSERT_TRUE(odd.ok()) << odd.error().message;
    EXPECT_EQ(odd->total_size, -1) << size;
  }
}

TEST_F(Shards, WriterSplitsAndStreams) {
  TempDir dir;
  std::vector<TensorToStore> tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back({"t" + std::to_string(i), StoredType::kU8, {i == 2 ? 100 : 4}});
  std::string bytes;
  std::vector<size_t> asked;
  const TensorSource source = [&](size_t i) {
    asked.push_back(i);
    bytes.assign(i == 2 ? 100 : 4, static_cast<char>('0' + i));
    return std::string_view(bytes);
  };
  ASSERT_TRUE(WriteShardedSafetensors(dir.path(), tensors, {}, 8, source).ok());
  EXPECT_EQ(asked, (std::vector<size_t>{0, 1, 2, 3, 4}));
  const auto opened = ShardedSafetensors::Open(dir / kSafetensorsIndexName);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(opened->shards().size(), 3u) << "t0 t1, t2 alone, t3 t4";
  EXPECT_EQ(opened->Find("t4")->data[3], '4');
  EXPECT_EQ(opened->Find("t2")->data[99], '2');
  const Status again = WriteShardedSafetensors(dir.path(), tensors, {}, 1000, source);
  EXPECT_EQ(again.error().code, ErrorCode::kCannotCreate);
  TempDir one;
  ASSERT_TRUE(WriteShardedSafetensors(one.path(), tensors, {}, 1000, source).ok());
  EXPECT_EQ(*ListDir(one.path()), (std::vector<std::string>{"model.safetensors"}));
}

TEST_F(Shards, OpenTensorsTakesWhatIsThere) {
  const auto count = [](const std::string& path) {
    const auto opened = OpenTensors(path);
    return opened.ok() ? std::to_string((*opened)->tensors().size()) : opened.error().message;
  };
  EXPECT_EQ(count(dir_.path()), "3");
  EXPECT_EQ(count(Index()), "3");
  EXPECT_EQ(count(dir_ / kA), "2");
  TempDir dir;
  EXPECT_NE(count(dir.path()).find("or .gguf file is there"), std::string::npos);
  ASSERT_TRUE(WriteGguf(dir / "x.gguf", {}, {{"w", StoredType::kF32, {2}, values_}}).ok());
  EXPECT_EQ(count(dir.path()), "1");
  EXPECT_EQ(count(dir / "x.gguf"), "1");
  ASSERT_TRUE(RenamePath(dir / "x.gguf", dir / "blob").ok());
  EXPECT_EQ(count(dir / "blob"), "1") << "told by its first bytes";
  GgufMetadata part;
  part.Add("split.count", uint16_t{5});
  ASSERT_TRUE(WriteGguf(dir / "a.gguf", part, {}).ok());
  EXPECT_NE(count(dir.path()).find("it is one of 5 parts"), std::string::npos);
  ASSERT_TRUE(WriteGguf(dir / "b.gguf", {}, {}).ok());
  EXPECT_NE(count(dir.path()).find("holds several GGUF files, 'a.gguf' and 'b.gguf'"), std::string::npos);
  EXPECT_NE(count(dir / "none").find("cannot open"), std::string::npos);
}

}  // namespace
}  // namespace r1
