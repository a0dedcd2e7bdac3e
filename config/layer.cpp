#include "config/layer.h"

#include "common/format.h"

namespace buildwarden::config {

std::string place(std::string_view file, int line, int column) {
  if (line <= 0) return format("{}: ", file);
  return column > 0 ? format("{}:{}:{}: ", file, line, column) : format("{}:{}: ", file, line);
}

void Layer::mistake(const TreeNode& node, std::string_view key, std::string_view text) {
  std::string whole = place(file_, node.line, node.column);
  if (!key.empty()) whole += format("{}: ", key);
  whole += text;
  mistakes_.push_back(Mistake{std::string(key), node.line, node.column, std::move(whole)});
}

void Layer::decided(const std::string& key, const TreeNode& node) {
  const std::string below = key + "[";
  auto at = origins_->lower_bound(below);
  while (at != origins_->end() && at->first.starts_with(below)) at = origins_->erase(at);
  const std::string location = node.line > 0 ? format("{}:{}", file_, node.line) : file_;
  (*origins_)[key] = Origin{source_, location, node.line, node.column};
}

}  // namespace buildwarden::config
