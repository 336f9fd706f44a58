#include "text/unicode.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace r1 {
namespace {

std::string Nfc(const std::string& text) {
  std::string buffer;
  return std::string(ToNfc(text, &buffer));
}

TEST(Unicode, Classes) {
  EXPECT_EQ(ClassOf('a'), kLetter);
  EXPECT_EQ(ClassOf(0x4E2D), kLetter);
  EXPECT_EQ(ClassOf(0xBD), kNumber);
  EXPECT_EQ(ClassOf(0x301), kMark);
  EXPECT_EQ(ClassOf('_'), kPunctuation);
  EXPECT_EQ(ClassOf('$'), kSymbol);
  EXPECT_EQ(ClassOf(0x3000), kSpace);
  EXPECT_EQ(ClassOf('\n'), kSpace);
  EXPECT_EQ(ClassOf(-1), 0);
  EXPECT_EQ(ClassOf(0x200B), 0);  // zero width space is no White_Space
}

TEST(Unicode, WordCharacters) {
  for (const int32_t c : {int32_t{'a'}, int32_t{'_'}, int32_t{'7'}, 0x301, 0x4E2D, 0x200D})
    EXPECT_TRUE(IsWordCharacter(c)) << c;
  for (const int32_t c : {int32_t{' '}, int32_t{'-'}, -1, 0x1F600}) EXPECT_FALSE(IsWordCharacter(c)) << c;
}

TEST(Unicode, Backwards) {
  EXPECT_EQ(Utf8Before("a中", 0, 4).code, 0x4E2D);
  EXPECT_EQ(Utf8Before("a中", 2, 4).code, -1);  // its first byte is out of sight
  EXPECT_EQ(Utf8Before("a\xFF", 0, 2).code, -1);
  EXPECT_EQ(Utf8Before("\x80\x80\x80\x80\x80", 0, 5).length, 1);
}

TEST(Unicode, NormalizationFormC) {
  EXPECT_EQ(Nfc("a\u0301 e\u0301"), "á é");
  EXPECT_EQ(Nfc("\u1100\u1161\u11a8"), "각");
  EXPECT_EQ(Nfc("q\u0307\u0323"), "q\u0323\u0307");  // ordered by class
  EXPECT_EQ(Nfc("d\u0307\u0323"), "\u1e0d\u0307");   // and composed after that
  EXPECT_EQ(Nfc("a\u0305\u0301"), "a\u0305\u0301");  // blocked by a mark of the same class
  EXPECT_EQ(Nfc("\u2126\u212b"), "\u03a9\u00c5");    // single characters with another form
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093c");          // excluded from composition
  EXPECT_EQ(Nfc("\u0344"), "\u0308\u0301");          // a mark that is two
  EXPECT_EQ(Nfc("\xFF"
                "a\u0301\xC3"),
            "\xFF"
            "á\xC3");  // other bytes stay
  EXPECT_EQ(Nfc("\u0301"), "\u0301");
  const std::string plain = "plain text, 中文 und äöü \xF0\x9F\x98\x80";
  std::string buffer;
  EXPECT_EQ(ToNfc(plain, &buffer).data(), plain.data());  // no copy
}

TEST(Unicode, NormalFormIsAFixedPointWhateverTheText) {
  const std::string alphabet[] = {"a",      "q",      "\u0301", "\u0323", "\u0307", "\u0345", "\u1100",
                                  "\u1161", "\u11a8", "각",     "\u0915", "\u093c", "\u0958", "\xCC",
                                  "中",     "\u09c7", "\u09be", "\u0344", " "};
  size_t changed = 0;
  for (uint64_t round = 0; round < 5000; ++round) {
    Rng rng(5, Stream::kTest, round);
    std::string text;
    for (uint64_t i = rng.Below(12); i > 0; --i) text += alphabet[rng.Below(std::size(alphabet))];
    const std::string once = Nfc(text);
    ASSERT_EQ(Nfc(once), once) << round;
    changed += once != text;
  }
  EXPECT_GT(changed, 2000u);
}

TEST(Unicode, MarksInFallingOrderAreNotQuadratic) {
  // A million marks, each below the one before it in class or not: sorted once.
  std::string text = "a";
  std::string low;
  std::string high;
  for (int i = 0; i < 500'000; ++i) text += "\u0305\u0323", low += "\u0323", high += "\u0305";
  EXPECT_EQ(Nfc(text), "\u1ea1" + low.substr(2) + high);
}

}  // namespace
}  // namespace r1
