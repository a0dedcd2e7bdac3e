// Volumes, and the containers that hold them.
#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/limits.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kStopDeadline = std::chrono::seconds{60};
constexpr Duration kVolumeRemoveDeadline =
    std::chrono::minutes{5};  // the engine deletes all its files before it answers

}  // namespace

ports::Async<void> Engine::stop_container(std::string id) {
  const auto doing = format("stopping container {}", id);
  const auto name = encode_name(id);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call stop;
  stop.method = "POST";
  stop.target = format("/containers/{}/stop?t=10", *name);
  stop.limits.deadline = kStopDeadline;
  auto stopped = co_await transport_.call(std::move(stop));  // 304: it does not run
  if (!stopped) co_return std::move(stopped).error().with_context(doing);
  co_return Result<void>{};
}

ports::Async<std::vector<ports::VolumeRecord>> Engine::list_volumes(std::string part) {
  Query query;
  if (!part.empty()) query.emplace_back("filters", encode_name_filter(part));
  Call list;
  list.target = "/volumes" + encode_query(query);
  list.limits.deadline = kListDeadline;
  list.limits.max_body = kListLimit;
  auto volumes = co_await transport_.ask(std::move(list), &decode_volumes);
  co_return std::move(volumes).with_context("listing volumes");
}

ports::Async<void> Engine::create_volume(std::string name) {
  const auto doing = format("creating volume {}", name);
  Call create;
  create.method = "POST";
  create.target = "/volumes/create";
  create.body = encode_volume(name);
  create.limits.deadline = kListDeadline;
  auto created = co_await transport_.call(std::move(create));
  if (!created) co_return std::move(created).error().with_context(doing);
  co_return Result<void>{};
}

ports::Async<void> Engine::remove_volume(std::string name) {
  const auto doing = format("removing volume {}", name);
  const auto encoded = encode_name(name);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call remove;
  remove.method = "DELETE";
  remove.target = format("/volumes/{}?force=0", *encoded);
  remove.limits.deadline = kVolumeRemoveDeadline;
  auto removed = co_await transport_.call(std::move(remove));
  if (!removed) co_return std::move(removed).error().with_context(doing);
  co_return Result<void>{};
}

}  // namespace buildwarden::engine
