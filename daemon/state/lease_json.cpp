#include "daemon/state/lease_json.h"

#include <boost/json.hpp>
#include <chrono>
#include <concepts>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include "common/format.h"
#include "daemon/state/json_fields.h"

namespace buildwarden::state {
namespace json = boost::json;

namespace {

constexpr std::int64_t kLeasesVersion = 1;

// An object's text, field by field: the whole book is written twice for each job, however many others there are.
class ObjectText {
 public:
  explicit ObjectText(std::string& into) : into_(into) { into_ += '{'; }

  void add(std::string_view key, std::string_view value) { raw(key, json::serialize(json::string_view(value))); }
  template <std::integral Number>
  void add(std::string_view key, Number value) {
    raw(key, std::to_string(value));
  }
  template <class Clock>
  void add(std::string_view key, std::chrono::time_point<Clock, Duration> time) {
    add(key, std::int64_t{time.time_since_epoch().count()});
  }
  void raw(std::string_view key, std::string_view text) { begin(key) += text; }
  // What the caller appends is the value.
  std::string& begin(std::string_view key) {
    if (into_.back() != '{') into_ += ',';
    into_ += '"';
    into_ += key;
    return into_ += "\":";
  }
  void end() { into_ += '}'; }

 private:
  std::string& into_;
};

void append(std::string& into, const ports::JobFolder& folder) {
  ObjectText object(into);
  object.add("path", folder.path);
  object.add("device", folder.device);
  object.add("inode", folder.inode);
  object.add("uid", folder.uid);
  object.add("ended_wall_ms", folder.ended);
  object.end();
}

void append(std::string& into, const ports::Lease& lease) {
  ObjectText object(into);
  object.add("id", lease.id);
  object.add("agent", lease.agent);
  object.add("pipeline", lease.pipeline);
  object.add("checkout_path", lease.checkout_path);
  object.add("uid", lease.uid);
  object.add("pid", lease.pid);
  object.add("pid_started", lease.pid_started);
  object.raw("builders", json::serialize(json::array(lease.builders.begin(), lease.builders.end())));
  object.add("need_bytes", lease.need_bytes);
  object.add("free_at_start", lease.free_at_start);
  object.add("started_wall_ms", lease.started_wall);
  object.add("started_boot_ms", lease.started);
  object.add("expires_boot_ms", lease.expires);
  object.add("ttl_ms", std::int64_t{lease.ttl.count()});
  object.add("alive_boot_ms", lease.alive);
  object.add("reserved_bytes", lease.reserved_bytes);
  object.add("reserved_from_all", lease.reserved_from_all);
  object.add("written_bytes", lease.written_bytes);
  object.add("wrote_boot_ms", lease.wrote);
  if (lease.docker_config) append(object.begin("docker_config"), *lease.docker_config);
  object.end();
}

template <class Item>
void append_list(std::string& into, const std::vector<Item>& items) {
  into += '[';
  for (const auto& item : items) {
    if (into.back() != '[') into += ',';
    append(into, item);
  }
  into += ']';
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
  std::string text;
  ObjectText object(text);
  object.add("version", kLeasesVersion);
  object.add("boot_id", document.boot_id);
  append_list(object.begin("leases"), document.book.leases);
  append_list(object.begin("left_folders"), document.book.left_folders);
  object.end();
  return text;
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
