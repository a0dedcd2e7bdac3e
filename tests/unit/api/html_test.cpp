#include "daemon/api/html.h"

#include <gtest/gtest.h>

namespace buildwarden::api {
namespace {

TEST(EscapeHtml, TakesTheMeaningFromEveryCharacterThatHasOne) {
  EXPECT_EQ(escape_html("<a href=\"x\" title='y'>&amp;</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
  EXPECT_EQ(escape_html("plain text, ümläut\ttab\nline"), "plain text, ümläut\ttab\nline");
  EXPECT_EQ(escape_html(""), "");
}

TEST(EscapeHtml, ReplacesWhatNoDocumentMayHold) {
  using namespace std::string_view_literals;
  EXPECT_EQ(escape_html("a\0b\x1b[31m\x7f"sv),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD[31m\xEF\xBF\xBD");
  EXPECT_EQ(escape_html("\xff<"), "\\xff&lt;");
  EXPECT_EQ(escape_html("\xc0\xbc"), "\\xc0\\xbc") << "an overlong < is no <";
}

TEST(Html, EscapesAllButMarkup) {
  const std::string name = "<b>";
  const char* pointer = "\"";
  const auto inner = html("<i>{}</i>", name);
  EXPECT_EQ(inner.text(), "<i>&lt;b&gt;</i>");
  EXPECT_EQ(html("<p title=\"{}\">{}{} {:.1f} {}</p>", pointer, inner, std::string_view("'"), 1.25, -3).text(),
            "<p title=\"&quot;\"><i>&lt;b&gt;</i>&#39; 1.2 -3</p>");
}

TEST(Html, IsJoined) {
  Markup all;
  EXPECT_TRUE(all.empty());
  all += html("<br>");
  all += html("{}", "&");
  EXPECT_EQ(all.text(), "<br>&amp;");
}

}  // namespace
}  // namespace buildwarden::api
