#include "daemon/api/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace buildwarden::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Everything {
  std::string text = "default";
  bool truth = false;
  std::optional<bool> maybe;
  std::int64_t number = 7;
  std::vector<std::string> list;
};

std::vector<std::string> read(const std::string& body, Everything& into) {
  const auto object = parse_object(body);
  if (!object) return {object.error().message()};
  FieldReader fields(*object);
  fields.read("text", into.text, 8);
  fields.read("truth", into.truth);
  fields.read("maybe", into.maybe);
  fields.read("number", into.number, 1, 100);
  fields.read("list", into.list, 2);
  std::vector<std::string> mistakes;
  for (const auto& mistake : fields.finish()) mistakes.push_back(mistake.field + ": " + mistake.why);
  return mistakes;
}

TEST(FieldReader, ReadsWhatIsRight) {
  Everything all;
  EXPECT_THAT(read(R"({"text":"a","truth":true,"maybe":false,"number":100,"list":["x","y"]})", all), IsEmpty());
  EXPECT_EQ(all.text, "a");
  EXPECT_TRUE(all.truth);
  EXPECT_EQ(all.maybe, false);
  EXPECT_EQ(all.number, 100);
  EXPECT_THAT(all.list, ElementsAre("x", "y"));
}

TEST(FieldReader, LeavesTheAbsentAlone) {
  Everything all;
  EXPECT_THAT(read("", all), IsEmpty());
  EXPECT_THAT(read(R"( {"text":null,"number":null} )", all), IsEmpty());
  EXPECT_EQ(all.text, "default");
  EXPECT_EQ(all.number, 7);
  EXPECT_EQ(all.maybe, std::nullopt);
}

TEST(FieldReader, NamesEveryMistakeAtOnce) {
  Everything all;
  EXPECT_THAT(read(R"({"zzz":1,"text":5,"truth":"yes","maybe":[],"number":1.5,"list":["a",2]})", all),
              ElementsAre("text: must be a string, not a number", "truth: must be true or false, not a string",
                          "maybe: must be true or false, not an array",
                          "number: must be a whole number from 1 to 100, not 1.5E0",
                          "list[1]: must be a string, not a number", "zzz: is not known"));
  EXPECT_EQ(all.text, "default");
  EXPECT_THAT(all.list, IsEmpty());
}

TEST(FieldReader, KeepsTheBounds) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"number":0})", "number: must be a whole number from 1 to 100, not 0"},
      {R"({"number":101})", "number: must be a whole number from 1 to 100, not 101"},
      {R"({"number":18446744073709551615})", "number: must be a whole number from 1 to 100, not 18446744073709551615"},
      {R"({"number":"5"})", "number: must be a whole number from 1 to 100, not a string"},
      {R"({"text":"123456789"})", "text: has 9 bytes, at most 8 are allowed"},
      {R"({"text":"a\u0000b"})", "text: has a NUL character"},
      {"{\"text\":\"a\u009bb\"}", "text: has the control character U+009B"},
      {R"({"text":"a\u202eb"})", "text: has the control character U+202E"},
      {R"({"list":["a\u001b"]})", "list[0]: has the control character U+001B"},
      {R"({"list":["a","b","c"]})", "list: has 3 entries, at most 2 are allowed"},
      {R"({"list":"a"})", "list: must be an array of strings, not a string"},
  };
  for (const auto& [body, mistake] : wrong) {
    Everything all;
    EXPECT_THAT(read(body, all), ElementsAre(mistake)) << body;
  }
}

TEST(ParseObject, SaysWhereItIsNoJson) {
  const std::pair<const char*, const char*> wrong[] = {
      {"{", "line 1, column 2"},
      {"{\"a\":1,}", "line 1, column 8"},
      {"{\n \"a\": nul\n}", "line 2, column 7"},
      {"{} x", "line 1, column 4"},
      {"{'a':1}", "line 1, column 2"},
      {"\xff", "line 1, column 1"},
      {"{\"a\":\"\xff\"}", "line 1, column 7"},
      {"[[[[[[[[[[1]]]]]]]]]]", "line 1, column 9"},
  };
  for (const auto& [body, where] : wrong) {
    const auto object = parse_object(body);
    ASSERT_FALSE(object.ok()) << body;
    EXPECT_EQ(object.error().code(), Errc::kInvalid);
    EXPECT_THAT(object.error().message(), HasSubstr(where)) << body;
  }
  EXPECT_EQ(parse_object(R"({"id":"a","need":1,"\u0069d":"b"})").error().message(),
            R"(the body has the key "id" twice)");
  EXPECT_EQ(parse_object(R"({"a":[{"b":1},{"c":{"d":1,"d":2}}]})").error().message(),
            R"(the body has the key "d" twice)");
  EXPECT_EQ(parse_object(R"({"\u009b":1,"\u009b":2})").error().message(), R"(the body has the key "\u009b" twice)");
  EXPECT_TRUE(parse_object(R"({"a":{"b":1},"b":[{"b":1},{"b":2}]})").ok());
  EXPECT_EQ(parse_object("[1]").error().message(), "the body must be a JSON object, not an array");
}

}  // namespace
}  // namespace buildwarden::api
