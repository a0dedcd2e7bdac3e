#include "daemon/api/operations.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <random>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

constexpr std::string_view kRetryAfter = "5";  // seconds

std::string random_id() {
  std::random_device source;  // getrandom(2)
  return format("{:08x}{:08x}", source(), source());
}

// What became of a work that threw: it was cancelled, or it is a mistake of ours.
Response after_throw(const std::exception& error) {
  const auto* system = dynamic_cast<const boost::system::system_error*>(&error);
  if (system != nullptr && system->code() == asio::error::operation_aborted) {
    return problem(503, "stopping", "the daemon is stopping");
  }
  log_error(format("api: an operation failed: {}", error.what()));
  return problem(500, "internal", "the operation failed by a mistake of the daemon; its log has more");
}

}  // namespace

Operations::Operations(asio::any_io_executor executor, Parts parts, OperationLimits limits)
    : executor_(std::move(executor)), parts_(parts), limits_(limits) {}

std::shared_ptr<Operation> Operations::start(std::string kind, uid_t owner, Work work) {
  forget_old();
  if (stopped_ || !has_place(owner)) return nullptr;
  auto operation = std::make_shared<Operation>(random_id());
  operation->kind = std::move(kind);
  operation->owner = owner;
  operation->started = parts_.clock.now();
  all_[operation->id] = operation;
  ++running_;
  auto ending = asio::bind_cancellation_slot(operation->cancel.slot(), asio::detached);
  asio::co_spawn(executor_, run(operation, std::move(work)), std::move(ending));
  return operation;
}

// Those that wait for room may wait for minutes: no user's keep all others from starting one.
bool Operations::has_place(uid_t owner) const {
  if (owner == 0) return running_ < limits_.running;
  std::size_t own = 0;
  for (const auto& [id, operation] : all_) own += !operation->finished && operation->owner == owner ? 1 : 0;
  return own < limits_.of_user && running_ + limits_.for_root < limits_.running;
}

asio::awaitable<void> Operations::run(std::shared_ptr<Operation> operation, Work work) {
  const std::weak_ptr<Operation> weak = operation;
  const std::size_t most = limits_.lines;
  ports::Progress progress = [weak, most](const std::string& line) {
    const auto alive = weak.lock();
    if (alive && !alive->finished && alive->progress.size() < most) alive->progress.push_back(line);
  };
  try {  // nothing is awaited outside of it: a cancellation may throw at any co_await
    auto response = co_await work(std::move(progress));
    operation->result = std::move(response);
  } catch (const std::exception& error) {
    operation->result = after_throw(error);
    operation->interrupted = stopped_;
  }
  operation->finished = parts_.clock.now();
  finished_.push_back(operation);
  forget_old();
  if (operation->told) save();
  operation->done.ring();
  if (--running_ == 0) idle_.ring();
}

asio::awaitable<Response> Operations::answer(std::shared_ptr<Operation> operation, Duration patience) {
  if (!operation) {
    const auto* why = stopped_ ? "the daemon is stopping" : "too many operations are running; try again";
    auto refused = problem(503, stopped_ ? "stopping" : "too_many_operations", why);
    refused.headers.emplace_back("Retry-After", kRetryAfter);
    co_return refused;
  }
  if (!operation->result) co_await operation->done.wait(patience);
  if (operation->result) co_return *operation->result;
  operation->told = true;
  save();
  Response accepted;
  accepted.status = 202;
  accepted.headers.emplace_back("Location", "/v1/operations/" + operation->id);
  accepted.body = format("{{\"operation\":\"{}\"}}", operation->id);
  co_return accepted;
}

std::shared_ptr<Operation> Operations::find(const std::string& id) {
  forget_old();
  const auto found = all_.find(id);
  return found == all_.end() ? nullptr : found->second;
}

void Operations::forget_old() {
  const auto now = parts_.clock.now().boot;
  const auto is_old = [&](const Operation& operation) { return now - operation.finished->boot > limits_.keep; };
  while (!finished_.empty() && (finished_.size() > limits_.finished || is_old(*finished_.front()))) {
    all_.erase(finished_.front()->id);
    finished_.pop_front();
  }
}

asio::awaitable<void> Operations::stop(Duration patience) {
  stopped_ = true;
  for (auto& [id, operation] : all_) {
    if (!operation->finished) operation->cancel.emit(asio::cancellation_type::terminal);
  }
  if (running_ > 0) co_await idle_.wait(patience);
  if (running_ > 0)
    log_warning(format("api: {} operations did not end within {}", running_, format_duration(patience)));
}

json::object operation_json(const Operation& operation, bool with_result) {
  json::object object;
  object["id"] = operation.id;
  object["kind"] = operation.kind;
  object["state"] = operation.interrupted ? "interrupted" : operation.result ? "done" : "running";
  json::array lines;
  for (const auto& line : operation.progress) lines.push_back(json::string(as_utf8(line)));
  object["progress"] = std::move(lines);
  object["started_at"] = format_rfc3339(operation.started.wall);
  object["finished_at"] = operation.finished ? json::value(format_rfc3339(operation.finished->wall)) : json::value();
  object["status"] = operation.result ? json::value(operation.result->status) : json::value();
  object["result"] = nullptr;
  if (!operation.result || !with_result) return object;
  boost::system::error_code not_json;
  auto body = json::parse(operation.result->body, not_json);
  object["result"] = not_json ? json::value(as_utf8(operation.result->body)) : std::move(body);
  return object;
}

}  // namespace buildwarden::api
