// The leases' way to their store: behind the loop, many changes in one write.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"

namespace buildwarden::jobs {

// A change is written at once when nothing is being written; what changes meanwhile is one further write. So a flood of
// renewals costs a write at a time, on a thread of its own, and a client that must not be answered before its change is
// kept waits for saved(). A save that fails is an event, told once until it goes well again. On the loop's thread
// alone. The destructor waits for a write under way.
class LeaseKeeper {
 public:
  using Book = std::function<ports::LeaseBook()>;

  // `book` gives the leases of now. The store and the journal outlive it.
  LeaseKeeper(boost::asio::any_io_executor executor, ports::LeaseStore& store, ports::Journal& journal, Book book);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // The book is another one now. Returns at once.
  void changed();
  // Until all that changed before the call is saved or could not be; a second at most, for a disk that hangs keeps no
  // job waiting. May outlive the keeper.
  boost::asio::awaitable<void> saved();

 private:
  struct State;
  static boost::asio::awaitable<void> write(std::shared_ptr<State> state);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<State> state_;
};

}  // namespace buildwarden::jobs
