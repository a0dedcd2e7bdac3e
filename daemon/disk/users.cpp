#include "daemon/disk/users.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kKept = std::chrono::seconds{60};

template <class Record>
ports::DiskUser total_of(const std::vector<Record>& records, const char* kind, const char* noun) {
  ports::DiskUser user;
  user.kind = kind;
  user.name = format("{} {}", records.size(), noun);
  for (const auto& record : records) user.bytes += record.size;
  return user;
}

}  // namespace

asio::awaitable<void> DiskUsers::refresh() {
  const auto now = parts_.clock.now().boot;
  if (asked_at_ && now - *asked_at_ < kKept) co_return;
  asked_at_ = now;
  const auto images = co_await parts_.images.list_images();
  const auto records = co_await parts_.cache.cache_records();
  std::vector<ports::DiskUser> users;
  if (images) users.push_back(total_of(*images, "images", "images"));
  if (records) users.push_back(total_of(*records, "build_cache", "records"));
  std::sort(users.begin(), users.end(), [](const auto& one, const auto& other) { return one.bytes > other.bytes; });
  users_ = std::move(users);
}

}  // namespace buildwarden::disk
