#include "daemon/api/json_views.h"

#include <cmath>
#include <utility>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/api/attention.h"
#include "daemon/api/json_parts.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

json::object lease_json(const ports::Lease& lease, Now now) {
  json::object object;
  object["id"] = text(lease.id);
  object["agent"] = text(lease.agent);
  object["pipeline"] = text(lease.pipeline);
  object["checkout_path"] = text(lease.checkout_path);
  object["uid"] = static_cast<std::int64_t>(lease.uid);
  object["pid"] = lease.pid == 0 ? json::value(nullptr) : json::value(static_cast<std::int64_t>(lease.pid));
  object["builders"] = texts(lease.builders);
  object["need_bytes"] = lease.need_bytes;
  object["reserved_bytes"] = lease.reserved_bytes;
  object["started_at"] = time_json(lease.started_wall);
  // A lease with a process lasts as long as that.
  const bool timed = lease.pid == 0;
  object["expires_at"] = timed ? time_json(now.wall + (lease.expires - now.boot)) : json::value(nullptr);
  return object;
}

std::string_view name_of(ports::Severity severity) {
  switch (severity) {
    case ports::Severity::kInfo: return "info";
    case ports::Severity::kWarning: return "warning";
    case ports::Severity::kError: return "error";
  }
  return "unknown";
}

struct FieldJson {
  json::value operator()(std::int64_t value) const { return value; }
  json::value operator()(double value) const {
    return std::isfinite(value) ? json::value(value) : json::value(nullptr);
  }
  json::value operator()(bool value) const { return value; }
  json::value operator()(const std::string& value) const { return text(value); }
};

}  // namespace

json::array jobs_json(const ports::JobsView& view, Now now) {
  json::array list;
  for (const auto& lease : view.leases) list.push_back(lease_json(lease, now));
  return list;
}

json::object prefetch_json(const ports::PrefetchView& view) {
  json::array images;
  std::int64_t done = 0;
  for (const auto& item : view.items) {
    json::object image;
    image["image"] = text(item.image);
    image["builder"] = item.builder.empty() ? json::value(nullptr) : json::value(text(item.builder));
    image["state"] = policy::to_string(item.state);
    image["reason"] = text(item.reason);
    image["failures"] = item.failures;
    image["done_at"] = item.done_at ? json::value(format_rfc3339(*item.done_at)) : json::value(nullptr);
    images.push_back(std::move(image));
    done += item.state == policy::PrefetchState::kDone ? 1 : 0;
  }
  json::object object;
  object["done"] = done;
  object["images"] = std::move(images);
  object["reason"] = text(view.reason);
  object["rule"] = view.rule;
  return object;
}

json::object job_answer_json(const ports::JobAnswer& answer) {
  json::object object;
  object["id"] = text(answer.id);
  object["verdict"] = answer.admitted ? "run" : "refuse";
  object["reason"] = text(answer.reason);
  object["rule"] = text(answer.rule);
  object["disk"] = filesystems_json(answer.disk);
  json::object env;
  for (const auto& [name, value] : answer.grant.env) env[as_utf8(name)] = text(value);
  object["env"] = std::move(env);
  json::array files;
  for (const auto& file : answer.grant.files) {
    json::object entry;
    entry["path"] = text(file.path);
    entry["mode"] = text(format("{:04o}", file.mode));
    entry["content"] = text(file.content);
    files.push_back(std::move(entry));
  }
  object["files"] = std::move(files);
  object["expires_at"] = time_json(answer.expires_at);
  object["note"] = text(answer.grant.note);
  return object;
}

json::object engine_json(const ports::EngineStatus& status) {
  json::object object;
  object["up"] = status.up;
  object["reason"] = text(status.reason);
  object["id"] = text(status.identity.id);
  object["version"] = text(status.identity.version);
  object["api_version"] = text(status.identity.api_version);
  object["root_dir"] = text(status.identity.root_dir);
  object["since"] = status.since ? time_json(status.since->wall) : json::value(nullptr);
  return object;
}

json::array not_ready_json(const std::vector<ports::NotReady>& parts) {
  json::array list;
  for (const auto& part : parts) {
    json::object object;
    object["part"] = text(part.part);
    object["reason"] = text(part.reason);
    list.push_back(std::move(object));
  }
  return list;
}

json::array attention_json(const ports::DiskView& view) {
  json::array list;
  for (const auto& one : attention_of(view)) {
    json::object object;
    object["part"] = text(one.part);
    object["reason"] = text(one.reason);
    object["rule"] = text(one.rule);
    list.push_back(std::move(object));
  }
  return list;
}

json::object event_json(const ports::RecordedEvent& recorded) {
  json::object object;
  object["id"] = recorded.id;
  object["at"] = time_json(recorded.at);
  object["kind"] = text(recorded.event.kind);
  object["severity"] = name_of(recorded.event.severity);
  object["reason"] = text(recorded.event.reason);
  object["rule"] = text(recorded.event.rule);
  json::object fields;
  for (const auto& [name, value] : recorded.event.fields) fields[name] = std::visit(FieldJson{}, value);
  object["fields"] = std::move(fields);
  return object;
}

}  // namespace buildwarden::api
