// Tells when a process ends.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "daemon/jobs/lease_registry.h"

namespace buildwarden::jobs {

// Owns the pidfd. Destroyed: it tells nothing any more, even if the process has just ended.
class LeaseRegistry::ProcessWatch {
 public:
  // `ended` is called on the executor, once at most, and only when the process has ended: what Asio tells of a
  // descriptor may have been meant for the one that was closed in its place.
  ProcessWatch(const boost::asio::any_io_executor& executor, int pidfd, std::function<void()> ended);
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

 private:
  void wait();
  [[nodiscard]] bool is_over();

  boost::asio::posix::stream_descriptor descriptor_;
  std::shared_ptr<std::function<void()>> ended_;
};

}  // namespace buildwarden::jobs
