// bench_plan - what a plan over a crowded engine costs, and for how long it keeps the loop.
//
// usage: bench_plan FOLDER
//
// An engine of 10,000 images and 100,000 cache records answers over a socket in FOLDER, which is left with its two
// answers (df.json, images.json) for whoever wants to parse them, too. A dry run climbs the whole ladder. Writes one
// line: wall milliseconds of the cache's listing with parsing and plan, of the whole dry run, and the longest turns of
// the loop in both and while the ledger learns the list of images, in CPU milliseconds (of the thread, so that a busy
// machine does not count). Exit codes: 0 measured; 1 failed; 2 wrong usage.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "common/worker.h"
#include "daemon/engine/engine.h"
#include "daemon/evictors/build_cache.h"
#include "daemon/evictors/images.h"
#include "daemon/evictors/images_and_caches.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/last_use_recorder.h"
#include "daemon/last_use/worth_ledger.h"
#include "daemon/reclaim/reclaimer.h"
#include "tests/bench/crowded_engine.h"
#include "tests/support/later_clock.h"

namespace buildwarden::bench {
namespace {

namespace asio = boost::asio;
using Wall = std::chrono::steady_clock;

constexpr int kImages = 10'000;
constexpr int kRecords = 100'000;

class NoJournal final : public ports::Journal {
 public:
  void record(ports::Event) override {}
};

class NobodyIn final : public ports::InUse {
 public:
  [[nodiscard]] ports::InUseSet now() const override { return {}; }
};

class EmptyStore final : public ports::LedgerStore {
 public:
  ports::Async<std::vector<ports::LedgerRow>> load(std::string) override { co_return std::vector<ports::LedgerRow>{}; }
  ports::Async<void> save(std::string, std::vector<ports::LedgerRow>) override { co_return Result<void>{}; }
  ports::Async<void> forget(std::string, std::vector<std::string>) override { co_return Result<void>{}; }
};

class EmptyWorthStore final : public ports::WorthStore {
 public:
  ports::Async<std::vector<ports::WorthRow>> load_worth(std::string) override {
    co_return std::vector<ports::WorthRow>{};
  }
  ports::Async<void> save_worth(std::string, std::vector<ports::WorthRow>) override { co_return Result<void>{}; }
  ports::Async<void> forget_worth(std::string, std::vector<std::string>) override { co_return Result<void>{}; }
};

class FullDisk final : public ports::FilesystemProbe {
 public:
  asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    ports::FilesystemSnapshot disk;
    disk.device = "8:1";
    disk.mount = "/docker";
    disk.roles = {"data_root"};
    disk.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    disk.pressure.level = policy::Level::kCritical;
    disk.pressure.reclaim = true;
    disk.marks.target = kMiB * kGiB;  // out of reach: the whole ladder is climbed
    disk.reading.emplace();
    disk.reading->total = 2 * disk.marks.target;
    co_return std::vector<ports::FilesystemSnapshot>{disk};
  }
};

double cpu_milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double milliseconds_since(Wall::time_point begin) {
  return std::chrono::duration<double, std::milli>(Wall::now() - begin).count();
}

template <class T>
asio::awaitable<void> keep_value(asio::awaitable<T> work, std::optional<T>* into) {
  into->emplace(co_await std::move(work));
}

// The loop, turn by turn, with the longest one kept.
class WatchedLoop {
 public:
  asio::io_context loop;

  void run_until(const std::function<bool()>& done) {
    const auto end = Wall::now() + std::chrono::minutes{2};
    while (!done()) {
      loop.restart();
      const auto begin = cpu_milliseconds();
      loop.run_one_for(std::chrono::milliseconds{100});
      longest = std::max(longest, cpu_milliseconds() - begin);
      if (Wall::now() > end) throw std::runtime_error("it does not end");
    }
  }
  template <class T>
  T run(asio::awaitable<T> work) {
    std::optional<T> value;
    asio::co_spawn(loop, keep_value(std::move(work), &value), asio::detached);
    run_until([&value] { return value.has_value(); });
    return *std::move(value);
  }
  double longest = 0;
};

void keep(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

struct Parts {
  Settings settings;
  testing::LaterClock clock;
  NoJournal journal;
  NobodyIn nobody;
  EmptyStore store;
  EmptyWorthStore worth_store;
  FullDisk meter;
  WorkerPool workers{2};
};

disk::BuildCacheEvictor::Parts rung_parts(Parts& parts, engine::Engine& engine, disk::WorthLedger& worth) {
  std::vector<disk::CacheSource> sources{
      {"engine", "the engine's build cache", &engine, Amount::bytes(10 * kGiB), true}};
  return {[sources] { return sources; },
          engine,
          parts.nobody,
          parts.meter,
          parts.journal,
          parts.settings,
          parts.clock,
          parts.workers,
          [](Duration) { return true; },
          &worth};
}

int measure(const std::string& folder) {
  CrowdedEngine crowd(folder + "/docker.sock", kImages, kRecords);
  keep(folder + "/df.json", crowd.body("/system/df"));
  keep(folder + "/images.json", crowd.body("/images/json"));
  Parts parts;
  WatchedLoop watched;
  parts.settings.engine.socket = folder + "/docker.sock";
  engine::Engine engine(parts.settings.engine, {parts.workers, parts.clock, parts.journal});
  bool ended = false;
  asio::co_spawn(watched.loop, engine.run(), [&ended](const std::exception_ptr&) { ended = true; });
  watched.run_until([&engine] { return engine.status().up; });

  disk::LastUseLedger ledger(parts.clock, parts.store, parts.journal);
  disk::WorthLedger worth({parts.clock, parts.worth_store, parts.workers});
  disk::LastUseRecorder feed({ledger, engine, engine, parts.clock, parts.workers, nullptr, {}, &worth});
  feed.on_connected(engine.status().identity, std::nullopt);
  double learned_first = 0;
  for (const bool first : {true, false}) {
    watched.longest = 0;
    const auto learned = watched.run(feed.turn());
    if (!learned) throw std::runtime_error(learned.error().message());
    if (first) learned_first = watched.longest;
  }
  const auto longest_learning = std::max(learned_first, watched.longest);
  parts.clock.later = std::chrono::hours{24};  // everything is old

  const disk::ImageInUseCheck::Parts guard{engine, engine, engine, parts.nobody, ledger, parts.clock};
  disk::DanglingImages dangling(guard);
  disk::UnusedImages unused(guard, {&worth, parts.settings, parts.workers});
  disk::BuildCacheEvictor by_age(policy::RungId::kBuildCache, rung_parts(parts, engine, worth));
  disk::BuildCacheEvictor by_share(policy::RungId::kBuildCacheShare, rung_parts(parts, engine, worth));
  disk::ImagesAndCaches things({unused, by_age, [] { return std::string("8:1"); }});
  disk::Reclaimer reclaimer({parts.settings,
                             parts.clock,
                             parts.journal,
                             parts.nobody,
                             parts.meter,
                             {&dangling, &by_age, &unused, &by_share, &things},
                             {},
                             {},
                             {},
                             &parts.workers});
  watched.longest = 0;

  const policy::RungTurn turn{policy::RungId::kBuildCache, 1, parts.settings.disk.keep_used_within};
  auto begin = Wall::now();
  const auto steps = watched.run(by_age.list(turn));
  const auto listed = milliseconds_since(begin);
  if (!steps || steps->empty()) throw std::runtime_error(steps ? "nothing was planned" : steps.error().message());
  const auto longest_listing = watched.longest;
  ports::SpaceRequest request;
  request.dry_run = true;
  begin = Wall::now();
  const auto planned = watched.run(reclaimer.ensure(request, {}));
  const auto climbed = milliseconds_since(begin);
  if (!planned || planned->steps.size() < kImages) throw std::runtime_error("the ladder was not climbed");
  std::printf("%.1f %.1f %.2f %.2f %.2f\n", listed, climbed, longest_listing, watched.longest, longest_learning);
  engine.stop();
  watched.run_until([&ended] { return ended; });
  return 0;
}

}  // namespace
}  // namespace buildwarden::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bench_plan FOLDER\n", stderr);
    return 2;
  }
  try {
    return buildwarden::bench::measure(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_plan: %s\n", error.what());
    return 1;
  }
}
