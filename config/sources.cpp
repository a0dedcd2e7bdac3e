#include "config/sources.h"

#include "common/foreign_file.h"
#include "common/format.h"
#include "config/document.h"

namespace buildwarden::config {

std::optional<std::string> Sources::read(const std::string& path) {
  auto text = read_foreign_file(path, FileOwner::kRoot, kMaxFile);
  if (text) {
    texts_[path] = *text;
    return *std::move(text);
  }
  if (text.error().code() != Errc::kNotFound) return fall_back(path, text.error().message());
  const bool was_there = last_.contains(path);
  if (!was_there || believe_absence_ || !may_others_replace(path)) return std::nullopt;
  return fall_back(path, format("{} is gone from a folder where others than root may remove it", path));
}

std::optional<std::string> Sources::fall_back(const std::string& path, const std::string& why) {
  const auto before = last_.find(path);
  if (before == last_.end()) {
    distrusted_.push_back(why + "; nothing of it counts");
    return std::nullopt;
  }
  distrusted_.push_back(why + "; what it said before goes on to count");
  texts_[path] = before->second;
  return before->second;
}

}  // namespace buildwarden::config
