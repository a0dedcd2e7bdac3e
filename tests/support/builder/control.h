// control.h - the calls of BuildKit's Control service that buildctl's commands stand on, and their answers as JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test_builder {

/// One record of the build cache (moby.buildkit.v1.UsageRecord).
struct CacheRecord {
  std::string id;
  bool in_use = false;
  bool is_mutable = false;
  bool shared = false;
  std::int64_t size = 0;
  std::int64_t usage_count = 0;
  std::string created_at;    // RFC 3339
  std::string last_used_at;  // empty: never
  std::string description;
  std::string record_type;
  std::vector<std::string> parents;
};

struct PruneRequest {
  bool all = false;
  std::int64_t keep_bytes = 0;
  std::chrono::nanoseconds keep_duration{0};
  std::vector<std::string> filters;
};

std::vector<CacheRecord> disk_usage(const std::string& socket_path, const std::vector<std::string>& filters);
std::vector<CacheRecord> prune(const std::string& socket_path, const PruneRequest& request);

/// One record of the build history (moby.buildkit.v1.BuildHistoryRecord).
struct HistoryRecord {
  std::string ref;
  std::string bytes;  // as it came, with everything that the client sent along
  bool completed = false;
};

/// One step of a build (moby.buildkit.v1.Vertex).
struct Vertex {
  std::string digest;
  std::string name;
  bool cached = false;
  std::string started;    // RFC 3339; empty: not yet
  std::string completed;  // the same
  std::string error;
};

/// What a build's record tells of its steps, message by message, as `buildctl debug logs` follows it.
std::vector<std::vector<Vertex>> build_status(const std::string& socket_path, const std::string& ref);
/// As BuildKit's rawjson shows one of the messages.
std::string status_json(const std::vector<Vertex>& vertexes);

std::vector<HistoryRecord> histories(const std::string& socket_path);
void delete_history(const std::string& socket_path, const std::string& ref);

std::string to_json(const CacheRecord& record);

/// The workers with their platforms, as `buildctl debug workers --format '{{json .}}'` prints them.
std::string workers_json(const std::string& socket_path);

}  // namespace test_builder
