#include "daemon/evictors/deletion_roots.h"

#include <functional>
#include <utility>

#include "common/deletion_root.h"
#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kBetweenLooks = std::chrono::minutes{1};
constexpr Duration kRootsDeadline = std::chrono::seconds{30};

// The trash as well: what somebody put in its place keeps what was thrown away from being removed.
std::string why_refused(const std::string& path) {
  const auto root = DeletionRoot::open(path);
  if (!root) return root.error().code() == Errc::kNotFound ? "" : root.error().message();
  const auto trash = (*root)->trash(false);
  if (trash || trash.error().code() == Errc::kNotFound) return "";
  return format("{}: remove it, and find out who put it there", trash.error().message());
}

ports::Event refused_event(const ports::RefusedRoot& refused) {
  ports::Event event;
  event.kind = "deletion.refused";
  event.severity = ports::Severity::kWarning;
  event.rule = refused.setting;
  event.reason = format("Nothing is deleted in {} ({}), however short the disk is: {}.", refused.path, refused.setting,
                        refused.reason);
  event.fields.emplace_back("path", refused.path);
  event.fields.emplace_back("setting", refused.setting);
  return event;
}

std::vector<ports::RefusedRoot> refused_of(std::vector<ports::RefusedRoot> wanted) {
  for (auto& one : wanted) one.reason = why_refused(one.path);
  std::erase_if(wanted, [](const auto& one) { return one.reason.empty(); });
  return wanted;
}

std::vector<ports::RefusedRoot> wanted_roots(const Settings& settings) {
  std::vector<ports::RefusedRoot> wanted;
  if (settings.on_full.purge_builds) wanted.push_back({settings.paths.builds, "paths.builds", ""});
  if (settings.on_full.purge_mirrors) wanted.push_back({settings.paths.git_mirrors, "paths.git_mirrors", ""});
  for (const auto& folder : settings.disk.cache_dirs) wanted.push_back({folder, "disk.cache_dirs", ""});
  return wanted;
}

}  // namespace

asio::awaitable<void> DeletionRoots::turn() {
  std::function<Result<std::vector<ports::RefusedRoot>>()> work = [wanted = wanted_roots(parts_.settings)] {
    return Result<std::vector<ports::RefusedRoot>>(refused_of(wanted));
  };
  auto refused = co_await worker_.compute<std::vector<ports::RefusedRoot>>(std::move(work), kRootsDeadline);
  if (refused && !loop_timer_.stopped()) note(*std::move(refused));
}

void DeletionRoots::note(std::vector<ports::RefusedRoot> refused) {
  std::map<std::string, std::string> reasons;
  for (const auto& one : refused) {
    const auto told = told_.find(one.path);
    if (told == told_.end() || told->second != one.reason) parts_.journal.record(refused_event(one));
    reasons[one.path] = one.reason;
  }
  told_ = std::move(reasons);
  refused_ = std::move(refused);
}

asio::awaitable<void> DeletionRoots::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> DeletionRoots::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kBetweenLooks);
  }
}

}  // namespace buildwarden::disk
