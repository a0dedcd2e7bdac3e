// How images are called: compared as the engine means the names, not as people write them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace buildwarden::policy {

// As the engine shows it: "docker.io/library/alpine" is "alpine:latest"; "name:tag@sha256:…" is "name@sha256:…", since
// the engine takes no notice of the tag then. An id stays as it is.
std::string normalised_reference(std::string_view reference);

// An id, or how one begins, with "sha256:" in front: of "sha256:" and at most 64 digits 0-9 and a-f, or of these alone.
// Nothing for what can only be a name. A name may look the same ("cafe"), and the engine takes it for a name first.
std::optional<std::string> id_start(std::string_view text);

// Shell-like glob: `*` any run of characters, `?` one, everything else itself.
bool glob_matches(std::string_view pattern, std::string_view text);

// The operator's patterns of what is never deleted (disk.keep). One may be written as docker takes names:
// "docker.io/library/idle:1", "index.docker.io/library/idle:1" and "idle:1" are the same; a name without a tag is every
// tag and every digest of it, as for `docker image ls NAME`; "name:tag@sha256:…" is "name@sha256:…"; four digits of an
// id and more are that image.
class KeepPatterns {
 public:
  explicit KeepPatterns(const std::vector<std::string>& patterns);

  struct Match {
    std::string name;     // of those given, or the id
    std::string pattern;  // as it was written
  };
  // The first pattern that matches one of the names, as the engine shows them, or the id; nothing when none does.
  [[nodiscard]] std::optional<Match> match(const std::vector<std::string>& names, std::string_view id) const;

 private:
  struct Pattern {
    std::string written;
    std::vector<std::string> spellings;
    std::string id;  // how the ids begin that it means; "" = it is none
  };
  std::vector<Pattern> patterns_;
};

}  // namespace buildwarden::policy
