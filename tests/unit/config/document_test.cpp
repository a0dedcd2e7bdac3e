#include "config/document.h"

#include <gtest/gtest.h>

#include "common/nearest.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

std::string error_of(const std::string& text) {
  const auto node = parse_yaml("F", text);
  return node ? "" : node.error().message();
}

TEST(Document, KeepsPlacesQuotesAndBothOfTwoEqualKeys) {
  const auto root = parse_yaml("F", "# note\na: 'x'\nb:\n  - 1\na:\n");
  ASSERT_TRUE(root.ok()) << root.error().message();
  ASSERT_EQ(root->kind, NodeKind::kMap);
  ASSERT_EQ(root->items.size(), 6U);
  EXPECT_EQ(root->items[0].text, "a");
  EXPECT_EQ(root->items[0].line, 2);
  EXPECT_TRUE(root->items[1].quoted);
  EXPECT_EQ(root->items[1].column, 4);
  EXPECT_EQ(root->items[3].items.at(0).text, "1");
  EXPECT_FALSE(root->items[3].items.at(0).quoted);
  EXPECT_EQ(root->items[3].items.at(0).line, 4);
  EXPECT_EQ(root->items[4].text, "a");
  EXPECT_EQ(root->items[5].kind, NodeKind::kNull);
}

TEST(Document, AnEmptyTextOrOneOfCommentsIsEmpty) {
  for (const auto* text : {"", "\n\n", "# nothing\n", "---\n"}) {
    const auto root = parse_yaml("F", text);
    ASSERT_TRUE(root.ok()) << text;
    EXPECT_EQ(root->kind, NodeKind::kNull) << text;
  }
}

TEST(Document, ABrokenTextIsRefusedWithItsPlace) {
  EXPECT_EQ(error_of("a: [1, 2\nb: 3\n"), "F:2:2: not the YAML that is wanted: end of sequence flow not found");
  EXPECT_EQ(error_of("a: b: c\n"), "F:1:5: not the YAML that is wanted: illegal map value");
  EXPECT_EQ(error_of("a: *x\n"), "F:1:4: not the YAML that is wanted: the referenced anchor is not defined");
  EXPECT_EQ(error_of("a: !!str 5\n"), "F:1:4: not the YAML that is wanted: a tag; write the value alone");
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n"),
            "F:2:1: not the YAML that is wanted: a second document begins; keep one document in the file");
}

TEST(Document, ControlCharactersAndOtherEncodingsAreRefused) {
  using std::string_literals::operator""s;
  EXPECT_EQ(error_of("a: 1\nb: \x04 c: 2\n"), "F:2:4: the control character \\x04; remove it");
  EXPECT_EQ(error_of("a: \0\n"s), "F:1:4: the control character \\x00; remove it");
  EXPECT_EQ(error_of("a: \xff\n"), "F:1:1: not UTF-8; save the file as UTF-8");
  EXPECT_EQ(error_of("a: \xc3\xa4\r\n"), "");
}

TEST(Document, AliasesAreExpandedAndTheirBombsAreBounded) {
  const auto root = parse_yaml("F", "a: &x [1, 2]\nb: *x\n");
  ASSERT_TRUE(root.ok()) << root.error().message();
  ASSERT_EQ(root->items[3].items.size(), 2U);
  EXPECT_EQ(root->items[3].line, 2);

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k > 0 ? ", " : "") + below;
    bomb += "]\n";
  }
  EXPECT_NE(error_of(bomb).find("larger than 1 MiB with its aliases expanded"), std::string::npos) << error_of(bomb);
  EXPECT_EQ(error_of("a: &x [*x]\n"), "F:1:8: not the YAML that is wanted: an alias stands within its own anchor");
}

TEST(Document, DepthAndWidthAreBounded) {
  const std::string deep = std::string(17, '[') + std::string(17, ']');
  EXPECT_EQ(error_of(deep), "F:1:17: not the YAML that is wanted: nested deeper than 16 levels; no key needs that");
  EXPECT_EQ(error_of(deep.substr(1, 32)), "");
  EXPECT_NE(error_of(std::string(100'000, '[')).find("nested deeper"), std::string::npos);
  std::string chain = "a0: &a0 [[[[[[[[x]]]]]]]]\n";
  EXPECT_NE(error_of(chain + "b: [[[[[[[[*a0]]]]]]]]\n").find("nested deeper"), std::string::npos);
  std::string wide = "a: [0";
  for (int i = 1; i <= 2000; ++i) wide += ", " + std::to_string(i);
  EXPECT_NE(error_of(wide + "]\n").find("more than 1000 keys or 2000 values"), std::string::npos);
}

TEST(Text, ShowsForeignBytesSafely) {
  EXPECT_EQ(shown("a\n\x1b[31m\xff"), "\"a\\x0a\\x1b[31m\\xff\"");
  EXPECT_EQ(shown(std::string(61, 'a')), "\"" + std::string(60, 'a') + "…\"");
}

TEST(Text, SpellsValuesAsYamlTakesThemBack) {
  EXPECT_EQ(yaml_spelling(""), "\"\"");
  EXPECT_EQ(yaml_spelling("127.0.0.1:9847"), "127.0.0.1:9847");
  EXPECT_EQ(yaml_spelling("a \"b\""), "\"a \\\"b\\\"\"");
  EXPECT_EQ(yaml_spelling("-x"), "\"-x\"");
}

TEST(Text, KnowsUtf8) {
  EXPECT_TRUE(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\x80"));          // overlong
  EXPECT_FALSE(is_utf8("\xe0\x80\x80"));      // overlong
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // a surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond the last character
  EXPECT_FALSE(is_utf8("\xe2\x82"));          // cut
}

TEST(Text, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("min_fre", {"min_free", "min_free_inodes"}), "min_free");
  EXPECT_EQ(nearest("zzzzzz", {"min_free", "grace"}), "");
}

}  // namespace
}  // namespace buildwarden::config
