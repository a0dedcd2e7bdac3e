// Containers: seen, made, started, removed.
#include <string_view>
#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/limits.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kInspectDeadline = std::chrono::seconds{10};
constexpr Duration kCreateDeadline = std::chrono::seconds{30};
constexpr Duration kActDeadline = std::chrono::seconds{60};  // a slow disk

struct Act {
  std::string_view method;
  std::string_view tail;  // after the container's name
  std::string_view word;
};

Act act_of(ports::ContainerVerb verb) {
  switch (verb) {
    case ports::ContainerVerb::kStart: return {"POST", "/start", "starting"};
    case ports::ContainerVerb::kPause: return {"POST", "/pause", "pausing"};
    case ports::ContainerVerb::kUnpause: return {"POST", "/unpause", "unpausing"};
    case ports::ContainerVerb::kRestart: return {"POST", "/restart?t=0", "restarting"};
    case ports::ContainerVerb::kRemove: break;
  }
  return {"DELETE", "?force=1&v=1", "removing"};
}

}  // namespace

ports::Async<std::vector<ports::ContainerRecord>> Engine::list_containers() {
  Call list;
  list.target = "/containers/json?all=1";
  list.limits.deadline = kListDeadline;
  list.limits.max_body = kLongListLimit;
  auto containers = co_await transport_.ask(std::move(list), &decode_containers);
  co_return std::move(containers).with_context("listing containers");
}

ports::Async<policy::ObservedContainer> Engine::inspect_container(std::string name) {
  const auto doing = format("inspecting container {}", name);
  const auto encoded = encode_name(name);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call inspect;
  inspect.target = format("/containers/{}/json", *encoded);
  inspect.limits.deadline = kInspectDeadline;
  auto container = co_await transport_.ask(std::move(inspect), &decode_container);
  if (!container && container.error().code() == Errc::kNotFound) co_return policy::ObservedContainer();
  co_return std::move(container).with_context(doing);
}

ports::Async<std::set<std::string>> Engine::mounted_images(std::string id) {
  const auto version = transport_.version();
  if (version && *version < kImageMounts) co_return std::set<std::string>{};
  const auto doing = format("inspecting container {}", id);
  const auto encoded = encode_name(id);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call inspect;
  inspect.target = format("/containers/{}/json", *encoded);
  inspect.limits.deadline = kInspectDeadline;
  auto images = co_await transport_.ask(std::move(inspect), &decode_mounted_images);
  co_return std::move(images).with_context(doing);
}

ports::Async<std::string> Engine::create_container(ports::ContainerSpec spec) {
  const auto doing = format("creating container {}", spec.name);
  Query query;
  query.emplace_back("name", spec.name);
  Call create;
  create.method = "POST";
  create.target = "/containers/create" + encode_query(query);
  create.body = encode_container(spec);
  create.limits.deadline = kCreateDeadline;
  auto id = co_await transport_.ask(std::move(create), &decode_id);
  co_return std::move(id).with_context(doing);
}

ports::Async<void> Engine::act_on_container(std::string id, ports::ContainerVerb verb) {
  const auto act = act_of(verb);
  const auto doing = format("{} container {}", act.word, id);
  const auto encoded = encode_name(id);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call call;
  call.method = std::string(act.method);
  call.target = format("/containers/{}{}", *encoded, act.tail);
  call.limits.deadline = kActDeadline;
  auto done = co_await transport_.call(std::move(call));  // 304: it runs already
  if (!done) co_return std::move(done).error().with_context(doing);
  co_return Result<void>{};
}

}  // namespace buildwarden::engine
