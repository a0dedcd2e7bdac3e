#include "daemon/disk/own_leftovers.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/format.h"
#include "common/trash.h"
#include "daemon/disk/deadlines.h"
#include "daemon/disk/engine_answers.h"
#include "daemon/disk/filesystem_snapshot.h"

namespace buildwarden::disk {
namespace fs = std::filesystem;

namespace {

using Leftover = OwnLeftovers::Leftover;

constexpr std::uint64_t kMostLeftEntries = 2'000'000;
constexpr std::string_view kSetAside = ".damaged-";  // as the state room names them

// What lies in `folder` and is wanted, with its size; a folder that is not there has nothing.
void look_into(const std::string& folder, bool thrown_away, const std::stop_token& stop, std::vector<Leftover>& found) {
  std::error_code error;
  for (fs::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    Leftover leftover;
    leftover.folder = folder;
    leftover.name = item->path().filename().string();
    leftover.thrown_away = thrown_away;
    if (!thrown_away && (leftover.name.find(kSetAside) == std::string::npos || item->is_directory(error))) continue;
    auto look = look_through(folder, leftover.name, kMostLeftEntries, stop);
    if (!look) continue;
    leftover.look = *look;
    found.push_back(std::move(leftover));
  }
}

std::vector<Leftover> look_for_leftovers(const std::vector<std::string>& trashed, const std::vector<std::string>& state,
                                         const std::stop_token& stop) {
  std::vector<Leftover> found;
  for (const auto& folder : trashed) {
    if (open_trash(folder, false)) look_into(format("{}/{}", folder, kTrashName), true, stop, found);
  }
  for (const auto& folder : state) look_into(folder, false, stop, found);
  return found;
}

Result<ports::Rung::Taken> remove_leftover(const Leftover& leftover, const std::stop_token& stop) {
  auto removed = remove_tree(leftover.folder, leftover.name, leftover.look.identity, stop);
  if (!removed) {
    const auto code = removed.error().code();
    if (code == Errc::kNotFound || code == Errc::kConflict) return dropped(removed.error().message());
    return std::move(removed).error();
  }
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::Rung::Taken taken;
  taken.reported = removed->bytes;
  return taken;
}

}  // namespace

bool OwnLeftovers::frees(const ports::Place& place) const {
  const auto& paths = parts_.settings.paths;
  return place.has_role("cache_dirs") || place.has_path(paths.state) || place.has_path(paths.builds);
}

ports::Async<std::vector<policy::Candidate>> OwnLeftovers::list(const policy::RungTurn&) { return list_leftovers(); }

ports::Async<ports::Rung::Taken> OwnLeftovers::take(const policy::Candidate& candidate, const policy::RungTurn&) {
  return take_planned(candidate);
}

ports::Async<std::vector<policy::Candidate>> OwnLeftovers::list_leftovers() {
  planned_.clear();
  auto trashed = parts_.settings.disk.cache_dirs;
  trashed.push_back(parts_.settings.paths.builds);
  std::vector<std::string> state;
  state.push_back(parts_.settings.paths.state);
  std::function<Result<std::vector<Leftover>>()> work = [trashed, state, stop = stop_.get_token()] {
    return Result<std::vector<Leftover>>(look_for_leftovers(trashed, state, stop));
  };
  auto found = co_await parts_.workers.compute<std::vector<Leftover>>(work, kLookDeadline);
  if (!found) co_return std::move(found).error();
  const Now now = parts_.clock.now();
  std::vector<policy::Candidate> candidates;
  for (auto& leftover : *found) {
    policy::Candidate candidate;
    candidate.id = format("{}/{}", leftover.folder, leftover.name);
    candidate.name = format("{} {}", leftover.thrown_away ? "trash" : "damaged state", candidate.id);
    candidate.size = leftover.look.bytes;
    candidate.device = device_label(leftover.look.identity.device);
    candidate.last_use.at = leftover.look.changed;
    candidate.last_use.observed = std::max(Duration{0}, now.wall - leftover.look.changed);
    candidate.thrown_away = leftover.thrown_away;
    planned_.emplace(candidate.id, std::move(leftover));
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

ports::Async<ports::Rung::Taken> OwnLeftovers::take_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  std::function<Result<Taken>()> work = [leftover = planned->second, stop = stop_.get_token()] {
    return remove_leftover(leftover, stop);
  };
  co_return co_await parts_.workers.compute<Taken>(work, kRemoveDeadline);
}

}  // namespace buildwarden::disk
