// An operator's own buildkitd.toml (`builders[].buildkitd_toml`): read, and checked for what is not the operator's to
// say.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/result.h"

namespace buildwarden::config {

struct BuildkitdFile {
  std::string text;
  std::set<std::string> registries;  // the hosts that it has a section for
};

// The file at `path`, at most kMaxFile bytes. kDenied: it is not root's alone (read_foreign_file()), or others may
// replace it; kNotFound; kInvalid carries all that is wrong with what stands in it, one line each: "file:line:column:
// …".
Result<BuildkitdFile> read_buildkitd_file(const std::string& path);

// The same of a text. BuildKit takes a key's name in small or in capital letters, so both are looked for.
Result<BuildkitdFile> check_buildkitd_file(const std::string& file, const std::string& text);

}  // namespace buildwarden::config
