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

#include "common/clock.h"
#include "daemon/api/bell.h"
#include "daemon/api/message.h"
#include "daemon/ports/disk.h"

namespace buildwarden::api {

struct OperationLimits {
  std::size_t running = 128;                 // at once
  std::size_t finished = 128;                // kept for those who ask later
  Duration keep = std::chrono::minutes{15};  // how long
  std::size_t lines = 1000;                  // of progress; later ones are dropped
};

struct Operation {
  Operation(const boost::asio::any_io_executor& executor, std::string number) : id(std::move(number)), done(executor) {}

  std::string id;    // 16 hex characters, not to be guessed
  std::string kind;  // "job", "reclaim"
  uid_t owner = 0;   // who sees the result, besides root
  Now started{};
  std::optional<Now> finished;
  std::vector<std::string> progress;
  std::optional<Response> result;
  Bell done;
  boost::asio::cancellation_signal cancel;
};

// For the loop's thread alone. Outlives its work: co_await stop() before destroying it.
class Operations {
 public:
  // Gives the answer as if the client had waited for it.
  using Work = std::function<boost::asio::awaitable<Response>(ports::Progress)>;

  Operations(boost::asio::any_io_executor executor, const Clock& clock, OperationLimits limits = {});

  // nullptr when too many are running.
  std::shared_ptr<Operation> start(std::string kind, uid_t owner, Work work);

  // The finished answer, or after `patience` 202 {"operation": id} with its Location; 503 for nullptr. The work goes on
  // when the waiting is cancelled.
  boost::asio::awaitable<Response> answer(std::shared_ptr<Operation> operation, Duration patience);

  // nullptr: not known (any more).
  [[nodiscard]] std::shared_ptr<Operation> find(const std::string& id);

  // Cancels all work and waits for its end, at most `patience`; nothing starts afterwards.
  boost::asio::awaitable<void> stop(Duration patience);

 private:
  boost::asio::awaitable<void> run(std::shared_ptr<Operation> operation, Work work);
  void forget_old();

  boost::asio::any_io_executor executor_;
  const Clock& clock_;
  OperationLimits limits_;
  std::map<std::string, std::shared_ptr<Operation>> all_;
  std::deque<std::shared_ptr<Operation>> finished_;  // oldest first
  std::size_t running_ = 0;
  bool stopped_ = false;
  Bell idle_;
};

// {id, kind, state: running|done, progress[], started_at, finished_at, status, result}; `status` and `result` are those
// of the answer; without `with_result` the result is null.
boost::json::object operation_json(const Operation& operation, bool with_result);

}  // namespace buildwarden::api
