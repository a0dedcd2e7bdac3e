#include <cmath>
#include <utility>

#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

json::value rate_json(double per_second) {
  return std::isfinite(per_second) && std::fabs(per_second) < 9e18 ? json::value(std::llround(per_second))
                                                                   : json::value(nullptr);
}

json::object marks_json(const policy::Marks& marks) {
  json::object object;
  object["critical_bytes"] = marks.critical;
  object["low_bytes"] = marks.low;
  object["target_bytes"] = marks.target;
  object["critical_inodes"] = marks.critical_inodes;
  object["low_inodes"] = marks.low_inodes;
  object["target_inodes"] = marks.target_inodes;
  object["mistake"] = marks.mistake.empty() ? json::value(nullptr) : json::value(marks.mistake);
  return object;
}

void add_reading(json::object& object, const ports::FilesystemSnapshot& disk) {
  const auto& reading = disk.reading;
  const auto number = [&](std::int64_t policy::Reading::* member) {
    return reading ? json::value((*reading).*member) : json::value(nullptr);
  };
  object["total_bytes"] = number(&policy::Reading::total);
  object["free_bytes"] = number(&policy::Reading::free);
  object["total_inodes"] = number(&policy::Reading::total_inodes);
  object["free_inodes"] = number(&policy::Reading::free_inodes);
  object["measured_at"] = reading ? time_json(reading->at.wall) : json::value(nullptr);
}

json::object filesystem_json(const ports::FilesystemSnapshot& disk) {
  json::object object;
  object["device"] = text(disk.device);
  object["mount"] = text(disk.mount);
  object["paths"] = texts(disk.paths);
  object["roles"] = texts(disk.roles);
  object["gate"] = disk.gate;
  add_reading(object, disk);
  object["level"] = to_string(disk.pressure.level);
  object["reason"] = text(disk.pressure.reason);
  object["rule"] = text(disk.pressure.rule);
  object["marks"] = marks_json(disk.marks);
  object["fill_bytes_per_second"] = rate_json(disk.pressure.fill_bytes_per_second);
  const auto& until = disk.pressure.until_critical;
  object["seconds_to_critical"] = until ? seconds_json(*until) : json::value(nullptr);
  object["ballast_bytes"] = disk.ballast.bytes;
  object["ballast_reason"] = text(disk.ballast.reason);
  object["ballast_rule"] = text(disk.ballast.rule);
  object["users"] = users_json(disk.users);
  const auto unattributed = disk.unattributed();
  object["unattributed_bytes"] = unattributed ? json::value(*unattributed) : json::value(nullptr);
  object["error"] = disk.error.empty() ? json::value(nullptr) : json::value(text(disk.error));
  return object;
}

}  // namespace

json::value seconds_json(Duration duration) {
  const auto milliseconds = duration.count();
  if (milliseconds % 1000 == 0) return milliseconds / 1000;
  return static_cast<double>(milliseconds) / 1000.0;
}

json::array filesystems_json(const std::vector<ports::FilesystemSnapshot>& filesystems) {
  json::array list;
  for (const auto& disk : filesystems) list.push_back(filesystem_json(disk));
  return list;
}

json::object image_store_json(const ports::ImageStoreView& store) {
  json::object object;
  object["folders"] = texts(store.folders);
  object["unknown"] = store.unknown.empty() ? json::value(nullptr) : json::value(text(store.unknown));
  return object;
}

json::array refused_roots_json(const std::vector<ports::RefusedRoot>& roots) {
  json::array list;
  for (const auto& root : roots) {
    json::object object;
    object["path"] = text(root.path);
    object["setting"] = text(root.setting);
    object["reason"] = text(root.reason);
    list.push_back(std::move(object));
  }
  return list;
}

json::array users_json(const std::vector<ports::DiskUser>& users) {
  json::array list;
  for (const auto& user : users) {
    json::object object;
    object["kind"] = text(user.kind);
    object["name"] = text(user.name);
    object["bytes"] = user.bytes;
    const bool is_known = user.looked_at != WallTime{};
    object["looked_at"] = is_known ? time_json(user.looked_at) : json::value(nullptr);
    list.push_back(std::move(object));
  }
  return list;
}

namespace {

json::value last_resort_json(const std::optional<ports::LastResortView>& view) {
  if (!view) return nullptr;
  json::object object;
  object["reason"] = text(view->reason);
  object["rule"] = text(view->rule);
  return object;
}

// What it is worth where things are ranked by value; null where they are not.
void add_value(json::object& entry, const ports::SpaceStep& step) {
  entry["last_used_at"] = time_json(step.last_used);
  const auto& value = step.value;
  entry["cost_seconds"] = value ? json::value(value->seconds) : json::value(nullptr);
  entry["cost_is_estimated"] = value ? json::value(value->is_estimated) : json::value(nullptr);
  entry["uses"] = value ? json::value(value->uses) : json::value(nullptr);
  entry["worth"] = value ? json::value(value->worth) : json::value(nullptr);
  const bool is_superseded = value && !value->superseded_by.empty();
  entry["superseded_by"] = is_superseded ? json::value(text(value->superseded_by)) : json::value(nullptr);
  entry["why"] = value ? json::value(text(value->why)) : json::value(nullptr);
}

}  // namespace

json::object space_json(const ports::SpaceResult& result, bool dry_run) {
  json::object object;
  object["dry_run"] = dry_run;
  object["reached"] = result.reached;
  object["reason"] = text(result.reason);
  object["free_before_bytes"] = result.free_before;
  object["free_after_bytes"] = result.free_after;
  json::array steps;
  for (const auto& step : result.steps) {
    json::object entry;
    entry["rung"] = text(step.rung);
    entry["what"] = text(step.what);
    entry["reported_bytes"] = step.reported;
    const bool known = step.freed.is_known();
    entry["freed_bytes"] = known ? json::value(step.freed.bytes()) : json::value(nullptr);
    entry["freed_inodes"] = known ? json::value(step.freed.inodes()) : json::value(nullptr);
    entry["others_took_bytes"] = step.freed.taken_bytes();
    entry["reason"] = text(step.reason);
    entry["rule"] = text(step.rule);
    add_value(entry, step);
    entry["mount"] = step.mount.empty() ? json::value(nullptr) : json::value(text(step.mount));
    entry["shared_bytes"] = step.shared;
    entry["place"] = steps.size() + 1;
    steps.push_back(std::move(entry));
  }
  object["steps"] = std::move(steps);
  object["last_resort"] = last_resort_json(result.last_resort);
  object["images_failed"] = text_or_null(result.images_failed);
  return object;
}

}  // namespace buildwarden::api
