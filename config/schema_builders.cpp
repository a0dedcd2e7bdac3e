#include "config/schema.h"

namespace buildwarden::config {
namespace {

const Table<RegistrySettings>& registry_table() {
  static const Table<RegistrySettings> table = {
      texts<RegistrySettings>("mirrors", in(&RegistrySettings::mirrors), registry_mirror()),
      scalar<RegistrySettings>("ca", in(&RegistrySettings::ca), optional_path()),
      scalar<RegistrySettings>("insecure", in(&RegistrySettings::insecure), boolean()),
      scalar<RegistrySettings>("http", in(&RegistrySettings::http), boolean()),
  };
  return table;
}

template <class T>
Field<BuilderSettings> cache_field(std::string name, T CacheSettings::* member, const Format<T>& as) {
  return scalar<BuilderSettings>("cache." + std::move(name), in(&BuilderSettings::cache, member), as);
}

// Variables by name. A value may be a secret: it is shown only where it is a proxy's address, without its login, and
// never stands in an error.
Field<BuilderSettings> env_field() {
  Field<BuilderSettings> field{"env", "a map from a variable's name to its value", "", nullptr, nullptr};
  field.read = [names = variable_name(), values = any_text()](BuilderSettings& builder, const TreeNode& node,
                                                              const std::string& path, Layer& layer) {
    if (auto problem = wrong_kind(node, NodeKind::kMap); !problem.empty()) {
      return layer.mistake(node, path, problem + "; write a map, or {} for none");
    }
    layer.decided(path, node);
    std::map<std::string, std::string> variables;
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
      const auto key = take_key(node, i, path, layer);
      const auto item = format("{}[{}]", path, key);
      std::string name;
      if (key.empty() || !read_value(node.items[i], names, name, item, layer)) continue;
      const auto& value = node.items[i + 1];
      if (value.kind != NodeKind::kScalar || !values.parse(value.text)) {
        layer.mistake(value, item,
                      "is not a text of at most 4096 bytes without control characters; write one, in quotes");
        continue;
      }
      layer.decided(item, value);
      variables[name] = value.text;
    }
    builder.env = std::move(variables);
  };
  field.show = [](const BuilderSettings& builder, const std::string& path, Rows& rows) {
    if (builder.env.empty()) rows.emplace_back(path, "{}");
    for (const auto& [name, value] : builder.env) {
      const bool is_address = name.ends_with("_PROXY") || name.ends_with("_proxy");
      rows.emplace_back(format("{}[{}]", path, name),
                        is_address ? yaml_spelling(without_login(value)) : "\"…\" (not shown)");
    }
  };
  return field;
}

}  // namespace

const Table<BuilderSettings>& builder_table() {
  using B = BuilderSettings;
  static const Table<B> table = {
      scalar<B>("name", in(&B::name), builder_name()),
      scalar<B>("image", in(&B::image), image_reference()),
      texts<B>("aliases", in(&B::aliases), builder_alias()),
      scalar<B>("cache_share", in(&B::cache_share), amount(false)),
      scalar<B>("max_parallelism", in(&B::max_parallelism), integer(0, 1000)),
      scalar<B>("memory", in(&B::memory), optional_memory()),
      scalar<B>("cpus", in(&B::cpus), optional_cpus()),
      scalar<B>("on_foreign", in(&B::on_foreign), on_foreign()),
      texts<B>("buildkitd_flags", in(&B::buildkitd_flags), program_argument()),
      named_structs<B>("registries", in(&B::registries), registry_table(), registry_host()),
      env_field(),
      scalar<B>("network", in(&B::network), container_network()),
      scalar<B>("runtime", in(&B::runtime), optional_runtime()),
      texts<B>("dns", in(&B::dns), ip_address()),
      texts<B>("extra_hosts", in(&B::extra_hosts), extra_host()),
      scalar<B>("buildkitd_toml", in(&B::buildkitd_toml), optional_path()),
      scalar<B>("seed", in(&B::seed), boolean()),
      cache_field("type", &CacheSettings::type, cache_type()),
      cache_field("bucket", &CacheSettings::bucket, optional_bucket()),
      cache_field("region", &CacheSettings::region, optional_region()),
      cache_field("prefix", &CacheSettings::prefix, optional_word()),
      cache_field("ref", &CacheSettings::ref, optional_image()),
      cache_field("mode", &CacheSettings::mode, one_of({"max", "min"})),
      cache_field("endpoint_url", &CacheSettings::endpoint_url, optional_url()),
      cache_field("use_path_style", &CacheSettings::use_path_style, boolean()),
      cache_field("ignore_error", &CacheSettings::ignore_error, boolean()),
  };
  return table;
}

}  // namespace buildwarden::config
