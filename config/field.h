// The schema's one mechanism: a table of fields for each struct. A field stands in one place and is read, shown and
// documented from there, whatever the source.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/format.h"
#include "config/formats.h"
#include "config/layer.h"
#include "config/text.h"

namespace buildwarden::config {

// (key path, value as YAML spells it)
using Rows = std::vector<std::pair<std::string, std::string>>;

template <class S>
struct Field {
  std::string name;       // dotted below the struct: "cache.type"
  std::string hint;       // what would be right
  std::string elsewhere;  // not empty: no key of the YAML nor the command line, and where it comes from instead
  // Sets the field from `node`, or says what is wrong with it under the full key `path`.
  std::function<void(S&, const TreeNode&, const std::string& path, Layer&)> read;
  std::function<void(const S&, const std::string& path, Rows&)> show;
};

template <class S>
using Table = std::vector<Field<S>>;

// Accessors for tables: in(&Outer::part, &Part::member).
template <class S, class V>
auto in(V S::* member) {
  return [member](auto& object) -> auto& { return object.*member; };
}
template <class S, class P, class V>
auto in(P S::* part, V P::* member) {
  return [part, member](auto& object) -> auto& { return object.*part.*member; };
}

// Says why `node` cannot be a value of `kind`; "" when it can.
std::string wrong_kind(const TreeNode& node, NodeKind wanted);

template <class T>
bool read_value(const TreeNode& node, const Format<T>& as, T& into, const std::string& path, Layer& layer) {
  if (auto problem = wrong_kind(node, NodeKind::kScalar); !problem.empty()) {
    layer.mistake(node, path, format("{}; write {}", problem, as.hint));
    return false;
  }
  if (node.quoted && as.bare_only) {
    layer.mistake(node, path, format("{} is a text in quotes; write {}", shown(node.text), as.hint));
    return false;
  }
  auto value = as.parse(node.text);
  if (!value) {
    layer.mistake(
        node, path,
        format("{} {}; write {}", shown(node.text), value.error().message(), as.remedy.empty() ? as.hint : as.remedy));
    return false;
  }
  into = *std::move(value);
  return true;
}

template <class S, class At, class T>
Field<S> scalar(std::string name, At at, const Format<T>& as) {
  Field<S> field{std::move(name), as.hint, "", nullptr, nullptr};
  field.read = [at, as](S& object, const TreeNode& node, const std::string& path, Layer& layer) {
    if (read_value(node, as, at(object), path, layer)) layer.decided(path, node);
  };
  field.show = [at, as](const S& object, const std::string& path, Rows& rows) {
    rows.emplace_back(path, as.show(at(object)));
  };
  return field;
}

// The values of a list of scalars, each read as `as`, none twice; nothing is changed when one is wrong.
bool read_texts(const TreeNode& node, const Format<std::string>& as, std::vector<std::string>& into,
                const std::pair<std::string, Layer*>& where);
std::string show_texts(const std::vector<std::string>& values);

template <class S, class At>
Field<S> texts(std::string name, At at, const Format<std::string>& as) {
  Field<S> field{std::move(name), "a list in [ ] of " + as.hint, "", nullptr, nullptr};
  field.read = [at, as](S& object, const TreeNode& node, const std::string& path, Layer& layer) {
    if (read_texts(node, as, at(object), {path, &layer})) layer.decided(path, node);
  };
  field.show = [at](const S& object, const std::string& path, Rows& rows) {
    rows.emplace_back(path, show_texts(at(object)));
  };
  return field;
}

// What to say of a key that no table has.
std::string unknown_key(const std::string& key, const std::vector<std::string>& siblings,
                        const std::vector<std::string>& everywhere);

// The key's text when it may be one: a scalar, not met before in this map; else a mistake and "".
std::string take_key(const TreeNode& map, std::size_t at, const std::string& path, Layer& layer);

// The names that may stand directly below `prefix` ("" or "cache.").
template <class S>
std::vector<std::string> names_below(const Table<S>& table, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& field : table) {
    if (!field.name.starts_with(prefix) || !field.elsewhere.empty()) continue;
    auto name = field.name.substr(prefix.size());
    name = name.substr(0, name.find('.'));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

template <class S>
std::vector<std::string> names_of(const Table<S>& table) {
  std::vector<std::string> names;
  for (const auto& field : table) {
    if (field.elsewhere.empty()) names.push_back(field.name);
  }
  return names;
}

template <class S>
const Field<S>* find_field(const Table<S>& table, const std::string& name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& field) { return field.name == name; });
  return found == table.end() ? nullptr : &*found;
}

// Where in the file and in the table a map is being read.
struct At {
  std::string path;    // the full key of the map, "" at the top
  std::string prefix;  // its part within the table, with the dot, "" at the table's top
};

// Reads the map `node` into `object`; a section without content changes nothing.
template <class S>
void read_map(const Table<S>& table, S& object, const TreeNode& node, const At& at, Layer& layer) {
  if (node.kind == NodeKind::kNull) return;
  if (auto problem = wrong_kind(node, NodeKind::kMap); !problem.empty()) {
    layer.mistake(node, at.path, problem + "; write keys with their values");
    return;
  }
  for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
    const std::string key = take_key(node, i, at.path, layer);
    if (key.empty()) continue;
    const TreeNode& value = node.items[i + 1];
    const std::string path = at.path.empty() ? key : at.path + "." + key;
    const std::string name = at.prefix + key;
    const auto siblings = names_below(table, at.prefix);
    const auto* field = key.find('.') == std::string::npos ? find_field(table, name) : nullptr;
    if (field != nullptr && field->elsewhere.empty()) {
      field->read(object, value, path, layer);
    } else if (field != nullptr) {
      layer.mistake(node.items[i], path, "cannot be set here; it comes from " + field->elsewhere);
    } else if (std::find(siblings.begin(), siblings.end(), key) != siblings.end()) {
      read_map(table, object, value, At{path, name + "."}, layer);
    } else {
      layer.mistake(node.items[i], path, unknown_key(key, siblings, names_of(table)));
    }
  }
}

template <class S>
void show_all(const Table<S>& table, const S& object, const std::string& path, Rows& rows) {
  for (const auto& field : table) field.show(object, path.empty() ? field.name : path + "." + field.name, rows);
}

// A list of structs: each item is a map with the keys of `table`.
template <class S, class Accessor, class T>
Field<S> structs(std::string name, Accessor at, const Table<T>& table) {
  Field<S> field{std::move(name), "a list of maps", "", nullptr, nullptr};
  field.read = [at, &table](S& object, const TreeNode& node, const std::string& path, Layer& layer) {
    if (auto problem = wrong_kind(node, NodeKind::kSequence); !problem.empty()) {
      layer.mistake(node, path, problem + "; write a list of maps, each with a - before it");
      return;
    }
    layer.decided(path, node);
    std::vector<T> items;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const std::string item_path = format("{}[{}]", path, i);
      T item;
      layer.decided(item_path, node.items[i]);
      if (node.items[i].kind == NodeKind::kNull) {
        layer.mistake(node.items[i], item_path, "is empty; write keys with their values");
      }
      read_map(table, item, node.items[i], At{item_path, ""}, layer);
      items.push_back(std::move(item));
    }
    at(object) = std::move(items);
  };
  field.show = [at, &table](const S& object, const std::string& path, Rows& rows) {
    const auto& items = at(object);
    if (items.empty()) rows.emplace_back(path, "[]");
    for (std::size_t i = 0; i < items.size(); ++i) show_all(table, items[i], format("{}[{}]", path, i), rows);
  };
  return field;
}

// A map of structs by name: path[NAME].key.
template <class S, class Accessor, class T>
Field<S> named_structs(std::string name, Accessor at, const Table<T>& table, const Format<std::string>& names) {
  Field<S> field{std::move(name), "a map from a name to its keys", "", nullptr, nullptr};
  field.read = [at, &table, names](S& object, const TreeNode& node, const std::string& path, Layer& layer) {
    if (auto problem = wrong_kind(node, NodeKind::kMap); !problem.empty()) {
      layer.mistake(node, path, problem + "; write a map, or {} for none");
      return;
    }
    layer.decided(path, node);
    std::map<std::string, T> items;
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
      const std::string key = take_key(node, i, path, layer);
      std::string checked;
      const std::string item_path = format("{}[{}]", path, key);
      if (key.empty() || !read_value(node.items[i], names, checked, item_path, layer)) continue;
      read_map(table, items[key], node.items[i + 1], At{item_path, ""}, layer);
    }
    at(object) = std::move(items);
  };
  field.show = [at, &table](const S& object, const std::string& path, Rows& rows) {
    const auto& items = at(object);
    if (items.empty()) rows.emplace_back(path, "{}");
    for (const auto& [key, item] : items) show_all(table, item, format("{}[{}]", path, key), rows);
  };
  return field;
}

}  // namespace buildwarden::config
