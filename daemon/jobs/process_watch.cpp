#include "daemon/jobs/process_watch.h"

#include <poll.h>

#include <memory>
#include <utility>

namespace buildwarden::jobs {
namespace asio = boost::asio;

LeaseRegistry::ProcessWatch::ProcessWatch(const asio::any_io_executor& executor, int pidfd, std::function<void()> ended)
    : descriptor_(executor, pidfd), ended_(std::make_shared<std::function<void()>>(std::move(ended))) {
  wait();
}

void LeaseRegistry::ProcessWatch::wait() {
  descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                         [this, weak = std::weak_ptr(ended_)](const boost::system::error_code& error) {
                           const auto listener = weak.lock();
                           if (error || !listener) return;
                           if (is_over()) {
                             (*listener)();
                           } else {
                             wait();
                           }
                         });
}

bool LeaseRegistry::ProcessWatch::is_over() {
  pollfd asked{descriptor_.native_handle(), POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLIN) != 0;
}

// The closing of the descriptor cancels the wait; its handler then finds nobody to tell.
LeaseRegistry::ProcessWatch::~ProcessWatch() = default;

}  // namespace buildwarden::jobs
