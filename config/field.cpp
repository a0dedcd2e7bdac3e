#include "config/field.h"
#include "common/nearest.h"

namespace buildwarden::config {

std::string wrong_kind(const TreeNode& node, NodeKind wanted) {
  if (node.kind == wanted) return "";
  switch (node.kind) {
    case NodeKind::kNull: return "is empty";
    case NodeKind::kScalar: return format("{} is a single value", shown(node.text));
    case NodeKind::kSequence: return "is a list";
    case NodeKind::kMap: return "is a map";
  }
  return "";
}

bool read_texts(const TreeNode& node, const Format<std::string>& as, std::vector<std::string>& into,
                const std::pair<std::string, Layer*>& where) {
  const auto& [path, layer] = where;
  if (auto problem = wrong_kind(node, NodeKind::kSequence); !problem.empty()) {
    layer->mistake(node, path, format("{}; write a list in [ ] of {}", problem, as.hint));
    return false;
  }
  std::vector<std::string> values;
  bool fine = true;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    std::string value;
    const std::string item_path = format("{}[{}]", path, i);
    if (!read_value(node.items[i], as, value, item_path, *layer)) {
      fine = false;
    } else if (std::find(values.begin(), values.end(), value) != values.end()) {
      layer->mistake(node.items[i], item_path, format("{} stands in the list twice; remove one", shown(value)));
      fine = false;
    } else {
      values.push_back(std::move(value));
    }
  }
  if (fine) into = std::move(values);
  return fine;
}

std::string show_texts(const std::vector<std::string>& values) {
  std::string list;
  for (const auto& value : values) list += (list.empty() ? "" : ", ") + yaml_spelling(value);
  return "[" + list + "]";
}

std::string unknown_key(const std::string& key, const std::vector<std::string>& siblings,
                        const std::vector<std::string>& everywhere) {
  if (auto meant = nearest(key, siblings); !meant.empty()) return format("is not a known key; did you mean {}?", meant);
  for (const auto& name : everywhere) {
    if (name == key || name.ends_with("." + key)) return format("is not a known key here; did you mean {}?", name);
  }
  std::string list;
  for (const auto& name : siblings) list += (list.empty() ? "" : ", ") + name;
  return format("is not a known key; the keys here are {}", list);
}

std::string take_key(const TreeNode& map, std::size_t at, const std::string& path, Layer& layer) {
  const TreeNode& key = map.items[at];
  if (key.kind != NodeKind::kScalar || key.text.empty()) {
    layer.mistake(key, path, "a key that is not a word; write KEY: VALUE");
    return "";
  }
  for (std::size_t i = 0; i < at; i += 2) {
    const TreeNode& earlier = map.items[i];
    if (earlier.kind != NodeKind::kScalar || earlier.text != key.text) continue;
    const std::string full = path.empty() ? key.text : path + "." + key.text;
    layer.mistake(key, full, format("is given twice, first on line {}; remove one", earlier.line));
    return "";
  }
  return key.text;
}

}  // namespace buildwarden::config
