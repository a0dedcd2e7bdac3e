#include <charconv>
#include <utility>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/api/json_text.h"
#include "daemon/api/json_views.h"
#include "daemon/api/openapi.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

Response health() { return json_response(json::object{{"status", "ok"}}); }

Response readiness(const ApiContext& context) {
  const auto parts = context.readiness();
  auto attention = attention_json(context.disk->disk_view());
  if (parts.empty()) {
    json::object object;
    object["ready"] = true;
    object["not_ready"] = json::array();
    object["attention"] = std::move(attention);
    return json_response(object);
  }
  std::string detail = "not ready: ";
  for (const auto& part : parts) {
    detail += format("{}{} ({})", &part == &parts.front() ? "" : ", ", part.part, part.reason);
  }
  json::object more;
  more["ready"] = false;
  more["not_ready"] = not_ready_json(parts);
  more["attention"] = std::move(attention);
  return problem(503, "not_ready", detail, std::move(more));
}

json::object config_json(const ports::ConfigView& view) {
  json::object object;
  object["loaded_at"] = format_rfc3339(view.loaded_at);
  object["error"] = view.error.empty() ? json::value(nullptr) : json::value(view.error);
  object["restart_needed"] = json::array(view.restart_needed.begin(), view.restart_needed.end());
  object["parameters_awaited"] = view.parameters_awaited;
  object["file"] = as_utf8(view.file);
  return object;
}

Response plain(std::string body, std::string content_type) {
  Response response;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  return response;
}

// What is not being kept on disk now, and why.
json::object state_json(const ports::DiskView& disk, const ports::EventSource& events) {
  const auto text = [](const std::string& error) {
    return error.empty() ? json::value() : json::value(as_utf8(error));
  };
  json::object object;
  object["ledger_error"] = text(disk.ledger_error);
  object["journal_error"] = text(events.error());
  return object;
}

Response status(const ApiContext& context, const Now& started) {
  const auto now = context.clock->now();
  const auto not_ready = context.readiness();
  const auto disk = context.disk->disk_view();
  json::object object;
  object["version"] = context.version;
  object["dry_run"] = context.dry_run();
  object["started_at"] = format_rfc3339(started.wall);
  object["uptime_seconds"] = (now.boot - started.boot).count() / 1000;
  object["ready"] = not_ready.empty();
  object["not_ready"] = not_ready_json(not_ready);
  object["attention"] = attention_json(disk);
  object["config"] = config_json(context.config->config_view());
  object["engine"] = engine_json(context.engine->status());
  object["reclaiming"] = disk.reclaiming;
  object["filesystems"] = filesystems_json(disk.filesystems);
  object["refused_roots"] = refused_roots_json(disk.refused_roots);
  object["builders"] = builders_json(context.builders->builders_view(), context.emulators->emulators_view());
  object["emulators"] = emulators_json(context.emulators->emulators_view());
  object["jobs"] = jobs_json(context.jobs->jobs_view(), now);
  object["termination"] = termination_json(context.termination->termination_view());
  object["savings"] = savings_json(context.savings->savings_view());
  object["prefetch"] = prefetch_json(context.prefetch->prefetch_view());
  object["last_event_id"] = context.events->last_id();
  object["state"] = state_json(disk, *context.events);
  return json_response(object);
}

}  // namespace

void add_state_routes(Router& router, const ApiContext& context) {
  const Now started = context.clock->now();
  router.add_direct("GET", "/healthz", [](const Request&) { return health(); });
  router.add_direct("GET", "/readyz", [&context](const Request&) { return readiness(context); });
  router.add_direct("GET", "/metrics", [&context](const Request&) {
    return plain(context.metrics_text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  router.add_direct("GET", "/openapi.json",
                    [](const Request&) { return plain(std::string(openapi_document()), "application/json"); });
  router.add_direct("GET", "/v1/status", [&context, started](const Request&) { return status(context, started); });
  router.add_direct("GET", "/v1/config",
                    [&context](const Request&) { return plain(context.config_json(), "application/json"); });
}

Response json_response(const json::value& body, int status) {
  Response response;
  response.status = status;
  response.body = json_text(body);
  return response;
}

Response bad_fields(const std::vector<FieldReader::Mistake>& mistakes) {
  std::string detail;
  json::array errors;
  for (const auto& mistake : mistakes) {
    detail += format("{}\"{}\" {}", detail.empty() ? "" : "; ", mistake.field, mistake.why);
    errors.push_back(json::object{{"field", mistake.field}, {"detail", mistake.why}});
  }
  json::object more;
  more["errors"] = std::move(errors);
  return problem(400, "bad_field", detail, std::move(more));
}

Result<std::int64_t> query_number(const Request& request, const std::string& name, std::int64_t absent,
                                  std::int64_t most) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return absent;
  const auto& text = found->second;
  std::int64_t number = -1;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most) return number;
  return Error(Errc::kInvalid, format("the parameter \"{}\" must be a whole number from 0 to {}", name, most));
}

}  // namespace buildwarden::api
