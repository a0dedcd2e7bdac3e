#include "config/sources.h"

#include "common/format.h"
#include "config/document.h"

namespace buildwarden::config {
namespace {

// Why a file of root's is not the one that root put there last; "" when it may be.
std::string why_not_that(const ForeignFile& file, const ForeignFile& last, Sources::Says says) {
  if (file.changed < last.changed) return "it is older than the one that counted (root makes it count by touching it)";
  if (!says(file.text) && says(last.text)) return "it says nothing that such a file should say";
  return {};
}

}  // namespace

std::optional<std::string> Sources::read(const std::string& path, Says says) {
  auto file = read_foreign_file(path, FileOwner::kRoot, kMaxFile);
  const bool is_gone = !file && file.error().code() == Errc::kNotFound;
  if (!file && !is_gone) return fall_back(path, file.error().message());
  const auto last = last_.find(path);
  const bool is_movable = last != last_.end() && may_others_replace(path);
  if (is_gone && !is_movable) return std::nullopt;
  std::string why;
  if (is_gone) why = "it is gone";
  if (file && is_movable) why = why_not_that(*file, last->second, says);
  if (!why.empty())
    return fall_back(path, format("{} does not count, since others than root may move it: {}", path, why));
  auto text = file->text;
  texts_[path] = *std::move(file);
  return text;
}

std::optional<std::string> Sources::fall_back(const std::string& path, const std::string& why) {
  const auto before = last_.find(path);
  if (before == last_.end()) {
    distrusted_.push_back(why + "; nothing of it counts");
    return std::nullopt;
  }
  distrusted_.push_back(why + "; what it said before goes on to count");
  texts_[path] = before->second;
  return before->second.text;
}

}  // namespace buildwarden::config
