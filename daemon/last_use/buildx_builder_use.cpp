#include "daemon/last_use/buildx_builder_use.h"

#include <set>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

std::string value_of(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? std::string() : found->second;
}

bool is_followed(const ports::VolumeRecord& volume) {
  return ports::is_buildx_volume(volume.name) || ports::is_anonymous_volume(volume);
}

bool is_removal(const std::string& action) { return action == "destroy" || action == "prune"; }

}  // namespace

// An event of a container has its labels among its attributes.
void BuildxBuilderUse::on_event(const ports::EngineEvent& event) {
  if (is_removal(event.action) || event.id.empty()) return;
  if (event.type == "volume" && (ports::is_buildx_volume(event.id) || ports::is_unnamed_volume(event.id)))
    note(ports::volume_row(event.id), event);
  if (event.type != "container" || ports::is_ours(event.attributes)) return;
  if (value_of(event.attributes, "name").starts_with(ports::kBuildxPrefix)) note(ports::builder_row(event.id), event);
}

void BuildxBuilderUse::note(const std::string& row, const ports::EngineEvent& event) {
  auto why = format("{} {}", event.type, event.action);
  if (event.before_start) {
    replayed_.insert_or_assign(row, Use{event.at, std::move(why)});
  } else {
    parts_.ledger.used(row, event.at, why);
  }
}

asio::awaitable<void> BuildxBuilderUse::learn(std::vector<ports::ContainerRecord> containers) {
  const auto volumes = co_await parts_.volumes.list_volumes("");
  std::set<std::string> present;
  std::set<std::string> mounted;
  for (const auto& container : containers) {
    if (ports::is_buildx_container(container)) present.insert(ports::builder_row(container.id));
    mounted.insert(container.volumes.begin(), container.volumes.end());
  }
  if (!volumes) co_return;
  for (const auto& volume : *volumes) {
    if (is_followed(volume)) present.insert(ports::volume_row(volume.name));
  }
  parts_.ledger.seen_builders(present);
  for (const auto& volume : *volumes) {
    const bool used = is_followed(volume) && mounted.contains(volume.name);
    if (used) parts_.ledger.used(ports::volume_row(volume.name), parts_.clock.now().wall, "a container mounts it");
  }
  for (const auto& [row, use] : std::exchange(replayed_, {})) {
    const auto known = parts_.ledger.last_use(row, parts_.clock.now());
    if (present.contains(row) && use.at > known.at) parts_.ledger.used(row, use.at, use.why);
  }
}

}  // namespace buildwarden::disk
