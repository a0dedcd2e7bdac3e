#include "daemon/state/lease_json.h"

#include <boost/json.hpp>
#include <exception>
#include <utility>

#include "common/format.h"
#include "daemon/state/json_fields.h"

namespace buildwarden::state {
namespace json = boost::json;

namespace {

constexpr std::int64_t kLeasesVersion = 1;

json::object object_of(const ports::JobFolder& folder) {
  json::object object;
  object["path"] = folder.path;
  object["device"] = folder.device;
  object["inode"] = folder.inode;
  object["uid"] = std::int64_t{folder.uid};
  object["ended_wall_ms"] = std::int64_t{folder.ended.time_since_epoch().count()};
  return object;
}

json::object object_of(const ports::Lease& lease) {
  json::array builders;
  for (const auto& builder : lease.builders) builders.emplace_back(builder);
  json::object object;
  object["id"] = lease.id;
  object["agent"] = lease.agent;
  object["pipeline"] = lease.pipeline;
  object["checkout_path"] = lease.checkout_path;
  object["uid"] = std::int64_t{lease.uid};
  object["pid"] = std::int64_t{lease.pid};
  object["pid_started"] = lease.pid_started;
  object["builders"] = std::move(builders);
  object["need_bytes"] = lease.need_bytes;
  object["free_at_start"] = lease.free_at_start;
  object["started_wall_ms"] = std::int64_t{lease.started_wall.time_since_epoch().count()};
  object["started_boot_ms"] = std::int64_t{lease.started.time_since_epoch().count()};
  object["expires_boot_ms"] = std::int64_t{lease.expires.time_since_epoch().count()};
  object["ttl_ms"] = std::int64_t{lease.ttl.count()};
  object["alive_boot_ms"] = std::int64_t{lease.alive.time_since_epoch().count()};
  object["reserved_bytes"] = lease.reserved_bytes;
  object["reserved_from_all"] = lease.reserved_from_all;
  object["written_bytes"] = lease.written_bytes;
  object["wrote_boot_ms"] = std::int64_t{lease.wrote.time_since_epoch().count()};
  if (lease.docker_config) object["docker_config"] = object_of(*lease.docker_config);
  return object;
}

ports::JobFolder folder_of(const json::object& object) {
  ports::JobFolder folder;
  folder.path = text_at(object, "path");
  folder.device = number_at<std::uint64_t>(object, "device");
  folder.inode = number_at<std::uint64_t>(object, "inode");
  folder.uid = number_at<uid_t>(object, "uid");
  folder.ended = WallTime{Duration{number_at<std::int64_t>(object, "ended_wall_ms")}};
  return folder;
}

ports::Lease lease_of(const json::object& object) {
  ports::Lease lease;
  lease.id = text_at(object, "id");
  lease.agent = text_at(object, "agent");
  lease.pipeline = text_at(object, "pipeline");
  lease.checkout_path = text_at(object, "checkout_path");
  lease.uid = number_at<uid_t>(object, "uid");
  lease.pid = number_at<pid_t>(object, "pid");
  lease.pid_started = number_at<std::uint64_t>(object, "pid_started");
  lease.builders = json::value_to<std::vector<std::string>>(object.at("builders"));
  lease.need_bytes = number_at<Bytes>(object, "need_bytes");
  lease.free_at_start = number_at<Bytes>(object, "free_at_start");
  lease.started_wall = WallTime{Duration{number_at<std::int64_t>(object, "started_wall_ms")}};
  lease.started = BootTime{Duration{number_at<std::int64_t>(object, "started_boot_ms")}};
  lease.expires = BootTime{Duration{number_at<std::int64_t>(object, "expires_boot_ms")}};
  // Absent in what an earlier version wrote.
  if (object.contains("ttl_ms")) lease.ttl = Duration{number_at<std::int64_t>(object, "ttl_ms")};
  const auto time_or_start = [&](const char* key) {
    return object.contains(key) ? BootTime{Duration{number_at<std::int64_t>(object, key)}} : lease.started;
  };
  lease.alive = time_or_start("alive_boot_ms");
  lease.wrote = time_or_start("wrote_boot_ms");
  lease.reserved_bytes =
      object.contains("reserved_bytes") ? number_at<Bytes>(object, "reserved_bytes") : lease.need_bytes;
  lease.reserved_from_all =
      object.contains("reserved_from_all") ? number_at<Bytes>(object, "reserved_from_all") : lease.reserved_bytes;
  if (object.contains("written_bytes")) lease.written_bytes = number_at<Bytes>(object, "written_bytes");
  if (const auto* folder = object.if_contains("docker_config")) lease.docker_config = folder_of(folder->as_object());
  return lease;
}

// Throws what Boost.JSON throws for a missing key or a wrong type.
Result<LeaseDocument> leases_of(const json::object& object) {
  if (auto known = check_version(object, kLeasesVersion); !known) return std::move(known).error();
  LeaseDocument document;
  document.boot_id = text_at(object, "boot_id");
  for (const auto& lease : object.at("leases").as_array()) document.book.leases.push_back(lease_of(lease.as_object()));
  if (const auto* folders = object.if_contains("left_folders")) {
    for (const auto& folder : folders->as_array()) document.book.left_folders.push_back(folder_of(folder.as_object()));
  }
  return document;
}

}  // namespace

std::string write_leases(const LeaseDocument& document) {
  json::array leases;
  for (const auto& lease : document.book.leases) leases.push_back(object_of(lease));
  json::array folders;
  for (const auto& folder : document.book.left_folders) folders.push_back(object_of(folder));
  json::object object;
  object["version"] = kLeasesVersion;
  object["boot_id"] = document.boot_id;
  object["leases"] = std::move(leases);
  object["left_folders"] = std::move(folders);
  return json::serialize(object);
}

Result<LeaseDocument> read_leases(std::string_view text) {
  try {
    json::error_code failure;
    const auto value = json::parse(json::string_view(text.data(), text.size()), failure);
    if (failure) return Error(Errc::kInvalid, format("not JSON: {}", failure.message()));
    return leases_of(value.as_object());
  } catch (const std::exception& error) {
    return Error(Errc::kInvalid, format("not a lease document: {}", error.what()));
  }
}

}  // namespace buildwarden::state
