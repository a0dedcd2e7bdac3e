#include "daemon/checkouts/removal.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/trash.h"

namespace buildwarden::checkouts {
namespace {

constexpr unsigned kLeastThreads = 2;
constexpr unsigned kMostThreads = 4;

Thrown left_alone(std::string why) {
  Thrown thrown;
  thrown.left_alone = std::move(why);
  return thrown;
}

// By whom; "" by nobody.
Result<std::string> user_of(const std::string& path) {
  auto users = folder_users({path});
  if (!users) return std::move(users).error();
  return users->empty() ? std::string() : users->begin()->second;
}

// Back to where it was, if nobody has made another one there.
Result<Thrown> put_back(UniqueFd trash, const std::string& there, int org, const Found& found, const std::string& why) {
  const auto& path = found.checkout.path;
  if (::renameat2(trash.get(), there.c_str(), org, found.checkout.pipeline.c_str(), RENAME_NOREPLACE) != 0) {
    return Error::from_errno(errno, format("put {} back ({})", path, why));
  }
  return left_alone(format("{}; it was put back", why));
}

}  // namespace

Result<Thrown> throw_away_checkout(const std::string& builds, const Found& found) {
  const auto& checkout = found.checkout;
  auto home = open_folder(builds);
  if (!home) return std::move(home).error();
  const auto agent = open_beneath(home->get(), checkout.agent.c_str(), O_RDONLY | O_DIRECTORY);
  auto org = open_beneath(agent.get(), checkout.org.c_str(), O_RDONLY | O_DIRECTORY);
  const auto identity = org.open() ? tree_identity_in(org.get(), checkout.pipeline) : TreeIdentity{};
  if (!identity || *identity != found.identity) return left_alone("it is gone, or another one by now");
  auto user = user_of(checkout.path);
  if (!user) return std::move(user).error();
  if (!user->empty()) return left_alone(format("in use by {}", *user));
  Thrown thrown;
  thrown.identity = found.identity;
  auto trash = open_trash_in(home->get(), builds, true);
  Result<std::string> there = Error(Errc::kConflict, "something is mounted in it");
  if (!trash) {
    there = trash.error();
  } else if (!found.has_mount) {
    there = throw_away_from(org.get(), checkout.pipeline, found.identity, trash->get());
  }
  if (!there) {
    thrown.in_place = there.error().message();
    thrown.folder = std::move(org);
    thrown.name = checkout.pipeline;
    return thrown;
  }
  auto still = user_of(format("{}/{}/{}", builds, kTrashName, *there));
  if (!still) return put_back(*std::move(trash), *there, org.get(), found, still.error().message());
  if (!still->empty()) return put_back(*std::move(trash), *there, org.get(), found, format("in use by {}", *still));
  thrown.folder = *std::move(trash);
  thrown.name = *std::move(there);
  return thrown;
}

Result<TreeRemoved> remove_thrown(const Thrown& thrown, std::stop_token stop) {
  RemovalOptions options;
  options.stop = std::move(stop);
  options.threads = std::clamp(std::thread::hardware_concurrency(), kLeastThreads, kMostThreads);
  options.clear_flags = true;
  return remove_tree_in(thrown.folder.get(), thrown.name, thrown.identity, options);
}

}  // namespace buildwarden::checkouts
