// The shipped file, read by the loader that reads it on every host.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "config/schema.h"
#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

class Shipped : public ConfigTest {
 protected:
  static std::string text() {
    std::ifstream in(BUILDWARDEN_SOURCE_DIR "/config/buildwarden.yaml");
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }

  // A commented key has no single blank after its #, a sentence has.
  static std::string uncommented() { return std::regex_replace(text(), std::regex("(^|\n)( *)#(?! \\S)"), "$1$2"); }
};

TEST_F(Shipped, SetsNothing) {
  ASSERT_FALSE(text().empty());
  write("conf.yaml", text());
  const auto all = loaded();
  for (const auto& value : all.values) EXPECT_NE(value.source, "yaml") << value.key;
  EXPECT_EQ(warnings(all), "");
}

TEST_F(Shipped, DocumentsEveryKeyWithItsDefault) {
  const auto defaults = loaded();
  write("conf.yaml", uncommented());
  const auto all = loaded();
  ASSERT_EQ(all.values.size(), defaults.values.size());
  for (std::size_t i = 0; i < all.values.size(); ++i) {
    const auto& value = all.values[i];
    EXPECT_EQ(value.key, defaults.values[i].key);
    const auto* field = find_field(settings_table(), value.key);
    if (field != nullptr && !field->elsewhere.empty()) continue;
    EXPECT_EQ(value.source, request_.overrides.contains(value.key) ? "command-line" : "yaml") << value.key;
    EXPECT_EQ(value.value, defaults.values[i].value) << value.key;
  }
}

TEST_F(Shipped, DescribesForPeopleAndAsJson) {
  write("conf.yaml", "dry_run: true\n");
  write("agent_env", "DISK_MIN_INODES=x\n");
  const auto all = loaded();
  const auto text = describe(all);
  EXPECT_EQ(text.find("dry_run "), 0U);
  EXPECT_NE(text.find("yaml (" + file("conf.yaml") + ":1)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nlog.level "), std::string::npos);
  EXPECT_NE(text.find("  default\n"), std::string::npos);
  EXPECT_NE(text.find("\nwarning: " + file("agent_env") + ":1: DISK_MIN_INODES: \"x\" is not a whole number"),
            std::string::npos)
      << text;
  const auto json = describe_json(all);
  EXPECT_EQ(
      json.find(R"({"settings":[{"key":"dry_run","value":"true","source":"yaml","location":")" + file("conf.yaml") +
                R"(:1"},{"key":"disk.watch","value":"auto","source":"default","location":""},)"),
      0U)
      << json;
  EXPECT_NE(json.find(R"(],"warnings":[")" + file("agent_env") + R"(:1: DISK_MIN_INODES: \"x\" is not)"),
            std::string::npos)
      << json;
}

}  // namespace
}  // namespace buildwarden::config
