#include "daemon/evictors/checkout_sizes.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "common/beneath.h"
#include "common/resolved_folder.h"
#include "common/tick.h"
#include "common/tree_look.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kBetweenWalks = std::chrono::minutes{10};
constexpr Duration kKept = std::chrono::hours{1};
constexpr Duration kWalkDeadline = std::chrono::hours{1};
constexpr std::uint64_t kMostEntriesOfCheckout = 5'000'000;  // of one checkout, or mirror
constexpr std::size_t kMostMirrors = 10'000;                 // entries beside them
constexpr int kLowest = 19;

}  // namespace

CheckoutSizes::CheckoutSizes(Parts parts) : parts_(std::move(parts)) {}

Result<void> CheckoutSizes::walk_checkouts(const std::string& builds, Book& sizes, const std::stop_token& stop) {
  const auto home = resolve_folder(builds);
  if (!home) return home.error().code() == Errc::kNotFound ? Result<void>{} : home.error();
  const auto found = look_for_checkouts(home->folder.get(), home->path);
  if (!found) return found.error();
  for (const auto& one : found->found) {
    const auto org = open_org(home->folder.get(), one.checkout);
    if (!org.open()) continue;
    const auto look = look_through(org.get(), one.checkout.pipeline, kMostEntriesOfCheckout, stop);
    if (stop.stop_requested()) break;
    if (look && look->identity == one.identity) {
      sizes[{one.identity.device, one.identity.inode}] = {"checkouts", one.checkout.agent, look->bytes};
    }
  }
  return {};
}

Result<void> CheckoutSizes::walk_mirrors(const std::string& mirrors, Book& sizes, const std::stop_token& stop) {
  const auto home = resolve_folder(mirrors);
  if (!home) return home.error().code() == Errc::kNotFound ? Result<void>{} : home.error();
  const auto found = some_entries_of(home->folder.get(), home->path, kMostMirrors);
  if (!found) return found.error();
  for (const auto& [name, type] : found->entries) {
    const auto look = look_through(home->folder.get(), name, kMostEntriesOfCheckout, stop);
    if (stop.stop_requested()) break;
    if (look && look->bytes > 0)
      sizes[{look->identity.device, look->identity.inode}] = {"git_mirror", name, look->bytes};
  }
  return {};
}

// What cannot be looked at hides nothing else.
Result<CheckoutSizes::Book> CheckoutSizes::walk(const std::string& builds, const std::string& mirrors,
                                                const std::stop_token& stop) {
  ::setpriority(PRIO_PROCESS, 0, kLowest);  // Linux: of this thread alone, which does nothing else
  Book sizes;
  const auto checkouts = walk_checkouts(builds, sizes, stop);
  const auto others = walk_mirrors(mirrors, sizes, stop);
  if (!checkouts && !others) return checkouts.error();
  return sizes;
}

asio::awaitable<void> CheckoutSizes::turn() {
  const auto now = parts_.clock.now().boot;
  const bool wanted = parts_.is_short();
  if (!wanted && walked_at_ && now - *walked_at_ > kKept) sizes_.clear();
  if (!wanted || (walked_at_ && now - *walked_at_ < kBetweenWalks)) co_return;
  walked_at_ = now;
  const auto& paths = parts_.settings.paths;
  std::function<Result<Book>()> work = [builds = paths.builds, mirrors = paths.git_mirrors, stop = stop_.get_token()] {
    return walk(builds, mirrors, stop);
  };
  auto sizes = co_await worker_.compute<Book>(std::move(work), kWalkDeadline);
  if (!sizes || stop_.stop_requested()) co_return;
  sizes_ = *std::move(sizes);
  looked_at_ = parts_.clock.now().wall;
}

asio::awaitable<void> CheckoutSizes::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> CheckoutSizes::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kIdleTick);
  }
}

void CheckoutSizes::stop() {
  stop_.request_stop();
  loop_timer_.stop();
}

std::optional<Bytes> CheckoutSizes::of(const FoundCheckout& found) const {
  const auto known = sizes_.find({found.identity.device, found.identity.inode});
  if (known == sizes_.end()) return std::nullopt;
  return known->second.bytes;
}

void CheckoutSizes::forget(const FoundCheckout& found) { sizes_.erase({found.identity.device, found.identity.inode}); }

std::vector<ports::DiskUser> CheckoutSizes::users() const {
  std::map<std::pair<std::string, std::string>, Bytes> by_name;
  for (const auto& [key, size] : sizes_) by_name[{size.kind, size.name}] += size.bytes;
  std::vector<ports::DiskUser> users;
  for (const auto& [name, bytes] : by_name) users.push_back({name.first, name.second, bytes, looked_at_});
  std::sort(users.begin(), users.end(), [](const auto& one, const auto& other) {
    return std::tie(other.bytes, one.name) < std::tie(one.bytes, other.name);
  });
  return users;
}

}  // namespace buildwarden::disk
