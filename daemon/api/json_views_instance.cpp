#include <utility>

#include "common/format.h"
#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"

namespace buildwarden::api {
namespace json = boost::json;

json::object termination_json(const ports::TerminationView& view) {
  json::object object;
  object["state"] = to_string(view.state);
  object["reason"] = text(view.reason);
  object["rule"] = text(view.rule);
  object["since"] = time_json(view.since);
  object["next"] = view.next.empty() ? json::value(nullptr) : json::value(text(view.next));
  object["seconds_left"] = view.left ? seconds_json(*view.left) : json::value(nullptr);
  object["mount"] = view.mount.empty() ? json::value(nullptr) : json::value(text(view.mount));
  object["instance"] = view.instance.empty() ? json::value(nullptr) : json::value(text(view.instance));
  json::array steps;
  for (const auto& step : view.steps) {
    json::object one;
    one["step"] = to_string(step.action);
    one["at"] = time_json(step.at.wall);
    one["outcome"] = to_string(step.outcome);
    one["tries"] = step.tries;
    one["pid"] = step.pid == 0 ? json::value(nullptr) : json::value(step.pid);
    steps.push_back(std::move(one));
  }
  object["steps"] = std::move(steps);
  return object;
}

}  // namespace buildwarden::api
