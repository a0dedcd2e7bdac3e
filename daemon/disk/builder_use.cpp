#include "daemon/disk/builder_use.h"

#include <set>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr std::string_view kVolumeSuffix = "_state";

std::string value_of(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? std::string() : found->second;
}

bool is_ours(const std::map<std::string, std::string>& labels) {
  return value_of(labels, std::string(ports::kOwnerLabel)) == ports::kOwner;
}

bool is_followed(const ports::VolumeRecord& volume) {
  return is_buildx_volume(volume.name) || is_anonymous_volume(volume);
}

bool is_removal(const std::string& action) { return action == "destroy" || action == "prune"; }

}  // namespace

bool is_buildx_container(const ports::ContainerRecord& container) {
  return container.name.starts_with(kBuildxPrefix) && !is_ours(container.labels);
}

bool is_buildx_volume(std::string_view name) {
  return name.starts_with(kBuildxPrefix) && name.ends_with(kVolumeSuffix) &&
         name.size() > kBuildxPrefix.size() + kVolumeSuffix.size();
}

bool is_unnamed_volume(std::string_view name) {
  constexpr std::size_t kIdLength = 64;
  return name.size() == kIdLength && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_anonymous_volume(const ports::VolumeRecord& volume) {
  return volume.is_plain && is_unnamed_volume(volume.name) && volume.labels.size() == 1 &&
         volume.labels.contains(std::string(ports::kAnonymousLabel));
}

std::string state_volume_of(const std::string& container_name) { return container_name + std::string(kVolumeSuffix); }

// An event of a container has its labels among its attributes.
void BuilderUse::on_event(const ports::EngineEvent& event) {
  if (is_removal(event.action) || event.id.empty()) return;
  if (event.type == "volume" && (is_buildx_volume(event.id) || is_unnamed_volume(event.id)))
    note(volume_row(event.id), event);
  if (event.type != "container" || is_ours(event.attributes)) return;
  if (value_of(event.attributes, "name").starts_with(kBuildxPrefix)) note(builder_row(event.id), event);
}

void BuilderUse::note(const std::string& row, const ports::EngineEvent& event) {
  auto why = format("{} {}", event.type, event.action);
  if (event.before_start) {
    replayed_.insert_or_assign(row, Use{event.at, std::move(why)});
  } else {
    parts_.ledger.used(row, event.at, why);
  }
}

asio::awaitable<void> BuilderUse::learn(std::vector<ports::ContainerRecord> containers) {
  const auto volumes = co_await parts_.volumes.list_volumes("");
  std::set<std::string> present;
  std::set<std::string> mounted;
  for (const auto& container : containers) {
    if (is_buildx_container(container)) present.insert(builder_row(container.id));
    mounted.insert(container.volumes.begin(), container.volumes.end());
  }
  if (!volumes) co_return;
  for (const auto& volume : *volumes) {
    if (is_followed(volume)) present.insert(volume_row(volume.name));
  }
  parts_.ledger.seen_builders(present);
  for (const auto& volume : *volumes) {
    const bool used = is_followed(volume) && mounted.contains(volume.name);
    if (used) parts_.ledger.used(volume_row(volume.name), parts_.clock.now().wall, "a container mounts it");
  }
  for (const auto& [row, use] : std::exchange(replayed_, {})) {
    const auto known = parts_.ledger.last_use(row, parts_.clock.now());
    if (present.contains(row) && use.at > known.at) parts_.ledger.used(row, use.at, use.why);
  }
}

}  // namespace buildwarden::disk
