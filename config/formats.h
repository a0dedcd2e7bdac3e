// The spellings of single values: how each is read, what would be right, how it is shown.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "config/settings.h"

namespace buildwarden::config {

template <class T>
struct Format {
  using Value = T;
  std::string hint;    // what would be right, as an object of "write"
  std::string remedy;  // the same, shorter, where the error's text has named the kind already
  // The error says what is wrong with the text as its predicate: "is not a duration".
  std::function<Result<T>(std::string_view)> parse;
  std::function<std::string(const T&)> show;
  bool bare_only = false;  // a YAML scalar in quotes is of the wrong type
};

Format<bool> boolean();
Format<std::int64_t> integer(std::int64_t least, std::int64_t most);
Format<Duration> duration(Duration least, Duration most);
// Of a disk: a size or a share below 100 %; `zero` says whether nothing is allowed.
Format<Amount> amount(bool zero);
Format<std::string> one_of(const std::vector<std::string>& words);

// Texts. Those whose name says optional take "" too.
Format<std::string> absolute_path();
Format<std::string> optional_path();
Format<std::string> socket_path();     // absolute, at most 107 bytes
Format<std::string> purgeable_path();  // absolute, at least two levels deep: what is below may be deleted
Format<std::string> image_reference();
Format<std::string> optional_image();
Format<std::string> image_glob();
Format<std::string> builder_name();
Format<std::string> builder_alias();
Format<std::string> optional_memory();
Format<std::string> optional_cpus();
Format<std::string> program_argument();
Format<std::string> registry_host();
Format<std::string> registry_mirror();
Format<std::string> container_network();  // host, or ""
Format<std::string> optional_runtime();
Format<std::string> ip_address();
Format<std::string> extra_host();  // NAME:IP or NAME:host-gateway
Format<std::string> variable_name();
Format<std::string> any_text();  // as another program spells it; for facts that are only shown
// A bucket with a prefix, s3://NAME/PREFIX, or an absolute path.
Format<std::string> optional_seed_location();
Format<std::string> optional_bucket();
Format<std::string> optional_region();
Format<std::string> optional_word();  // no spaces, quotes, commas: it becomes part of a flag
Format<std::string> optional_url();
Format<std::string> url();
Format<std::string> platform();
Format<std::string> user_name();
Format<std::string> group_name();             // or auto
Format<std::string> optional_service_unit();  // "": no agent on this machine
Format<std::string> program();
Format<std::string> optional_endpoint();  // IP:PORT
Format<std::string> host_name();

Format<OnForeign> on_foreign();
Format<CacheType> cache_type();
Format<SeedSave> seed_save();
Format<Bytes> size(Bytes least);
Format<RankBy> rank_by();

}  // namespace buildwarden::config
