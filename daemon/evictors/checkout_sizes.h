// How large checkouts and git mirrors are: walked through in the background while the disk is short, answered from
// memory.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/checkout_scan.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// A walk through millions of files takes minutes of the disk's time, so a disk with room is never walked through; and
// it is done by one thread of the lowest priority. It only looks, so it also looks into a folder where nothing may be
// deleted (common/deletion_root.h), but never through a link that is not root's.
class CheckoutSizes {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    std::function<bool()> is_short;  // whether a disk that the builds or the mirrors are on wants room
  };
  explicit CheckoutSizes(Parts parts);

  // One turn: walks when the disk is short and the last walk was at least ten minutes ago.
  boost::asio::awaitable<void> turn();
  // Turns until stop(), which also ends a walk within moments.
  boost::asio::awaitable<void> run();
  void stop();

  // As the last walk found it; nothing when that did not see it, or another one was there.
  [[nodiscard]] std::optional<Bytes> of(const FoundCheckout& found) const;
  // It is gone.
  void forget(const FoundCheckout& found);
  // The checkouts of each agent together, and each git mirror, the largest first; empty before the first walk, and when
  // the disk has had room for an hour.
  [[nodiscard]] std::vector<ports::DiskUser> users() const;

 private:
  struct Size {
    std::string kind;  // as in DiskUser
    std::string name;  // the checkout's agent, or the mirror
    Bytes bytes = 0;
  };
  using Key = std::pair<dev_t, ino_t>;
  using Book = std::map<Key, Size>;
  static Result<Book> walk(const std::string& builds, const std::string& mirrors, const std::stop_token& stop);
  static Result<void> walk_checkouts(const std::string& builds, Book& sizes, const std::stop_token& stop);
  static Result<void> walk_mirrors(const std::string& mirrors, Book& sizes, const std::stop_token& stop);
  boost::asio::awaitable<void> loop();

  Parts parts_;
  WorkerPool worker_{1};
  Book sizes_;
  std::optional<BootTime> walked_at_;
  WallTime looked_at_{};  // when the walk whose sizes these are ended
  LoopTimer loop_timer_;
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
