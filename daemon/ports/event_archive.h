// The journal beyond what is in memory.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/result.h"
#include "daemon/ports/journal.h"

namespace buildwarden::ports {

class EventArchive {
 public:
  virtual ~EventArchive() = default;
  // Of the stored events with a smaller id than `before` the latest `most`, oldest first. The latest ones of all may
  // not be stored yet. An empty store is empty, not an error; kTimeout: the disk does not answer.
  virtual boost::asio::awaitable<Result<std::vector<RecordedEvent>>> events_before(std::uint64_t before,
                                                                                   std::size_t most) = 0;
};

}  // namespace buildwarden::ports
