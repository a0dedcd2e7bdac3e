// bench_worth - what jobs wait for because it was evicted, by the daemon's own ranking and by others.
//
// usage: bench_worth --trace FILE --disk BYTES --policy value|last_use|until=4h|clairvoyant|clairvoyant_of_trees
// [--noise SIGMA] [--seed N]
//        bench_worth --generate monorepo|small|branches|nightly|renewed|same [--seed N]
//        bench_worth --table [--noise SIGMA] [--seed N]
//        bench_worth --scale
//        --trace FILE      JSON lines (README.md); "-" is the standard input
//        --disk BYTES      "20GiB", "20GB" or bytes
//        --noise SIGMA     costs were learned wrong by a log-normal factor; 0 unless told
//        --seed N          of the days, or of what is wrong with the costs; 1 unless told
//        --table           of value, last_use, until=4h and clairvoyant_of_trees the ratio to clairvoyant, the mean of
//        five
//                          seeds from N on, by kind of days and disk, as Markdown; a minute and a half
//        --scale           what an order of 10,000 images and 100,000 records takes, in milliseconds: by the clock, and
//        of
//                          processor time
//
// Exit codes: 0; 1 with what is wrong in the trace; 2 wrong usage.
#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/format.h"
#include "tests/support/worth_days.h"
#include "tests/support/worth_replay.h"

namespace buildwarden::bench {
namespace {

using testing::ReplayOptions;
using testing::ReplayPolicy;

constexpr std::array<double, 4> kShares = {0.10, 0.20, 0.35, 0.60};  // of a day's bytes
constexpr std::uint64_t kSeeds = 5;

int usage() {
  std::fputs(
      "usage: bench_worth --trace FILE --disk BYTES --policy value|last_use|until=4h|clairvoyant|clairvoyant_of_trees "
      "[--noise SIGMA] "
      "[--seed N]\n"
      "       bench_worth --generate monorepo|small|branches|nightly|renewed|same [--seed N]\n"
      "       bench_worth --table [--noise SIGMA] [--seed N]\n"
      "       bench_worth --scale\n",
      stderr);
  return 2;
}

int wrong(const Error& error) {
  std::fprintf(stderr, "bench_worth: %s\n", error.message().c_str());
  return 1;
}

using Words = std::map<std::string, std::string, std::less<>>;

// "--name value" each; --table and --scale stand alone.
std::optional<Words> words_of(int argc, char** argv) {
  Words words;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--table" || name == "--scale") {
      words[name] = "";
      continue;
    }
    const bool is_known = name == "--trace" || name == "--disk" || name == "--policy" || name == "--noise" ||
                          name == "--seed" || name == "--generate";
    if (!is_known || ++i == argc) return std::nullopt;
    words[name] = argv[i];
  }
  return words;
}

// nothing: no number, or something after it.
template <class Number>
std::optional<Number> number_of(const Words& words, std::string_view name, Number otherwise) {
  const auto word = words.find(name);
  if (word == words.end()) return otherwise;
  Number value{};
  const auto& text = word->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size() && value >= 0) return value;
  return std::nullopt;
}

int replay_trace(const Words& words, ReplayOptions options) {
  const auto policy = testing::replay_policy(words.contains("--policy") ? words.at("--policy") : "");
  if (!policy || !words.contains("--disk")) return usage();
  const auto disk = parse_bytes(words.at("--disk"));
  if (!disk) return wrong(disk.error());
  options.disk = *disk;
  options.policy = *policy;
  const auto& file = words.at("--trace");
  std::ifstream opened(file);
  if (file != "-" && !opened) return wrong(Error(Errc::kNotFound, format("{} cannot be read", file)));
  const auto trace = testing::read_trace(file == "-" ? std::cin : opened);
  if (!trace) return wrong(trace.error());
  const auto result = testing::replay(*trace, options);
  const auto jobs = static_cast<double>(std::max<std::size_t>(result.jobs, 1));
  std::cout << boost::json::object{{"policy", words.at("--policy")},
                                   {"jobs", result.jobs},
                                   {"rebuild_seconds", result.rebuild_seconds},
                                   {"rebuild_seconds_per_job", result.rebuild_seconds / jobs},
                                   {"evicted_bytes", result.evicted_bytes},
                                   {"evictions", result.evictions},
                                   {"decision_microseconds_p99", result.decision_microseconds_p99}}
            << '\n';
  return 0;
}

int generate(const std::string& kind, std::uint64_t seed) {
  const auto trace = testing::make_days(kind, seed);
  if (!trace) return wrong(trace.error());
  testing::write_trace(*trace, std::cout);
  return 0;
}

constexpr std::array kCompared = {ReplayPolicy::kValue, ReplayPolicy::kLastUse, ReplayPolicy::kUntil4h,
                                  ReplayPolicy::kClairvoyantOfTrees};
using Ratios = std::array<std::array<double, kCompared.size()>, kShares.size()>;

// To clairvoyant, the mean of the seeds.
Ratios ratios_of(std::string_view kind, const ReplayOptions& given) {
  Ratios ratios{};
  for (auto seed = given.seed; seed < given.seed + kSeeds; ++seed) {
    const auto trace = *testing::make_days(kind, seed);
    for (std::size_t at = 0; at < kShares.size(); ++at) {
      const auto seconds = [&](ReplayPolicy policy) {
        const auto disk = static_cast<Bytes>(kShares[at] * static_cast<double>(testing::bytes_of_a_day(trace)));
        return testing::replay(trace, {disk, policy, given.noise, seed}).rebuild_seconds;
      };
      const auto best = seconds(ReplayPolicy::kClairvoyant);
      for (std::size_t i = 0; i < kCompared.size(); ++i) ratios[at][i] += seconds(kCompared[i]) / best / kSeeds;
    }
  }
  return ratios;
}

void print_row(std::string_view name, const Ratios& ratios) {
  std::cout << format("| {} |", name);
  for (const auto& share : ratios)
    std::cout << format(" **{:.2f}** / {:.2f} / {:.2f} / {:.2f} |", share[0], share[1], share[2], share[3]);
  std::cout << '\n' << std::flush;
}

int table(const ReplayOptions& given) {
  std::cout << "| kind of days | 10 % | 20 % | 35 % | 60 % |\n|---|---|---|---|---|\n";
  Ratios mean{};
  for (const auto kind : testing::kDayKinds) {
    const auto ratios = ratios_of(kind, given);
    print_row(kind, ratios);
    for (std::size_t at = 0; at < kShares.size(); ++at) {
      for (std::size_t i = 0; i < kCompared.size(); ++i) mean[at][i] += ratios[at][i] / testing::kDayKinds.size();
    }
  }
  print_row("mean", mean);
  return 0;
}

// Chains of ten records on common bases, some used often, each with a slot of its own.
std::vector<policy::Thing> crowd(WallTime now) {
  constexpr std::size_t kImages = 10'000;
  constexpr std::size_t kRecords = 100'000;
  constexpr std::size_t kChain = 10;
  std::vector<policy::Thing> things;
  for (std::size_t i = 0; i < kImages + kRecords; ++i) {
    auto& thing = things.emplace_back();
    const bool is_image = i < kImages;
    thing.kind = is_image ? policy::ThingKind::kImage : policy::ThingKind::kCache;
    thing.id = format("{:025}", i);
    thing.name = format("thing {}", i);
    if (!is_image && i % kChain != 0) thing.parents = {things[i - 1].kind == thing.kind ? things[i - 1].id : ""};
    thing.bytes = static_cast<Bytes>((i * 7919) % 400 + 1) * kMiB;
    thing.cost.seconds = static_cast<double>((i * 104'729) % 600);
    thing.use = policy::first_use(now - std::chrono::minutes{(i * 31) % 5000 + 10});
    policy::note_use(thing.use, now - std::chrono::minutes{i % 10}, i % 17 + 1);
    thing.slot = policy::cache_slot(0, "", format("slot {}", i / 2));
    thing.slot_history = {thing.use, thing.use.uses / 2};
  }
  return things;
}

int scale() {
  const WallTime now{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
  constexpr std::size_t kRuns = 9;
  std::vector<double> waited;
  std::vector<double> worked;
  for (std::size_t i = 0; i < kRuns; ++i) {
    auto things = crowd(now);
    const auto begin = std::chrono::steady_clock::now();
    const auto work_begin = std::clock();
    policy::mark_superseded(things);
    const auto order = policy::order_by_value(things, now);
    worked.push_back(1e3 * static_cast<double>(std::clock() - work_begin) / CLOCKS_PER_SEC);
    const std::chrono::duration<double, std::milli> one = std::chrono::steady_clock::now() - begin;
    waited.push_back(one.count());
  }
  std::sort(waited.begin(), waited.end());
  std::sort(worked.begin(), worked.end());
  std::printf("%.1f %.1f\n", waited[kRuns / 2], worked[kRuns / 2]);
  return 0;
}

int run(const Words& words) {
  ReplayOptions options;
  const auto seed = number_of<std::uint64_t>(words, "--seed", 1);
  const auto noise = number_of<double>(words, "--noise", 0);
  if (!seed || !noise) return usage();
  options.seed = *seed;
  options.noise = *noise;
  if (words.contains("--scale")) return scale();
  if (words.contains("--table")) return table(options);
  if (words.contains("--generate")) return generate(words.at("--generate"), options.seed);
  return words.contains("--trace") ? replay_trace(words, options) : usage();
}

}  // namespace
}  // namespace buildwarden::bench

int main(int argc, char** argv) {
  try {
    const auto words = buildwarden::bench::words_of(argc, argv);
    return words ? buildwarden::bench::run(*words) : buildwarden::bench::usage();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_worth: %s\n", error.what());
    return 1;
  }
}
