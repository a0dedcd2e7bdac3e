#include "daemon/api/operations.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <random>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "common/visible_text.h"
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
    : executor_(std::move(executor)), parts_(parts), limits_(limits), running_(limits.running) {}

std::shared_ptr<Operation> Operations::start(std::string kind, uid_t owner, Work work) {
  forget_old();
  auto place = stopped_ ? std::nullopt : running_.take(PeerKey::of_uid(owner));
  if (!place) return nullptr;
  auto operation = std::make_shared<Operation>(random_id());
  operation->kind = std::move(kind);
  operation->owner = owner;
  operation->started = parts_.clock.now();
  all_[operation->id] = operation;
  // The slot is used until the end of the spawning, which is later than that of the coroutine (Boost 1.81).
  const auto kept = [operation](const std::exception_ptr&) {};
  auto ending = asio::bind_cancellation_slot(operation->cancel.slot(), kept);
  asio::co_spawn(executor_, run(operation, std::move(work), *std::move(place)), std::move(ending));
  return operation;
}

// `place` is given back however this ends: also when it never begins.
asio::awaitable<void> Operations::run(std::shared_ptr<Operation> operation, Work work, PeerQuota::Place place) {
  std::optional<PeerQuota::Place> held(std::move(place));
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
  operation->done.notify_all();
  held.reset();
  if (running_.taken() == 0) idle_.notify_all();
  finished_.push_back(operation);
  forget_old();
  if (operation->told) save();
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
  if (running_.taken() > 0) co_await idle_.wait(patience);
  if (running_.taken() > 0)
    log_warning(format("api: {} operations did not end within {}", running_.taken(), short_duration(patience)));
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
