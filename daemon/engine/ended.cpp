// What is left over on the engine: containers that ended, networks that nobody uses.
#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/limits.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kAskDeadline = std::chrono::seconds{10};
constexpr Duration kMeasureDeadline = std::chrono::seconds{60};  // the engine walks the container's layer

}  // namespace

ports::Async<ports::ContainerDetails> Engine::describe_container(std::string id, bool measure) {
  const auto doing = format("describing container {}", id);
  const auto name = encode_name(id);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call inspect;
  inspect.target = format("/containers/{}/json{}", *name, measure ? "?size=1" : "");
  inspect.limits.deadline = measure ? kMeasureDeadline : kAskDeadline;
  auto details = co_await transport_.ask(std::move(inspect), &decode_details);
  co_return std::move(details).with_context(doing);
}

ports::Async<void> Engine::remove_ended_container(std::string id) {
  const auto doing = format("removing the ended container {}", id);
  const auto name = encode_name(id);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call remove;
  remove.method = "DELETE";
  remove.target = format("/containers/{}?force=0&v=1", *name);
  remove.limits.deadline = kRemoveDeadline;
  auto removed = co_await transport_.call(std::move(remove));
  if (!removed) co_return std::move(removed).error().with_context(doing);
  co_return Result<void>{};
}

ports::Async<std::vector<ports::NetworkRecord>> Engine::list_networks() {
  Call list;
  list.target = "/networks";
  list.limits.deadline = kAskDeadline;
  list.limits.max_body = kListLimit;
  auto networks = co_await transport_.ask(std::move(list), &decode_networks);
  co_return std::move(networks).with_context("listing networks");
}

ports::Async<void> Engine::remove_network(std::string id) {
  const auto doing = format("removing network {}", id);
  const auto name = encode_name(id);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call remove;
  remove.method = "DELETE";
  remove.target = format("/networks/{}", *name);
  remove.limits.deadline = kRemoveDeadline;
  auto removed = co_await transport_.call(std::move(remove));
  if (!removed) co_return std::move(removed).error().with_context(doing);
  co_return Result<void>{};
}

}  // namespace buildwarden::engine
