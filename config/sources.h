// The texts of the files that root writes beside the YAML (cfn-env, the agent's env file, daemon.json,
// docker-binfmt.env): which of them count.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace buildwarden::config {

// By path: what a file said when it last counted.
using SourceTexts = std::map<std::string, std::string>;

// A file counts when it is a regular one of root's that nobody else may write to. Two of them lie in the agent's home,
// where a job may move them away and put its own in their place: then what they last said goes on to count.
class Sources {
 public:
  // `last`: what counted until now, none at the start. `believe_absence`: an absent file is absent. Without it one that
  // is gone from a folder where others than root may remove it goes on to count; so root removes such a file for good
  // by removing it and asking for a reload.
  Sources(SourceTexts last, bool believe_absence) : last_(std::move(last)), believe_absence_(believe_absence) {}
  Sources() = default;

  // The text that counts; nothing when there is none.
  std::optional<std::string> read(const std::string& path);

  // All that counts by now, for the next load.
  [[nodiscard]] const SourceTexts& texts() const { return texts_; }
  // Each file that was found not to count, in one sentence: why, and what counts in its place.
  [[nodiscard]] const std::vector<std::string>& distrusted() const { return distrusted_; }

 private:
  std::optional<std::string> fall_back(const std::string& path, const std::string& why);

  SourceTexts last_;
  bool believe_absence_ = true;
  SourceTexts texts_;
  std::vector<std::string> distrusted_;
};

}  // namespace buildwarden::config
