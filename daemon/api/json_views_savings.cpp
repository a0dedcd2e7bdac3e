#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

json::object amount_json(const policy::Amount& amount) {
  json::object object;
  object["seconds"] = amount.seconds;
  object["estimated_seconds"] = amount.estimated_seconds;
  object["bytes"] = amount.bytes;
  object["uses"] = amount.times;
  return object;
}

json::object sums_json(const ports::SavingsOfKind::Sums& sums) {
  json::object object;
  object["total"] = amount_json(sums.total);
  object["today"] = amount_json(sums.today);
  return object;
}

json::array kinds_json(const std::vector<ports::SavingsOfKind>& kinds) {
  json::array list;
  for (const auto& one : kinds) {
    json::object kind;
    kind["kind"] = policy::to_string(one.kind);
    kind["saved"] = sums_json(one.saved);
    kind["regretted"] = sums_json(one.regretted);
    list.push_back(std::move(kind));
  }
  return list;
}

}  // namespace

json::object savings_json(const ports::SavingsView& view) {
  json::object object;
  object["host"] = view.host ? json::value(kinds_json(*view.host)) : json::value(nullptr);
  json::array pipelines;
  for (const auto& [pipeline, kinds] : view.pipelines) {
    json::object one;
    one["pipeline"] = text(pipeline);
    one["kinds"] = kinds_json(kinds);
    pipelines.push_back(std::move(one));
  }
  object["pipelines"] = std::move(pipelines);
  return object;
}

}  // namespace buildwarden::api
