#include "config/load.h"

#include <map>
#include <tuple>
#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/nearest.h"
#include "config/builder_defaults.h"
#include "config/checks.h"
#include "config/docker_service.h"
#include "config/merge.h"
#include "config/schema.h"

namespace buildwarden::config {
namespace {

constexpr const char* kCommandLinePlace = "command line";

using Mistakes = std::vector<Mistake>;

void append(Mistakes& all, const Mistakes& more) { all.insert(all.end(), more.begin(), more.end()); }

// The YAML's tree; an empty one when there is no file and none was asked for.
Result<TreeNode> read_yaml(const LoadRequest& request) {
  auto text = read_file(request.yaml_path, kMaxFile);
  if (!text && text.error().code() == Errc::kNotFound && !request.yaml_required) return TreeNode{};
  if (!text) return std::move(text).error();
  return parse_yaml(request.yaml_path, *text);
}

Mistakes apply_yaml(const std::string& path, const TreeNode& root, Merge& merge) {
  Layer layer(kYaml, path, merge.origins);
  read_map(settings_table(), merge.settings, root, At{}, layer);
  return layer.mistakes();
}

void forget_places(TreeNode& node) {
  node.line = 0;
  node.column = 0;
  for (auto& item : node.items) forget_places(item);
}

// A list or a map is written in YAML's flow style, all else as it is.
Result<TreeNode> read_override(const std::string& value) {
  if (!value.starts_with('[') && !value.starts_with('{')) return scalar_node(value);
  auto node = parse_yaml("value", value);
  if (node) forget_places(*node);
  return node;
}

void apply_override(const std::string& key, const std::string& value, Merge& merge, Layer& layer) {
  const auto* field = find_field(settings_table(), key);
  if (field == nullptr) {
    const auto names = names_of(settings_table());
    const auto meant = nearest(key, names);
    const auto text = meant.empty() ? unknown_key(key, names_below(settings_table(), ""), names)
                                    : format("is not a known key; did you mean {}?", meant);
    return layer.mistake(TreeNode{}, key, text);
  }
  if (!field->elsewhere.empty()) {
    return layer.mistake(TreeNode{}, key, "cannot be set here; it comes from " + field->elsewhere);
  }
  auto node = read_override(value);
  if (!node) return layer.mistake(TreeNode{}, key, node.error().message());
  field->read(merge.settings, *node, key, layer);
}

Mistakes apply_overrides(const LoadRequest& request, Merge& merge) {
  Layer layer(kCommandLine, kCommandLinePlace, merge.origins);
  for (const auto& [key, value] : request.overrides) apply_override(key, value, merge, layer);
  return layer.mistakes();
}

// AWS_REGION, where an env file gave it, is also the region of every cache that has none.
void fill_cache_regions(const std::string& region, const Origin& from, Merge& merge) {
  auto& builders = merge.settings.builders;
  for (std::size_t i = 0; i < builders.size(); ++i) {
    if (!builders[i].cache.region.empty() || region.empty()) continue;
    builders[i].cache.region = region;
    merge.origins[format("builders[{}].cache.region", i)] = from;
  }
}

// All sources over the defaults, weakest first; returns the mistakes of the operator's own.
Mistakes merge_all(const LoadRequest& request, const TreeNode& yaml, const PathSettings& paths, Merge& merge) {
  apply_daemon_json(paths.daemon_json, merge);
  apply_docker_service(paths.docker_drop_ins, merge);
  apply_binfmt_env(paths.docker_binfmt_env, merge);
  apply_stack_env(paths, merge);
  const std::string region = merge.settings.instance.region;
  const Origin region_from = merge.origins["instance.region"];
  if (region_from.source.empty()) merge.origins.erase("instance.region");
  Mistakes mistakes = apply_yaml(request.yaml_path, yaml, merge);
  append(mistakes, apply_overrides(request, merge));
  fill_cache_regions(region, region_from, merge);
  append(mistakes, complete_builders(merge));
  append(mistakes, check(merge, mistakes));
  return mistakes;
}

// In the order of the file, the command line last.
Error all_of(Mistakes mistakes) {
  std::multimap<std::tuple<bool, int, int>, std::string> by_place;
  for (auto& m : mistakes) by_place.emplace(std::tuple(m.line == 0, m.line, m.column), std::move(m.text));
  std::string text;
  for (const auto& [where, line] : by_place) text += (text.empty() ? "" : "\n") + line;
  return {Errc::kInvalid, text};
}

std::vector<EffectiveValue> effective(const Merge& merge) {
  Rows rows;
  show_all(settings_table(), merge.settings, "", rows);
  std::vector<EffectiveValue> values;
  for (auto& [key, value] : rows) {
    const auto from = merge.origins.find(key);
    const bool set = from != merge.origins.end();
    values.push_back(EffectiveValue{std::move(key), std::move(value), set ? from->second.source : kDefaultSource,
                                    set ? from->second.location : "", ""});
  }
  return values;
}

}  // namespace

Result<Loaded> load(const LoadRequest& request) {
  auto yaml = read_yaml(request);
  if (!yaml) return std::move(yaml).error();
  Merge first;  // only to learn where the other files are; its mistakes come again
  apply_yaml(request.yaml_path, *yaml, first);
  apply_overrides(request, first);
  Merge merge;
  merge.sources = request.sources;
  merge.environment = request.environment;
  merge.marks_of_env_file = request.marks_of_env_file;
  auto mistakes = merge_all(request, *yaml, first.settings.paths, merge);
  if (!mistakes.empty()) return all_of(std::move(mistakes));
  auto values = effective(merge);
  Loaded loaded;
  loaded.settings = std::move(merge.settings);
  loaded.values = std::move(values);
  loaded.warnings = std::move(merge.warnings);
  loaded.distrusted = merge.sources.distrusted();
  loaded.warnings.insert(loaded.warnings.end(), loaded.distrusted.begin(), loaded.distrusted.end());
  loaded.texts = merge.sources.texts();
  loaded.cfn_env_read = merge.cfn_env_read;
  return loaded;
}

}  // namespace buildwarden::config
