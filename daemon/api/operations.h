// Work that may take longer than a client waits: it goes on by itself, and is asked about by its number.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/json/object.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/async_event.h"
#include "common/clock.h"
#include "daemon/api/message.h"
#include "daemon/api/peer_quota.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/operations.h"

namespace buildwarden::api {

struct OperationLimits {
  QuotaLimits running{128, 64, 32};                  // at once, by the uid that asked
  std::size_t finished = 128;                        // kept for those who ask later
  Duration keep = std::chrono::minutes{15};          // how long
  std::size_t lines = 1000;                          // of progress; later ones are dropped
  std::size_t stored = 32;                           // finished ones that outlive the daemon
  std::size_t stored_body = std::size_t{64} * 1024;  // bytes of a result that does
};

struct Operation {
  explicit Operation(std::string number) : id(std::move(number)) {}

  std::string id;    // 16 hex characters, not to be guessed
  std::string kind;  // "job", "reclaim"
  uid_t owner = 0;   // who sees the result, besides root
  Now started{};
  std::optional<Now> finished;
  bool interrupted = false;  // ended by the end of the daemon
  bool told = false;         // a client has its number, so it outlives the daemon
  std::vector<std::string> progress;
  std::optional<Response> result;
  AsyncEvent done;
  boost::asio::cancellation_signal cancel;
};

// For the loop's thread alone. Outlives its work: co_await stop() before destroying it.
class Operations {
 public:
  // Gives the answer as if the client had waited for it.
  using Work = std::function<boost::asio::awaitable<Response>(ports::Progress)>;

  struct Parts {
    const Clock& clock;
    ports::OperationStore& store;
  };
  Operations(boost::asio::any_io_executor executor, Parts parts, OperationLimits limits = {});

  // Those that the daemon before this one told of; what ran then was interrupted.
  void restore();

  // nullptr when too many are running, of `owner` or in all.
  std::shared_ptr<Operation> start(std::string kind, uid_t owner, Work work);

  // The finished answer, or after `patience` 202 {"operation": id} with its Location; 503 for nullptr. The work goes on
  // when the waiting is cancelled.
  boost::asio::awaitable<Response> answer(std::shared_ptr<Operation> operation, Duration patience);

  // nullptr: not known (any more).
  [[nodiscard]] std::shared_ptr<Operation> find(const std::string& id);

  // Cancels all work, which is interrupted thereby, and waits for its end, at most `patience`; nothing starts
  // afterwards.
  boost::asio::awaitable<void> stop(Duration patience);

 private:
  boost::asio::awaitable<void> run(std::shared_ptr<Operation> operation, Work work, PeerQuota::Place place);
  void forget_old();
  void save();

  boost::asio::any_io_executor executor_;
  Parts parts_;
  OperationLimits limits_;
  std::map<std::string, std::shared_ptr<Operation>> all_;
  std::deque<std::shared_ptr<Operation>> finished_;  // oldest first
  PeerQuota running_;
  bool stopped_ = false;
  AsyncEvent idle_;
};

// {id, kind, state: running|done|interrupted, progress[], started_at, finished_at, status, result}; `status` and
// `result` are those of the answer; without `with_result` the result is null.
boost::json::object operation_json(const Operation& operation, bool with_result);

}  // namespace buildwarden::api
