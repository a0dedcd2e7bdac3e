// disk.keep: whether each of its patterns keeps anything here.
#include <algorithm>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"
#include "daemon/policy/image_names.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// What a pattern may keep, by its names, and of an image its id.
struct Kept {
  std::string id;
  std::vector<std::string> names;
  std::string with_kind{};  // "container:web", "network:shared", "volume:data"
};

std::vector<std::string> texts_of(const json::value& value, std::string_view key) {
  std::vector<std::string> texts;
  for (const auto& one : list(value, key)) {
    if (one.is_string() && !one.get_string().starts_with("<none>")) texts.emplace_back(one.get_string());
  }
  return texts;
}

void add_images(const json::value& answer, std::vector<Kept>& into) {
  const auto* images = answer.if_array();
  for (const auto& image : images == nullptr ? json::array() : *images) {
    Kept kept{text(image, "Id"), texts_of(image, "RepoTags")};
    for (auto& digest : texts_of(image, "RepoDigests")) kept.names.push_back(std::move(digest));
    into.push_back(std::move(kept));
  }
}

void add_containers(const json::value& answer, std::vector<Kept>& into) {
  const auto* containers = answer.if_array();
  for (const auto& container : containers == nullptr ? json::array() : *containers) {
    Kept kept;
    for (auto& name : texts_of(container, "Names")) kept.names.push_back(name.substr(name.find_first_not_of('/')));
    if (!kept.names.empty()) kept.with_kind = "container:" + kept.names.front();
    into.push_back(std::move(kept));
  }
}

void add_named(const json::value& named, const std::string& kind, std::vector<Kept>& into) {
  const auto* all = named.if_array();
  for (const auto& one : all == nullptr ? json::array() : *all) {
    into.push_back(Kept{"", {text(one, "Name")}, kind + text(one, "Name")});
  }
}

// All that there is on the engine; nothing when it does not tell of the images.
std::optional<std::vector<Kept>> all_on(const Ask& engine) {
  std::vector<Kept> all;
  const auto images = engine("/images/json");
  if (!images || !images->good()) return std::nullopt;
  add_images(images->json, all);
  if (const auto containers = engine("/containers/json?all=1")) add_containers(containers->json, all);
  if (const auto volumes = engine("/volumes")) add_named(member(volumes->json, "Volumes"), "volume:", all);
  if (const auto networks = engine("/networks")) add_named(networks->json, "network:", all);
  return all;
}

bool keeps_any(const std::string& pattern, const std::vector<Kept>& all) {
  const policy::KeepPatterns patterns({pattern});
  return std::any_of(all.begin(), all.end(), [&](const Kept& one) {
    return patterns.match(one.names, one.id).has_value() || policy::glob_matches(pattern, one.with_kind);
  });
}

}  // namespace

Findings check_keep(const Scene& scene) {
  const auto& patterns = scene.settings.disk.keep;
  if (patterns.empty()) return {fine("disk.keep names nothing")};
  const auto all = all_on(scene.engine);
  if (!all) return {warning("what disk.keep matches was not looked at: the engine does not answer", "see the engine")};
  Findings findings;
  for (const auto& pattern : patterns) {
    if (keeps_any(pattern, *all)) continue;
    findings.push_back(
        warning(format("the pattern {} of disk.keep matches no image, container, volume or network here", pattern),
                "nothing, where that comes later; docker image ls --digests shows how images are called"));
  }
  if (findings.empty()) findings.push_back(fine(format("each of the {} patterns matches something", patterns.size())));
  return findings;
}

}  // namespace buildwarden::cli
