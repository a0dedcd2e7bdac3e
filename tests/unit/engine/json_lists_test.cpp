#include "daemon/engine/json_lists.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <string>

#include "common/format.h"
#include "daemon/engine/json.h"

namespace buildwarden::engine {
namespace {

namespace json = boost::json;

// "0:1 0:{…} | what is left": each element with its list, "0:" where one begins.
class Notes final : public ListReader {
 public:
  void begin(std::size_t list) override { text += format("{}: ", list); }
  void element(std::size_t list, const json::value& element) override {
    text += format("{}:{} ", list, json::serialize(element));
  }
  std::string text;
};

std::string read(std::string_view text, const std::vector<ListPath>& paths) {
  Notes notes;
  const auto left = parse_lists(text, paths, notes);
  if (!left) return left.error().message();
  return notes.text + "| " + json::serialize(*left);
}

const std::vector<ListPath> kTwo = {{"a"}, {"b", "c"}};

TEST(ParseLists, ElementsGoToTheReaderAndLeaveEmptyLists) {
  EXPECT_EQ(read(R"({"x":1,"a":[1,-2,2.5,"t",true,null,{"k":[1,2]},[3,[4]]],"y":[5]})", kTwo),
            R"(0: 0:1 0:-2 0:2.5E0 0:"t" 0:true 0:null 0:{"k":[1,2]} 0:[3,[4]] | {"x":1,"a":[],"y":[5]})");
  EXPECT_EQ(read(R"({"b":{"c":[1],"d":2},"a":[]})", kTwo), R"(1: 1:1 0: | {"b":{"c":[],"d":2},"a":[]})");
  EXPECT_EQ(read(" [ 1 , {\"a\":[2]} ] ", {ListPath{}}), "0: 0:1 0:{\"a\":[2]} | []");
}

TEST(ParseLists, OnlyTheListAtThePathIsMeant) {
  for (const auto* text :
       {R"({"x":{"a":[1]}})", R"({"c":[1]})", R"({"b":[[1]]})", R"({"b":[{"c":[1]}]})", R"([{"a":[1]}])",
        R"([{"c":[1]}])", R"({"b":{"x":{"c":[1]}}})", R"({"b":{"x":1},"x":{"c":[1]}})", R"({"a":{"a":[1]}})",
        R"({"b":{},"":[[1]]})", R"("a")", R"({"a":1,"b":{"c":{}}})", R"({"a/b":[1]})"}) {
    EXPECT_EQ(read(text, kTwo), "| " + json::serialize(*parse_json(text))) << text;
  }
}

TEST(ParseLists, NamesAndTextsMayBeEscapedAndLong) {
  EXPECT_EQ(read(R"({"\u0061":["\u0041b","x\ny"]})", kTwo), R"(0: 0:"Ab" 0:"x\ny" | {"a":[]})");
  const std::string longer(100'000, 'l');
  const auto element = "{\"k\":\"" + longer + "\"}";
  EXPECT_EQ(read("[" + element + ",1," + element + "]", {ListPath{}}),
            "0: 0:" + element + " 0:1 0:" + element + " | []");
}

TEST(ParseLists, OfTwoListsAtOnePathTheLatterIsTold) {
  EXPECT_EQ(read(R"({"a":[1],"a":[2]})", kTwo), R"(0: 0:1 0: 0:2 | {"a":[]})");
}

TEST(ParseLists, WhatIsNoJsonIsAnErrorAsEver) {
  const std::string deep(40, '[');
  for (const std::string text : {"", "[", "[1", "[1,", "{\"a\":[1}", "{\"a\":[{\"k\":", "[1]]", "[1] x", "[\"\xff\"]",
                                 "[1e]", "{\"a\":[1]", "nul", deep.c_str()}) {
    const auto whole = parse_json(text);
    ASSERT_FALSE(whole) << text;
    EXPECT_EQ(read(text, kTwo), whole.error().message()) << text;
    EXPECT_EQ(read(text, {ListPath{}}), whole.error().message()) << text;
  }
}

}  // namespace
}  // namespace buildwarden::engine
