#include "common/visible_text.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace buildwarden {
namespace {

TEST(VisibleText, ShowsWhatWouldDriveATerminal) {
  EXPECT_EQ(visible("plain \"text\" ~"), "plain \"text\" ~");
  EXPECT_EQ(visible("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
  EXPECT_EQ(visible("a\x1b[31mb\n\x7f"), "a\\x1b[31mb\\x0a\\x7f");
  EXPECT_EQ(visible("\xc2\x9b"
                    "31m"),
            "\\u009b31m")
      << "CSI as a character of C1";
  EXPECT_EQ(visible("\x9b"
                    "31m"),
            "\\x9b31m")
      << "CSI as a byte";
  EXPECT_EQ(visible("web\u202egnp.exe"), "web\\u202egnp.exe");
  EXPECT_EQ(visible(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(visible(""), "");
}

TEST(VisibleText, KnowsEachControlCharacterAndNoNeighbour) {
  for (const auto* control : {"\u0080", "\u009f", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e",
                              "\u2066", "\u2069", "\x1f", "\x7f", "\xff", "\xc0\x80", "\xe2\x80"}) {
    EXPECT_TRUE(first_control(control)) << visible(control);
  }
  for (const auto* shown : {" ", "~", "\u00a0", "\u061b", "\u061d", "\u200d", "\u2010", "\u2027", "\u202f", "\u2065",
                            "\u206a", "\U0001F642"}) {
    EXPECT_EQ(first_control(shown), std::nullopt) << shown;
  }
  EXPECT_EQ(first_control("a\u202eb\x1b"), "U+202E");
  EXPECT_EQ(first_control("a\x9b"), "byte 0x9b");
}

TEST(VisibleText, OfManyLinesKeepsTheLines) {
  EXPECT_EQ(visible_lines("one\n\ttwo\r\x1b[2J\n"), "one\n\ttwo\\x0d\\x1b[2J\n");
}

TEST(VisibleText, JsonSaysTheSame) {
  EXPECT_EQ(visible_json("{\"id\": \"a\u202e\u009b\x7f\"}\n"), "{\"id\": \"a\\u202e\\u009b\\u007f\"}\n");
}

TEST(AsUtf8, KeepsWhatIsGoodAndShowsTheBytesOfTheRest) {
  EXPECT_EQ(as_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\x1b \\n"),
            "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\x1b \\n");
  EXPECT_EQ(as_utf8("\xff"), "\\xff");
  EXPECT_EQ(as_utf8("a\xc3"), "a\\xc3");                  // cut off
  EXPECT_EQ(as_utf8("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(as_utf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(as_utf8("\xe0\x80\x80x"), "\\xe0\\x80\\x80x");
  EXPECT_EQ(as_utf8("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

// Names of mounts, as the kernel has them: what it shows of two must be two.
TEST(AsUtf8, NeverMakesOneNameOfTwo) {
  std::set<std::string> shown;
  const std::vector<std::string> names = {"/m\xff",    "/m\\xff",        "/m\\x5cxff", "/m\\x5cx5cxff", "/m\\\xff",
                                          "/m\\\\xff", "/m\xef\xbf\xbd", "/m\\x5c",    "/m\\x5cx5c"};
  for (const auto& name : names) {
    const auto one = as_utf8(name);
    for (std::string_view rest = one; !rest.empty(); rest.remove_prefix(utf8_sequence(rest))) {
      ASSERT_NE(utf8_sequence(rest), 0U) << one;
    }
    EXPECT_TRUE(shown.insert(one).second) << one;
  }
}

}  // namespace
}  // namespace buildwarden
