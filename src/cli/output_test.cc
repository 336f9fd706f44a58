#include "cli/output.h"

#include <gtest/gtest.h>

namespace r1::cli {
namespace {

TEST(CountText, Groups) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1000), "1,000");
  EXPECT_EQ(CountText(671'026'419'200), "671,026,419,200");
  EXPECT_EQ(CountText(-100), "-100");
  EXPECT_EQ(CountText(-1234567), "-1,234,567");
}

TEST(ShortCountText, Units) {
  EXPECT_EQ(ShortCountText(820), "820");
  EXPECT_EQ(ShortCountText(999), "999");
  EXPECT_EQ(ShortCountText(999'999), "1.00 M");
  EXPECT_EQ(ShortCountText(671'026'419'200), "671.03 B");
}

TEST(ColumnsText, AlignsByCharacters) {
  EXPECT_EQ(ColumnsText({{"a", "b"}, {"ccc", "d"}}, 2), "  a    b\n  ccc  d\n");
  EXPECT_EQ(ColumnsText({{"é", "b"}, {"cc", ""}}, 0), "é   b\ncc\n");
}

TEST(WrapText, BreaksAtSpaces) {
  EXPECT_EQ(WrapText("one two three", 8, 0), "one two\nthree");
  EXPECT_EQ(WrapText("one two three", 9, 2), "  one two\n  three");
  EXPECT_EQ(WrapText("a\n\nb", 80, 0), "a\n\nb");
  EXPECT_EQ(WrapText("unbreakable", 4, 1), " unbreakable");
  EXPECT_EQ(WrapText("", 80, 4), "");
}

TEST(ShellQuote, OnlyWhereNeeded) {
  EXPECT_EQ(ShellQuote("--learning-rate=3e-4"), "--learning-rate=3e-4");
  EXPECT_EQ(ShellQuote("pick 1 2"), "'pick 1 2'");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(""), "''");
}

}  // namespace
}  // namespace r1::cli
