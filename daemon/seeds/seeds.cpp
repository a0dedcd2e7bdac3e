#include "daemon/seeds/seeds.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>
#include <utility>

#include "common/async_event.h"
#include "common/format.h"
#include "common/loop_timer.h"

namespace buildwarden::seeds {
namespace asio = boost::asio;
namespace {

constexpr Duration kLookAtSeed = std::chrono::milliseconds{200};

std::string name_of(SeedSave save) {
  switch (save) {
    case SeedSave::kIdle: return "idle";
    case SeedSave::kDrain: return "drain";
    default: return "never";
  }
}

// Work that goes on when nobody waits for it any more: a client's end must not leave a builder paused.
struct UnattendedWork {
  std::optional<Result<ports::SeedDone>> result;
  AsyncEvent done;
};

asio::awaitable<void> keep_result(std::shared_ptr<UnattendedWork> apart, ports::Async<ports::SeedDone> work) {
  auto result = co_await std::move(work);
  apart->result.emplace(std::move(result));
  apart->done.notify_all();
}

ports::Async<ports::SeedDone> run_apart(asio::any_io_executor executor, ports::Async<ports::SeedDone> work) {
  constexpr Duration kLongest = std::chrono::hours{2};
  auto apart = std::make_shared<UnattendedWork>();
  asio::co_spawn(executor, keep_result(apart, std::move(work)), asio::detached);
  if (!apart->result) co_await apart->done.wait(kLongest);
  if (apart->result) co_return *apart->result;
  co_return Error(Errc::kCancelled, "nobody waits for it any more; it goes on");
}

Error no_such_builder(const std::string& name) { return {Errc::kNotFound, format("no builder \"{}\"", name)}; }

}  // namespace

Seeds::Seeds(asio::any_io_executor executor, SeedParts parts)
    : executor_(std::move(executor)), parts_(std::move(parts)) {
  add_new();
}

void Seeds::start() {
  started_ = true;
  for (const auto& one : all_) asio::co_spawn(executor_, one.seed->run(), asio::detached);
}

void Seeds::stop() {
  for (const auto& one : all_) one.seed->stop();
}

asio::awaitable<void> Seeds::released() {
  constexpr int kLooks = 50;
  const auto paused = [this] {
    return std::any_of(all_.begin(), all_.end(), [](const One& one) { return one.seed->holds(); });
  };
  for (int look = 0; look < kLooks && paused(); ++look) {
    const bool whole = co_await sleep_for(std::chrono::milliseconds{20});
    if (!whole) co_return;
  }
}

void Seeds::add_new() {
  for (const auto& builder : parts_.settings.builders) {
    if (find(builder.name) != nullptr) continue;
    all_.push_back({builder.name, std::make_unique<BuilderSeed>(builder.name, parts_)});
    if (started_) asio::co_spawn(executor_, all_.back().seed->run(), asio::detached);
  }
}

void Seeds::reconfigure() {
  add_new();
  for (const auto& one : all_) one.seed->look_now();
}

BuilderSeed* Seeds::find(const std::string& builder) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const One& one) { return one.builder == builder; });
  return found == all_.end() ? nullptr : found->seed.get();
}

std::string Seeds::awaited(const std::string& builder) const {
  const auto* seed = find(builder);
  return seed == nullptr ? "" : seed->awaited();
}

bool Seeds::holds(const std::string& builder) const {
  const auto* seed = find(builder);
  return seed != nullptr && seed->holds();
}

bool Seeds::give_up(const std::string& builder) {
  auto* seed = find(builder);
  return seed != nullptr && seed->give_up();
}

asio::awaitable<void> Seeds::wait_for(std::string builder, ports::Progress progress) {
  const auto until = parts_.clock.now().boot + parts_.settings.seeds.restore_timeout;
  std::string told;
  for (;;) {
    const auto* seed = find(builder);
    const auto why = seed == nullptr ? std::string() : seed->awaited();
    if (why.empty() || parts_.clock.now().boot >= until) co_return;
    if (progress && why != told) progress(why);
    told = why;
    const bool whole = co_await sleep_for(kLookAtSeed);
    if (!whole) co_return;
  }
}

void Seeds::on_engine_event(const ports::EngineEvent& event) {
  if (event.before_start || event.type != "container" || !event.action.starts_with("exec_create")) return;
  const auto name = event.attributes.find("name");
  if (name == event.attributes.end()) return;
  for (const auto& builder : parts_.builders.builders_view().builders) {
    const auto& fronts = builder.fronts;
    if (std::find(fronts.begin(), fronts.end(), name->second) != fronts.end()) give_up(builder.name);
  }
}

ports::SeedsView Seeds::seeds_view() const {
  ports::SeedsView view;
  view.location = parts_.settings.seeds.location;
  view.save = name_of(parts_.settings.seeds.save);
  for (const auto& builder : parts_.settings.builders) {
    const auto* seed = find(builder.name);
    if (seed != nullptr) view.seeds.push_back(seed->view());
  }
  return view;
}

ports::Async<ports::SeedDone> Seeds::save_seed(ports::SeedRequest request, ports::Progress progress) {
  auto* seed = find(request.builder);
  if (seed == nullptr) co_return no_such_builder(request.builder);
  auto work = seed->save(std::move(request), std::move(progress));
  co_return co_await run_apart(executor_, std::move(work));
}

ports::Async<ports::SeedDone> Seeds::restore_seed(ports::SeedRequest request, ports::Progress progress) {
  auto* seed = find(request.builder);
  if (seed == nullptr) co_return no_such_builder(request.builder);
  auto work = seed->restore(std::move(request), std::move(progress));
  co_return co_await run_apart(executor_, std::move(work));
}

}  // namespace buildwarden::seeds
