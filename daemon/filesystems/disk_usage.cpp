#include "daemon/filesystems/disk_usage.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kUsersKept = std::chrono::seconds{60};

constexpr Duration kCountDeadline = std::chrono::seconds{30};

ports::DiskUser user(const char* kind, std::string name, Bytes bytes) {
  ports::DiskUser user;
  user.kind = kind;
  user.name = std::move(name);
  user.bytes = bytes;
  return user;
}

// The name tells how many records there are. They are freed where this runs: not on the loop.
std::function<Result<ports::DiskUser>()> counting(std::vector<policy::CacheRecord> records) {
  auto shared = std::make_shared<std::vector<policy::CacheRecord>>(std::move(records));
  return [shared]() -> Result<ports::DiskUser> {
    const auto all = std::move(*shared);
    return user("build_cache", counted(all.size(), "record"), policy::cache_bytes(all));
  };
}

}  // namespace

asio::awaitable<void> DiskUsage::refresh() {
  const auto now = parts_.clock.now().boot;
  if (asked_at_ && now - *asked_at_ < kUsersKept) co_return;
  asked_at_ = now;
  std::vector<ports::DiskUser> users;
  const auto images = co_await parts_.images.list_images();
  if (images) {
    Bytes bytes = 0;
    for (const auto& image : *images) bytes += image.size;
    users.push_back(user("images", counted(images->size(), "image"), bytes));
  }
  auto records = co_await parts_.cache.cache_records();
  if (records) {
    auto work = counting(*std::move(records));
    auto cache = co_await parts_.workers.compute<ports::DiskUser>(std::move(work), kCountDeadline);
    if (cache) users.push_back(*std::move(cache));
  }
  for (const auto& builder : parts_.builders.builders_view().builders) {
    if (builder.cache_bytes) users.push_back(user("builder_cache", builder.name, *builder.cache_bytes));
  }
  std::sort(users.begin(), users.end(), [](const auto& one, const auto& other) { return one.bytes > other.bytes; });
  const auto looked_at = parts_.clock.now().wall;
  for (auto& user : users) user.looked_at = looked_at;
  users_ = std::move(users);
}

}  // namespace buildwarden::disk
