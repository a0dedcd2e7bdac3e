#include "control.h"

#include <array>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <functional>

#include "grpc.h"

namespace test_builder {
namespace {

constexpr std::string_view kDiskUsage = "/moby.buildkit.v1.Control/DiskUsage";
constexpr std::string_view kPrune = "/moby.buildkit.v1.Control/Prune";
constexpr std::string_view kListenBuildHistory = "/moby.buildkit.v1.Control/ListenBuildHistory";
constexpr std::string_view kUpdateBuildHistory = "/moby.buildkit.v1.Control/UpdateBuildHistory";
constexpr std::string_view kStatus = "/moby.buildkit.v1.Control/Status";
constexpr std::string_view kListWorkers = "/moby.buildkit.v1.Control/ListWorkers";

// The numbers of the fields are those of control.proto, worker.proto and ops.proto in moby/buildkit's api and solver/pb
// folders.

std::string rfc3339(std::string_view timestamp) {
  std::time_t seconds = 0;
  std::int64_t nanos = 0;
  for (const Field& field : fields_of(timestamp)) {
    (field.number == 1 ? seconds : nanos) = field.value;
  }
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%09lldZ", static_cast<long long>(nanos));
  return text.data();
}

CacheRecord record_from(std::string_view message) {
  CacheRecord record;
  for (const Field& field : fields_of(message)) {
    switch (field.number) {
      case 1: record.id = field.bytes; break;
      case 2: record.is_mutable = field.value != 0; break;
      case 3: record.in_use = field.value != 0; break;
      case 4: record.size = field.value; break;
      case 6: record.created_at = rfc3339(field.bytes); break;
      case 7: record.last_used_at = rfc3339(field.bytes); break;
      case 8: record.usage_count = field.value; break;
      case 9: record.description = field.bytes; break;
      case 10: record.record_type = field.bytes; break;
      case 11: record.shared = field.value != 0; break;
      case 12: record.parents.emplace_back(field.bytes); break;
      default: break;
    }
  }
  return record;
}

std::string escaped(unsigned char c) {
  if (c == '"' || c == '\\') {
    return {'\\', static_cast<char>(c)};
  }
  if (c >= 0x20) {
    return {static_cast<char>(c)};
  }
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", unsigned{c});
  return text.data();
}

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    json += escaped(static_cast<unsigned char>(c));
  }
  return json + '"';
}

std::string quoted_or_null(std::string_view text) { return text.empty() ? "null" : quoted(text); }
std::string boolean(bool value) { return value ? "true" : "false"; }

template <typename Item, typename ToJson>
std::string array_of(const std::vector<Item>& items, ToJson to_json_text) {
  std::string json = "[";
  for (const Item& item : items) {
    json += (json.size() > 1 ? "," : "") + std::invoke(to_json_text, item);
  }
  return json + "]";
}

std::string platform_json(std::string_view message) {
  std::string architecture;
  std::string os;
  std::string variant;
  for (const Field& field : fields_of(message)) {
    switch (field.number) {
      case 1: architecture = field.bytes; break;
      case 2: os = field.bytes; break;
      case 3: variant = field.bytes; break;
      default: break;
    }
  }
  const std::string tail = variant.empty() ? "" : ",\"variant\":" + quoted(variant);
  return "{\"architecture\":" + quoted(architecture) + ",\"os\":" + quoted(os) + tail + "}";
}

std::string gc_policy_json(std::string_view message) {
  std::int64_t all = 0;
  std::int64_t keep_duration = 0;
  std::int64_t keep_bytes = 0;
  std::vector<std::string_view> filters;
  for (const Field& field : fields_of(message)) {
    switch (field.number) {
      case 1: all = field.value; break;
      case 2: keep_duration = field.value; break;
      case 3: keep_bytes = field.value; break;
      case 4: filters.push_back(field.bytes); break;
      default: break;
    }
  }
  return "{\"all\":" + boolean(all != 0) + ",\"filter\":" + array_of(filters, quoted) +
         ",\"keepDuration\":" + std::to_string(keep_duration) + ",\"keepBytes\":" + std::to_string(keep_bytes) + "}";
}

std::string version_json(std::string_view message) {
  std::string json = "{";
  constexpr std::array<const char*, 3> kNames = {"package", "version", "revision"};
  for (const Field& field : fields_of(message)) {
    if (field.number >= 1 && field.number <= kNames.size()) {
      json += (json.size() > 1 ? "," : "") + quoted(kNames[field.number - 1]) + ":" + quoted(field.bytes);
    }
  }
  return json + "}";
}

std::string worker_json(std::string_view message) {
  std::string id;
  std::string version = "{}";
  std::vector<std::string_view> platforms;
  std::vector<std::string_view> policies;
  for (const Field& field : fields_of(message)) {
    switch (field.number) {
      case 1: id = field.bytes; break;
      case 3: platforms.push_back(field.bytes); break;
      case 4: policies.push_back(field.bytes); break;
      case 5: version = version_json(field.bytes); break;
      default: break;
    }
  }
  return "{\"id\":" + quoted(id) + ",\"platforms\":" + array_of(platforms, platform_json) +
         ",\"gcPolicy\":" + array_of(policies, gc_policy_json) + ",\"buildkitVersion\":" + version + "}";
}

Vertex vertex_from(std::string_view message) {
  Vertex vertex;
  for (const Field& field : fields_of(message)) {
    switch (field.number) {
      case 1: vertex.digest = field.bytes; break;
      case 3: vertex.name = field.bytes; break;
      case 4: vertex.cached = field.value != 0; break;
      case 5: vertex.started = rfc3339(field.bytes); break;
      case 6: vertex.completed = rfc3339(field.bytes); break;
      case 7: vertex.error = field.bytes; break;
      default: break;
    }
  }
  return vertex;
}

/// As the real one's: what is empty is left out.
std::string vertex_json(const Vertex& vertex) {
  std::string json = "{\"digest\":" + quoted(vertex.digest) + ",\"name\":" + quoted(vertex.name);
  json += vertex.started.empty() ? "" : ",\"started\":" + quoted(vertex.started);
  json += vertex.completed.empty() ? "" : ",\"completed\":" + quoted(vertex.completed);
  json += vertex.cached ? ",\"cached\":true" : "";
  json += vertex.error.empty() ? "" : ",\"error\":" + quoted(vertex.error);
  return json + "}";
}

std::vector<CacheRecord> records_in(std::string_view message) {
  std::vector<CacheRecord> records;
  for (const Field& field : fields_of(message)) {
    records.push_back(record_from(field.bytes));
  }
  return records;
}

}  // namespace

std::vector<CacheRecord> disk_usage(const std::string& socket_path, const std::vector<std::string>& filters) {
  MessageWriter request;
  for (const std::string& filter : filters) {
    request.add(1, filter);
  }
  const std::vector<std::string> messages = call(socket_path, kDiskUsage, request.bytes());
  return messages.empty() ? std::vector<CacheRecord>{} : records_in(messages.front());
}

std::vector<CacheRecord> prune(const std::string& socket_path, const PruneRequest& request) {
  MessageWriter message;
  for (const std::string& filter : request.filters) {
    message.add(1, filter);
  }
  message.add(2, std::int64_t{request.all}).add(3, request.keep_duration.count()).add(4, request.keep_bytes);
  std::vector<CacheRecord> pruned;
  for (const std::string& record : call(socket_path, kPrune, message.bytes())) {
    pruned.push_back(record_from(record));
  }
  return pruned;
}

std::vector<HistoryRecord> histories(const std::string& socket_path) {
  MessageWriter request;
  request.add(3, std::int64_t{1});  // what there is, without waiting for more
  std::vector<HistoryRecord> records;
  const std::vector<std::string> messages = call(socket_path, kListenBuildHistory, request.bytes());
  for (const std::string& message : messages) {
    for (const Field& event : fields_of(message)) {
      if (event.number != 2) {
        continue;
      }
      HistoryRecord record;
      record.bytes = event.bytes;
      for (const Field& field : fields_of(event.bytes)) {
        if (field.number == 1) {
          record.ref = field.bytes;
        }
        record.completed = record.completed || field.number == 7;  // CompletedAt
      }
      records.push_back(record);
    }
  }
  return records;
}

std::vector<std::vector<Vertex>> build_status(const std::string& socket_path, const std::string& ref) {
  MessageWriter request;
  request.add(1, ref);
  std::vector<std::vector<Vertex>> all;
  for (const std::string& message : call(socket_path, kStatus, request.bytes())) {
    std::vector<Vertex> vertexes;
    for (const Field& field : fields_of(message)) {
      if (field.number == 1) {
        vertexes.push_back(vertex_from(field.bytes));
      }
    }
    all.push_back(vertexes);
  }
  return all;
}

std::string status_json(const std::vector<Vertex>& vertexes) {
  return "{\"vertexes\":" + array_of(vertexes, vertex_json) + "}";
}

void delete_history(const std::string& socket_path, const std::string& ref) {
  MessageWriter request;
  request.add(1, ref).add(3, std::int64_t{1});
  call(socket_path, kUpdateBuildHistory, request.bytes());
}

std::string to_json(const CacheRecord& record) {
  return "{\"id\":" + quoted(record.id) + ",\"mutable\":" + boolean(record.is_mutable) +
         ",\"inUse\":" + boolean(record.in_use) + ",\"size\":" + std::to_string(record.size) +
         ",\"createdAt\":" + quoted_or_null(record.created_at) +
         ",\"lastUsedAt\":" + quoted_or_null(record.last_used_at) +
         ",\"usageCount\":" + std::to_string(record.usage_count) +
         ",\"parents\":" + (record.parents.empty() ? "null" : array_of(record.parents, quoted)) +
         ",\"description\":" + quoted(record.description) + ",\"recordType\":" + quoted(record.record_type) +
         ",\"shared\":" + boolean(record.shared) + "}";
}

std::string workers_json(const std::string& socket_path) {
  std::vector<std::string> workers;
  const std::vector<std::string> messages = call(socket_path, kListWorkers, "");
  for (const std::string& message : messages) {
    for (const Field& field : fields_of(message)) {
      workers.push_back(worker_json(field.bytes));
    }
  }
  return array_of(workers, [](const std::string& json) { return json; });
}

}  // namespace test_builder
