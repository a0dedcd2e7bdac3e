// Operations over a restart of the daemon.
#include <algorithm>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "daemon/api/operations.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace {

Response interrupted_response(const Now& now) {
  return problem(503, "interrupted",
                 format("the daemon ended while this ran and was back at {}; what was done by then "
                        "stands in the journal",
                        format_rfc3339(now.wall)));
}

ports::StoredOperation stored_form(const Operation& operation, std::size_t longest_body) {
  ports::StoredOperation stored;
  stored.id = operation.id;
  stored.kind = operation.kind;
  stored.owner = operation.owner;
  stored.started = operation.started;
  stored.finished = operation.finished;
  stored.interrupted = operation.interrupted;
  if (!operation.result) return stored;
  stored.status = operation.result->status;
  stored.content_type = operation.result->content_type;
  if (operation.result->body.size() <= longest_body) stored.body = operation.result->body;
  return stored;
}

void fill_in(Operation& operation, ports::StoredOperation stored) {
  operation.kind = std::move(stored.kind);
  operation.owner = stored.owner;
  operation.started = stored.started;
  operation.finished = stored.finished;
  operation.interrupted = stored.interrupted;
  operation.told = true;
  Response response;
  response.status = stored.status;
  response.content_type = std::move(stored.content_type);
  response.body = std::move(stored.body);
  operation.result = std::move(response);
}

}  // namespace

void Operations::restore() {
  const auto now = parts_.clock.now();
  bool changed = false;
  for (auto& stored : parts_.store.load_operations()) {
    const bool was_running = !stored.finished;
    auto operation = std::make_shared<Operation>(stored.id);
    fill_in(*operation, std::move(stored));
    if (was_running) {
      operation->finished = now;
      operation->interrupted = true;
      operation->result = interrupted_response(now);
      changed = true;
    }
    all_[operation->id] = operation;
    finished_.push_back(std::move(operation));
  }
  const auto is_earlier = [](const auto& one, const auto& other) {
    return one->finished->boot < other->finished->boot;
  };
  std::sort(finished_.begin(), finished_.end(), is_earlier);
  forget_old();
  // So that another end of the daemon does not change when this one was interrupted.
  if (changed) save();
}

void Operations::save() {
  std::vector<ports::StoredOperation> stored;
  for (const auto& [id, operation] : all_) {
    if (operation->told && !operation->finished) stored.push_back(stored_form(*operation, 0));
  }
  std::size_t finished = 0;
  for (auto at = finished_.rbegin(); at != finished_.rend() && finished < limits_.stored; ++at) {
    if (!(*at)->told) continue;
    stored.push_back(stored_form(**at, limits_.stored_body));
    ++finished;
  }
  if (const auto saved = parts_.store.save_operations(stored); !saved) {
    log_warning(format("api: {} operations would not outlive the daemon: {}", stored.size(), saved.error().message()));
  }
}

}  // namespace buildwarden::api
