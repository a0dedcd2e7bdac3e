#include "config/schema.h"

namespace buildwarden::config {
namespace {

const Table<RegistrySettings>& registry_table() {
  static const Table<RegistrySettings> table = {
      texts<RegistrySettings>("mirrors", in(&RegistrySettings::mirrors), registry_mirror()),
      scalar<RegistrySettings>("ca", in(&RegistrySettings::ca), optional_path()),
      scalar<RegistrySettings>("insecure", in(&RegistrySettings::insecure), boolean()),
  };
  return table;
}

template <class T>
Field<BuilderSettings> cache_field(std::string name, T CacheSettings::* member, const Format<T>& as) {
  return scalar<BuilderSettings>("cache." + std::move(name), in(&BuilderSettings::cache, member), as);
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
