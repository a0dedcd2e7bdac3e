#include "daemon/evictors/checkout_removal.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"

namespace buildwarden::disk {
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

// A checkout in the trash, and the folder that it was in.
struct Away {
  int trash;
  std::string name;  // there
  int org;
};

// By whom it is used there; "" by nobody. The trash is asked where it lies now: what /proc says of others is a path.
Result<std::string> user_in_trash(const Away& away) {
  const auto path = path_of(away.trash);
  if (!path) return path.error();
  return user_of(format("{}/{}", *path, away.name));
}

// Back to where it was, if nobody has made another one there.
Result<Thrown> put_back(const Away& away, const FoundCheckout& found, const std::string& why) {
  const auto& checkout = found.checkout;
  if (::renameat2(away.trash, away.name.c_str(), away.org, checkout.pipeline.c_str(), RENAME_NOREPLACE) != 0) {
    return Error::from_errno(errno, format("put {} back ({})", checkout.path, why));
  }
  return left_alone(format("{}; it was put back", why));
}

}  // namespace

Result<Thrown> throw_away_checkout(const std::shared_ptr<DeletionRoot>& builds, const FoundCheckout& found) {
  const auto& checkout = found.checkout;
  auto org = open_org(builds->folder(), checkout);
  const auto identity = org.open() ? tree_identity_in(org.get(), checkout.pipeline) : TreeIdentity{};
  if (!identity || *identity != found.identity) return left_alone("it is gone, or another one by now");
  auto user = user_of(checkout.path);
  if (!user) return std::move(user).error();
  if (!user->empty()) return left_alone(format("in use by {}", *user));
  Thrown thrown;
  thrown.builds = builds;
  thrown.identity = found.identity;
  Result<std::string> there = Error(Errc::kConflict, "something is mounted in it");
  if (!found.has_mount) there = builds->throw_away(org.get(), checkout.pipeline, found.identity);
  const auto trash = builds->trash(false);
  if (!there || !trash) {
    thrown.in_place = there ? trash.error().message() : there.error().message();
    thrown.org = std::move(org);
    thrown.name = checkout.pipeline;
    return thrown;
  }
  const Away away{*trash, *there, org.get()};
  const auto still = user_in_trash(away);
  if (!still) return put_back(away, found, still.error().message());
  if (!still->empty()) return put_back(away, found, format("in use by {}", *still));
  thrown.name = *std::move(there);
  return thrown;
}

Result<TreeRemoved> remove_thrown(const Thrown& thrown, std::stop_token stop) {
  RemovalOptions options;
  options.stop = std::move(stop);
  options.threads = std::clamp(std::thread::hardware_concurrency(), kLeastThreads, kMostThreads);
  options.clear_flags = true;
  if (thrown.in_place.empty()) return thrown.builds->remove_thrown(thrown.name, thrown.identity, options);
  return remove_tree_in(thrown.org.get(), thrown.name, thrown.identity, options);
}

}  // namespace buildwarden::disk
