// The API's own description against the routes that there are. What the answers look like is asked of the real daemon
// by tests/integration/openapi_test.
#include <gmock/gmock.h>

#include <set>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

namespace json = boost::json;

using OpenapiTest = ApiTest;

// "?since,limit": those of its query.
std::string parameters_of(const json::value& operation) {
  std::string names;
  const auto* parameters = operation.as_object().if_contains("parameters");
  if (parameters == nullptr) return names;
  for (const auto& one : parameters->as_array()) {
    if (one.as_object().contains("in") && one.at("in") == "query") {
      names += (names.empty() ? "?" : ",") + std::string(one.at("name").as_string());
    }
  }
  return names;
}

std::set<std::string> described(const json::value& document) {
  std::set<std::string> names;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      if (method == "parameters") continue;
      std::string name(method);
      for (auto& letter : name) letter = static_cast<char>(letter - 'a' + 'A');
      names.insert(name + " " + std::string(path) + parameters_of(operation));
    }
  }
  return names;
}

TEST_F(OpenapiTest, DescribesEveryRouteAndNoOther) {
  start();
  const auto document = get("/openapi.json").json();
  const auto routes = on_loop([this] { return api->route_names(); });
  EXPECT_THAT(described(document), ::testing::UnorderedElementsAreArray(routes));
}

TEST_F(OpenapiTest, SaysWhichVersionItIs) {
  start();
  const auto answer = get("/openapi.json");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json().at("openapi"), "3.1.0");
  EXPECT_EQ(answer.json().at("info").at("version"), BUILDWARDEN_VERSION);
}

std::set<std::string> members(const json::value& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.as_object()) names.insert(name);
  return names;
}

// A job that waits: what the real daemon without an engine never answers.
TEST_F(OpenapiTest, DescribesALongOperation) {
  admissions.closed = true;
  context.answer_within = Duration{1};
  start();
  const auto document = get("/openapi.json").json();
  const auto& schemas = document.at("components").at("schemas");
  const auto accepted = ask("POST", "/v1/jobs", R"({"id":"1"})");
  ASSERT_EQ(accepted.status, 202);
  EXPECT_EQ(members(accepted.json()), members(schemas.at("Accepted").at("properties")));
  const auto operation = get("/v1/operations/" + std::string(accepted.json().at("operation").as_string())).json();
  EXPECT_EQ(members(operation), members(schemas.at("Operation").at("properties")));
  on_loop([this] { admissions.gate.notify_all(); });
}

}  // namespace
}  // namespace buildwarden::api
