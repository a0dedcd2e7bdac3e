#include "daemon/jobs/fields.h"

#include <chrono>

#include "common/format.h"
#include "common/visible_text.h"

namespace buildwarden::jobs {
namespace {

constexpr std::size_t kLongestId = 128;
constexpr std::size_t kLongestName = 256;
constexpr std::size_t kLongestPath = 4096;
constexpr std::size_t kMostNames = 32;
constexpr Bytes kMostBytes = Bytes{1} << 60;
constexpr std::size_t kLargestLease = 4096;  // of all texts that are kept of a request

Error bad(std::string_view field, std::string_view why) { return {Errc::kInvalid, format("{}: {}", field, why)}; }

Result<void> check_text(std::string_view field, std::string_view text, std::size_t longest) {
  if (text.size() > longest) return bad(field, format("{} bytes; at most {} are allowed", text.size(), longest));
  // Names end up in logs, in environment values and on terminals.
  if (const auto control = first_control(text)) return bad(field, format("has the control character {}", *control));
  return {};
}

Result<void> check_names(std::string_view field, const std::vector<std::string>& names) {
  if (names.size() > kMostNames)
    return bad(field, format("{} entries; at most {} are allowed", names.size(), kMostNames));
  for (const auto& name : names) {
    if (name.empty()) return bad(field, "has an empty entry");
    auto checked = check_text(field, name, kLongestName);
    if (!checked) return checked;
  }
  return {};
}

Result<void> check_texts(const ports::JobRequest& request) {
  auto checked = check_text("agent", request.agent, kLongestName);
  if (checked) checked = check_text("pipeline", request.pipeline, kLongestName);
  if (checked) checked = check_text("checkout_path", request.checkout_path, kLongestPath);
  if (checked) checked = check_text("use", request.use, kLongestName);
  if (checked) checked = check_text("cache_name", request.cache_name, kLongestName);
  if (checked) checked = check_names("builders", request.builders);
  if (checked) checked = check_names("platforms", request.platforms);
  return checked;
}

// What one lease may cost in memory and in each write of all leases.
Result<void> check_size(const ports::JobRequest& request) {
  auto size = request.id.size() + request.agent.size() + request.pipeline.size() + request.checkout_path.size() +
              request.use.size();
  for (const auto& name : request.builders) size += name.size();
  if (size <= kLargestLease) return {};
  return bad("id, agent, pipeline, checkout_path, use and builders",
             format("{} bytes together; at most {} are allowed", size, kLargestLease));
}

}  // namespace

Result<void> check_id(std::string_view id) {
  if (id.empty()) return bad("id", "must not be empty");
  return check_text("id", id, kLongestId);
}

Result<void> check_fields(const ports::JobRequest& request, Duration most_ttl) {
  auto checked = check_id(request.id);
  if (checked) checked = check_texts(request);
  if (checked) checked = check_size(request);
  if (!checked) return checked;
  if (!request.checkout_path.empty() && request.checkout_path.front() != '/') {
    return bad("checkout_path", "must be absolute");
  }
  if (request.pid < 0) return bad("pid", "must be a positive number");
  if (request.pid == 1) return bad("pid", "1 is the system's own and never ends");
  if (request.need_bytes < 0 || request.need_bytes > kMostBytes) return bad("need_bytes", "must be from 0 to 1 EiB");
  if (request.ttl && (*request.ttl < std::chrono::seconds{1} || *request.ttl > most_ttl)) {
    return bad("ttl_seconds", format("{} is not from 1 to {}, which is jobs.ttl ({})", request.ttl->count() / 1000,
                                     most_ttl.count() / 1000, short_duration(most_ttl)));
  }
  return {};
}

}  // namespace buildwarden::jobs
