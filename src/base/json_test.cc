#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_scan.h"
#include "base/rng.h"

namespace r1 {
namespace {

using nlohmann::json;

std::string ErrorOf(std::string_view text, int depth = 200) {
  const auto parsed = ParseJson(text, "f.json", depth);
  return parsed.ok() ? "accepted: " + parsed->dump() : parsed.error().message;
}

TEST(Json, Values) {
  const auto parsed =
      ParseJson(R"( {"a": [1, -2, 3.5, 1e3, true, false, null], "b": {"c": "d"}, "e": [], "f": {}} )", "t");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, json::parse(R"({"a": [1, -2, 3.5, 1e3, true, false, null], "b": {"c": "d"}, "e": [], "f": {}})"));
  EXPECT_EQ(*ParseJson("7", "t"), json(7));
  EXPECT_EQ(*ParseJson("\"x\"", "t"), json("x"));
  EXPECT_EQ(*ParseJson("[[[[]]]]", "t"), json::parse("[[[[]]]]"));
}

TEST(Json, Strings) {
  EXPECT_EQ(*ParseJson(R"("\u0041\n\t\"\\\/\b\f\r")", "t"), json("A\n\t\"\\/\b\f\r"));
  EXPECT_EQ(*ParseJson(R"("\u5bf9 \ud83d\ude00 \u0000")", "t"), json(std::string("对 😀 \0", 10)));
  EXPECT_EQ(*ParseJson("\"对 😀\"", "t"), json("对 😀"));
  for (const char* bad : {R"("\ud83d")", R"("\ud83dx")", R"("\ud83d\u0041")", R"("\ude00")", R"("\x41")", R"("\u12g4")",
                          R"("\u12)", "\"a\nb\"", "\"\x80\"", "\"\xed\xa0\x80\"", "\"open", "\"\\"}) {
    EXPECT_FALSE(ParseJson(bad, "t").ok()) << bad;
  }
}

TEST(Json, NumbersKeepTheirValue) {
  EXPECT_EQ(ParseJson("9223372036854775807", "t")->get<int64_t>(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(ParseJson("-9223372036854775808", "t")->get<int64_t>(), std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(ParseJson("18446744073709551615", "t")->is_number_unsigned());
  EXPECT_TRUE(ParseJson("18446744073709551616", "t")->is_number_float());
  EXPECT_TRUE(ParseJson("1.0", "t")->is_number_float());
  EXPECT_EQ(ParseJson("1e-400", "t")->get<double>(), 0.0);
  EXPECT_TRUE(std::signbit(ParseJson("-0.0", "t")->get<double>()));
  for (const char* bad :
       {"01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1_000"}) {
    EXPECT_FALSE(ParseJson(bad, "t").ok()) << bad;
  }
}

TEST(Json, ErrorsNameFileLineAndColumn) {
  EXPECT_EQ(ErrorOf("{\n  \"a\": 1,\n  \"a\": 2\n}"), "f.json:3:3: duplicate key 'a'");
  EXPECT_EQ(ErrorOf("{\"\\u0061\": 1, \"a\": 2}"), "f.json:1:15: duplicate key 'a'");
  EXPECT_EQ(ErrorOf("[1, 2"), "f.json:1:6: the text ends too early");
  EXPECT_EQ(ErrorOf(""), "f.json:1:1: the text ends too early");
  EXPECT_EQ(ErrorOf("{\"对\": x}"), "f.json:1:7: expected a value, found 'x'");
  EXPECT_EQ(ErrorOf("{\"a\" 1}"), "f.json:1:6: expected ':' after the key");
  EXPECT_EQ(ErrorOf("{\"a\": 1,}"), "f.json:1:9: expected a key in double quotes");
  EXPECT_EQ(ErrorOf("[1,]"), "f.json:1:4: expected a value, found ']'");
  EXPECT_EQ(ErrorOf("[1 2]"), "f.json:1:4: expected ',' or ']'");
  EXPECT_EQ(ErrorOf("{} x"), "f.json:1:4: something follows the end of the document");
  EXPECT_EQ(ErrorOf("\xef\xbb\xbf{}"), "f.json:1:1: expected a value, found '\xef\xbb\xbf'");
  EXPECT_EQ(ErrorOf("[1e999]"), "f.json:1:2: the number '1e999' is too large");
  EXPECT_EQ(ErrorOf("[\"a\x01\"]"), "f.json:1:4: a control character in a string");
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(ParseJson(nested(200), "t").ok());
  EXPECT_EQ(ErrorOf(nested(201)), "f.json:1:201: nested deeper than 200 levels");
  EXPECT_EQ(ErrorOf(nested(3), 2), "f.json:1:3: nested deeper than 2 levels");
  EXPECT_FALSE(ParseJson(std::string(1000000, '['), "t").ok());
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(ParseJson(objects, "t").ok());
}

// Mutated documents: this reader and nlohmann's must accept the same texts (but for duplicate keys) and read the same
// values.
TEST(Json, AgreesWithASecondParser) {
  const std::string seeds[] = {R"({"a":[1,-2.5e3,true,null,"x\u00e9\n"],"b":{"c":"\ud83d\ude00","d":0.1}})",
                               R"([[],{},"",0,-0,1E5,false])"};
  const std::string alphabet = "{}[]\",:\\u0123456789abcdefnrtl.-+eE \n\x01\x80\xc3\xa9";
  Rng rng(3, Stream::kTest);
  int accepted = 0, both = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[i % 2];
    for (uint64_t edits = 1 + rng.Below(3); edits > 0; --edits) {
      const size_t at = rng.Below(text.size());
      switch (rng.Below(3)) {
        case 0:
          text[at] = alphabet[rng.Below(alphabet.size())];
          break;
        case 1:
          text.erase(at, 1 + rng.Below(3));
          break;
        default:
          text.insert(at, 1, alphabet[rng.Below(alphabet.size())]);
      }
      if (text.empty()) text = "0";
    }
    const auto mine = ParseJson(text, "t");
    const json theirs = json::parse(text, nullptr, false);
    if (!mine.ok() && mine.error().message.find("duplicate key") != std::string::npos) continue;
    ASSERT_EQ(mine.ok(), !theirs.is_discarded()) << text << "\n" << (mine.ok() ? "" : mine.error().message);
    accepted += mine.ok();
    if (mine.ok()) {
      ASSERT_EQ(*mine, theirs) << text;
      ++both;
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_EQ(both, accepted);
}

TEST(Json, TextForms) {
  const json value = {{"b", 1}, {"a", {0.1, 1e-300, 3.0}}};
  EXPECT_EQ(ToLineText(value), R"({"a":[0.1,1e-300,3.0],"b":1})");
  EXPECT_EQ(ToPrettyText(json{{"a", json::array({1})}}), "{\n  \"a\": [\n    1\n  ]\n}\n");
  nlohmann::ordered_json ordered;
  ordered["z"] = "对";
  ordered["a"] = std::nan("");
  EXPECT_EQ(ToLineText(ordered), "{\"z\":\"对\",\"a\":null}");
  EXPECT_EQ(ToLineText(json("a\xff")), "\"a\xef\xbf\xbd\"");
  Rng rng(4, Stream::kTest);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = rng.NextU64();
    const double x = std::bit_cast<double>(bits);
    if (!std::isfinite(x)) continue;
    ASSERT_EQ(std::bit_cast<uint64_t>(ParseJson(ToLineText(json(x)), "t")->get<double>()), bits);
    const float f = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isfinite(f)) {
      ASSERT_EQ(static_cast<float>(ParseJson(ToLineText(json(f)), "t")->get<double>()), f);
    }
  }
}

TEST(Json, LineColumn) {
  EXPECT_EQ(LineColumn("", 0), "1:1");
  EXPECT_EQ(LineColumn("a\nb", 2), "2:1");
  EXPECT_EQ(LineColumn("对x", 3), "1:2");
  EXPECT_EQ(LineColumn("a", 99), "1:2");
}

}  // namespace
}  // namespace r1
