// The texts of the files that root writes beside the YAML (cfn-env, the agent's env file, daemon.json,
// docker-binfmt.env): which of them count.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/foreign_file.h"

namespace buildwarden::config {

// By path: the file as it last counted.
using SourceTexts = std::map<std::string, ForeignFile>;

// A file counts when it is a regular one of root's that nobody else may write to. Two of them lie in the agent's home,
// where a job may move root's files about and put its own in their place. There, what last counted goes on to count
// where the file is not root's alone, is gone, is older than the last one, or says nothing; until the daemon's restart.
class Sources {
 public:
  Sources() = default;
  // `last`: what counted until now.
  explicit Sources(SourceTexts last) : last_(std::move(last)) {}

  // Whether a text says anything of what such a file is for.
  using Says = bool (*)(const std::string& text);
  // The text that counts; nothing when there is none.
  std::optional<std::string> read(const std::string& path, Says says);

  // All that counts by now, for the next load.
  [[nodiscard]] const SourceTexts& texts() const { return texts_; }
  // Each file that was found not to count, in one sentence: why, and what counts in its place.
  [[nodiscard]] const std::vector<std::string>& distrusted() const { return distrusted_; }

 private:
  std::optional<std::string> fall_back(const std::string& path, const std::string& why);

  SourceTexts last_;
  SourceTexts texts_;
  std::vector<std::string> distrusted_;
};

}  // namespace buildwarden::config
