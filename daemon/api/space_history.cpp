#include "daemon/api/space_history.h"

#include <algorithm>
#include <utility>

namespace buildwarden::api {

void SpaceHistory::sample(const ports::DiskView& view) {
  std::vector<Track> kept;
  for (const auto& disk : view.filesystems) {
    if (kept.size() == kMostMounts) break;
    Track track{disk.device, disk.mount, {}};
    const auto same = [&track](const Track& one) { return one.device == track.device && one.mount == track.mount; };
    const auto known = std::find_if(tracks_.begin(), tracks_.end(), same);
    if (known != tracks_.end()) track.samples = std::move(known->samples);
    auto& samples = track.samples;
    if (disk.reading && disk.error.empty() && (samples.empty() || samples.back().at < disk.reading->at.boot)) {
      samples.push_back({disk.reading->at.boot, disk.reading->free});
      if (samples.size() > kMostSamples) samples.pop_front();
    }
    kept.push_back(std::move(track));
  }
  tracks_ = std::move(kept);
}

std::vector<SpaceHistory::Sample> SpaceHistory::of(const ports::FilesystemSnapshot& filesystem) const {
  for (const auto& track : tracks_) {
    if (track.device == filesystem.device && track.mount == filesystem.mount) {
      return {track.samples.begin(), track.samples.end()};
    }
  }
  return {};
}

}  // namespace buildwarden::api
