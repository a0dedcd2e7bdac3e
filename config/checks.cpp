#include "config/checks.h"

#include <algorithm>
#include <array>
#include <set>

#include "common/format.h"
#include "common/system_folders.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

constexpr std::size_t kMaxSocketPath = 107;

class Checker {
 public:
  Checker(Merge& merge, const std::vector<Mistake>& known) : merge_(merge), known_(known) {}

  std::vector<Mistake> run() && {
    check_watch();
    check_marks();
    check_ages();
    check_names();
    check_builders();
    check_builds();
    check_caches();
    check_seeds();
    if (merge_.settings.emulation.order.empty() && emulation_on()) {
      mistake("emulation.order", "is empty while platforms are wanted; write [host, image], [host] or [image]");
    }
    return std::move(mistakes_);
  }

 private:
  struct Mark {
    const char* key;
    Amount value;
  };

  [[nodiscard]] bool emulation_on() const {
    return merge_.settings.emulation.all_platforms || !merge_.settings.emulation.platforms.empty();
  }

  [[nodiscard]] Origin origin(const std::string& key) const {
    const auto found = merge_.origins.find(key);
    return found == merge_.origins.end() ? Origin{kDefaultSource, "", 0, 0} : found->second;
  }

  [[nodiscard]] bool is_default(const std::string& key) const { return !merge_.origins.contains(key); }

  [[nodiscard]] bool from_env(const std::string& key) const {
    const auto source = origin(key).source;
    return source == kCfnEnv || source == kAgentEnv;
  }

  [[nodiscard]] bool wrong_already(const std::string& key) const {
    return std::any_of(known_.begin(), known_.end(), [&](const Mistake& m) { return m.key == key; });
  }

  [[nodiscard]] static std::string where(const Origin& from) {
    if (from.location.empty()) return "";
    return from.column > 0 ? format("{}:{}: ", from.location, from.column) : from.location + ": ";
  }

  // The place of a key, or of what it stands in: a default of a list's item stands where the item stands.
  [[nodiscard]] Origin nearest_origin(std::string key) const {
    while (!merge_.origins.contains(key)) {
      const auto cut = key.find_last_of(".[");
      if (cut == std::string::npos) break;
      key.resize(cut);
    }
    return origin(key);
  }

  void mistake(const std::string& key, const std::string& text) {
    const auto from = nearest_origin(key);
    mistakes_.push_back(Mistake{key, from.line, from.column, format("{}{}: {}", where(from), key, text)});
  }

  void check_watch() {
    const auto& watch = merge_.settings.disk.watch;
    for (std::size_t i = 0; i < watch.size(); ++i) {
      const auto key = format("disk.watch[{}].path", i);
      if (watch[i].path.empty() && !wrong_already(key)) mistake(key, "is missing; write the path to watch");
    }
  }

  void check_marks() {
    const auto& disk = merge_.settings.disk;
    const std::array marks = {Mark{"disk.min_free", disk.min_free}, Mark{"disk.reclaim_below", disk.reclaim_below},
                              Mark{"disk.reclaim_to", disk.reclaim_to}};
    for (const auto& mark : marks) warn_of_share(mark);
    check_order(marks[0], marks[1]);
    check_order(marks[1], marks[2]);
    if (marks[1].value.is_share() != marks[0].value.is_share()) check_order(marks[0], marks[2]);
  }

  // Who reads "used" where "free" is meant keeps most of each disk empty, and refuses its jobs.
  void warn_of_share(const Mark& mark) {
    constexpr double kHalf = 0.5;
    if (!mark.value.is_share() || mark.value.of_one() < kHalf || wrong_already(mark.key)) return;
    merge_.warnings.push_back(format("{}{}: {} of each disk are to be free, not used; is that meant?",
                                     where(origin(mark.key)), mark.key, format_amount(mark.value)));
  }

  // The lower mark must be below the upper one where both are of one unit.
  void check_order(const Mark& lower, const Mark& upper) {
    if (lower.value.is_share() != upper.value.is_share() || wrong_already(lower.key) || wrong_already(upper.key))
      return;
    const bool below = lower.value.is_share() ? lower.value.of_one() < upper.value.of_one()
                                              : lower.value.absolute() < upper.value.absolute();
    if (below) return;
    const bool at_upper = is_default(lower.key);
    const auto& at = at_upper ? upper : lower;
    const auto& other = at_upper ? lower : upper;
    const auto text = format("{} is not {} {} {} ({})", format_amount(at.value), at_upper ? "above" : "below",
                             other.key, format_amount(other.value), origin(other.key).source);
    if (from_env(lower.key) || from_env(upper.key)) {
      merge_.warnings.push_back(format("{}{}: {}; the higher one counts", where(origin(at.key)), at.key, text));
    } else {
      mistake(at.key, text + "; write min_free < reclaim_below < reclaim_to");
    }
  }

  void check_ages() {
    auto& disk = merge_.settings.disk;
    constexpr const char* kGrace = "disk.grace";
    constexpr const char* kKeep = "disk.keep_used_within";
    if (disk.grace <= disk.keep_used_within || wrong_already(kGrace) || wrong_already(kKeep)) return;
    const auto grace = short_duration(disk.grace);
    const auto keep = short_duration(disk.keep_used_within);
    if (!from_env(kKeep)) {
      if (!is_default(kGrace)) {
        return mistake(kGrace, format("{} is longer than {} {} ({}); write at most that", grace, kKeep, keep,
                                      origin(kKeep).source));
      }
      return mistake(kKeep, format("{} is shorter than {} {} (default); write at least that", keep, kGrace, grace));
    }
    if (is_default(kGrace)) {
      disk.grace = disk.keep_used_within;
      merge_.origins[kGrace] = origin(kKeep);
      merge_.warnings.push_back(
          format("{}{}: {} is shorter than {} {}, which follows it", where(origin(kKeep)), kKeep, keep, kGrace, grace));
    } else {
      merge_.warnings.push_back(format("{}{}: {} is longer than {} {} ({}); what is younger than grace stays",
                                       where(origin(kGrace)), kGrace, grace, kKeep, keep, origin(kKeep).source));
    }
  }

  void check_names() {
    std::set<std::string> taken;
    const auto& builders = merge_.settings.builders;
    for (std::size_t i = 0; i < builders.size(); ++i) {
      claim(builders[i].name, format("builders[{}].name", i), taken);
    }
    for (std::size_t i = 0; i < builders.size(); ++i) {
      for (const auto& alias : builders[i].aliases) claim(alias, format("builders[{}].aliases", i), taken);
    }
  }

  void claim(const std::string& name, const std::string& key, std::set<std::string>& taken) {
    if (taken.insert(name).second || wrong_already(key)) return;
    mistake(key, format("{} is the name or an alias of another builder; write another one", shown(name)));
  }

  void check_builders() {
    const auto& builders = merge_.settings.builders;
    for (std::size_t i = 0; i < builders.size(); ++i) {
      const auto& cache = builders[i].cache;
      const auto key = format("builders[{}].cache", i);
      const bool known = wrong_already(key + ".bucket") || wrong_already(key + ".ref");
      if (cache.type == CacheType::kS3 && cache.bucket.empty() && !known) {
        mistake(key + ".type", "s3 without a bucket; write cache.bucket");
      }
      if (cache.type == CacheType::kRegistry && cache.ref.empty() && !known) {
        mistake(key + ".type", "registry without a reference; write cache.ref");
      }
      const auto socket = format("{}/builders/{}/buildkitd.sock", merge_.settings.paths.run, builders[i].name);
      if (socket.size() > kMaxSocketPath) {
        mistake("paths.run", format("{} is {} bytes, a socket's path has at most {}; write a shorter one",
                                    shown(socket), socket.size(), kMaxSocketPath));
      }
    }
  }

  // What lies in these folders may be deleted.
  void check_caches() {
    const auto& caches = merge_.settings.disk.cache_dirs;
    for (std::size_t i = 0; i < caches.size(); ++i) {
      const auto key = format("disk.cache_dirs[{}]", i);
      const auto system = overlapped_system_folder(caches[i]);
      if (system.empty() || wrong_already(key)) continue;
      mistake(key, format("{} is or holds {}, in which nothing is ever deleted; write the folder of the cache alone",
                          caches[i], system));
    }
  }

  // What lies in a folder that is emptied with the instance is no seed. A save without a place is never made.
  void check_seeds() {
    const auto& seeds = merge_.settings.seeds;
    if (seeds.save != SeedSave::kNever && seeds.location.empty() && !wrong_already("seeds.location")) {
      merge_.warnings.push_back(
          format("{}seeds.save: no seed is made without a place; write seeds.location", where(origin("seeds.save"))));
    }
    for (const auto& [key, folder] : {std::pair("paths.builds", merge_.settings.paths.builds),
                                      std::pair("engine.data_root", merge_.settings.engine.data_root)}) {
      if (!lies_in(seeds.location, folder) || wrong_already("seeds.location")) continue;
      mistake("seeds.location",
              format("{} lies in {} {}; write a folder that outlives the instance", seeds.location, key, folder));
    }
  }

  // What lies below paths.builds is taken for checkouts, and deleted where a purge is allowed.
  void check_builds() {
    const auto& settings = merge_.settings;
    const auto& builds = settings.paths.builds;
    const std::array others = {
        std::pair("paths.state", settings.paths.state), std::pair("paths.run", settings.paths.run),
        std::pair("engine.data_root", settings.engine.data_root), std::pair("paths.cfn_env", settings.paths.cfn_env),
        std::pair("paths.agent_env", settings.paths.agent_env)};
    if (wrong_already("paths.builds")) return;
    const auto system = overlapped_system_folder(builds);
    if (!system.empty() || lies_in(builds, settings.engine.data_root)) {
      const auto& other = system.empty() ? settings.engine.data_root : system;
      const auto text = format("{} is, holds or lies in {}, in which nothing is a checkout", builds, other);
      return mistake("paths.builds", text + "; write the folder of the agent's builds-path alone");
    }
    for (const auto& [key, path] : others) {
      if (!lies_in(path, builds)) continue;
      const auto text = format("{} holds {} ({}), and what lies in it may be deleted as a checkout", builds, key, path);
      return mistake("paths.builds", text + "; write the folder of the agent's builds-path alone");
    }
  }

  Merge& merge_;
  const std::vector<Mistake>& known_;
  std::vector<Mistake> mistakes_;
};

}  // namespace

std::vector<Mistake> check(Merge& merge, const std::vector<Mistake>& known) { return Checker(merge, known).run(); }

}  // namespace buildwarden::config
