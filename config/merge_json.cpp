#include <algorithm>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <boost/locale/encoding_utf.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "config/merge.h"
#include "config/schema.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

namespace json = boost::json;

int line_at(const std::string& text, std::size_t at) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), end, '\n'));
}

// Where the key stands, for provenance only.
int line_of(const std::string& text, std::string_view key) {
  const auto at = text.find(format("\"{}\"", key));
  return at == std::string::npos ? 0 : line_at(text, at);
}

struct File {
  std::string path;
  std::string text;
  json::object root;
};

// Where in each pair of bytes the high and the low one are.
struct ByteOrder {
  std::size_t high = 0;
  std::size_t low = 1;
};

std::string from_utf16(std::string_view bytes, ByteOrder order) {
  std::u16string units;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto byte = [&](std::size_t offset) {
      return static_cast<unsigned>(static_cast<unsigned char>(bytes[i + offset]));
    };
    units += static_cast<char16_t>(byte(order.high) << 8U | byte(order.low));
  }
  return boost::locale::conv::utf_to_utf<char>(units);
}

// dockerd takes its file in UTF-8 with or without a byte order mark, or in UTF-16 with one (BOMOverride of
// golang.org/x/text, cmd/dockerd and daemon/config since 17.12).
std::string without_byte_order_mark(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) return text.substr(3);
  if (text.starts_with("\xff\xfe")) return from_utf16(std::string_view(text).substr(2), {1, 0});
  if (text.starts_with("\xfe\xff")) return from_utf16(std::string_view(text).substr(2), {0, 1});
  return text;
}

// The root object; nothing, and a warning, when the file is no JSON object.
bool parse(File& file, Merge& merge) {
  json::parser parser;
  json::error_code ec;
  const std::size_t consumed = parser.write_some(file.text, ec);
  if (!ec && file.text.find_first_not_of(" \t\r\n", consumed) != std::string::npos) ec = json::error::extra_data;
  if (ec) {
    merge.warnings.push_back(format("{}not JSON ({}); the file is ignored",
                                    place(file.path, line_at(file.text, consumed), 0), ec.message()));
    return false;
  }
  json::value value = parser.release();
  if (!value.is_object()) {
    merge.warnings.push_back(file.path + ": no JSON object; the file is ignored");
    return false;
  }
  file.root = std::move(value.as_object());
  return true;
}

void warn_not_text(const File& file, std::string_view key, Merge& merge) {
  merge.warnings.push_back(
      format("{}{}: not a text; the value is ignored", place(file.path, line_of(file.text, key), 0), key));
}

void set(const File& file, const char* key, const TreeNode& node, Merge& merge) {
  Layer layer(kDaemonJson, file.path, merge.origins);
  find_field(settings_table(), key)->read(merge.settings, node, key, layer);
  for (const auto& mistake : layer.mistakes()) merge.warnings.push_back(mistake.text);
}

// A list of texts as the reader of lists takes it; nothing, and a warning, when it is none.
std::optional<TreeNode> text_list(const File& file, const char* key, Merge& merge) {
  const auto* found = file.root.if_contains(key);
  if (found == nullptr) return std::nullopt;
  const auto* values = found->if_array();
  const bool are_texts = values != nullptr && std::all_of(values->begin(), values->end(),
                                                          [](const json::value& one) { return one.is_string(); });
  const int line = line_of(file.text, key);
  if (!are_texts) {
    merge.warnings.push_back(format("{}{}: not a list of texts; it is ignored", place(file.path, line, 0), key));
    return std::nullopt;
  }
  TreeNode list;
  list.kind = NodeKind::kSequence;
  list.line = line;
  for (const auto& one : *values) {
    auto item = scalar_node(std::string_view(one.get_string()), line);
    const bool known = std::any_of(list.items.begin(), list.items.end(),
                                   [&](const TreeNode& before) { return before.text == item.text; });
    if (!known) list.items.push_back(std::move(item));
  }
  return list;
}

// Builders' defaults. The engine itself refuses a mirror with a login, so nothing of one is shown.
void apply_registries(const File& file, Merge& merge) {
  if (auto mirrors = text_list(file, "registry-mirrors", merge)) {
    std::erase_if(mirrors->items, [](const TreeNode& one) { return one.text.find('@') != std::string::npos; });
    set(file, "engine.registry_mirrors", *mirrors, merge);
  }
  auto insecure = text_list(file, "insecure-registries", merge);
  if (!insecure) return;
  std::erase_if(insecure->items, [&](const TreeNode& one) {
    if (one.text.find('/') == std::string::npos) return false;
    merge.warnings.push_back(
        format("{}insecure-registries: {} is a network, which BuildKit cannot be told; builders "
               "take what stands in builders[].registries.HOST",
               place(file.path, one.line, 0), shown(one.text)));
    return true;
  });
  set(file, "engine.insecure_registries", *insecure, merge);
}

// The engine's own word for its proxies, but for logins, which it hides.
void apply_proxies(const File& file, Merge& merge) {
  const auto* proxies = file.root.if_contains("proxies");
  if (proxies == nullptr || !proxies->is_object()) return;
  for (const auto& [name, key] : {std::pair("HTTP_PROXY", "http-proxy"), std::pair("HTTPS_PROXY", "https-proxy")}) {
    const auto* value = proxies->get_object().if_contains(key);
    if (value == nullptr || !value->is_string()) continue;
    const int line = line_of(file.text, key);
    merge.proxies[name] = {std::string(value->get_string()),
                           Origin{kDaemonJson, format("{}:{}", file.path, line), line, 0}};
  }
}

}  // namespace

void apply_daemon_json(const std::string& path, Merge& merge) {
  auto text = merge.sources.read(path, [](const std::string& one) { return !one.empty(); });
  if (!text) return;
  File file{path, without_byte_order_mark(*std::move(text)), {}};
  if (file.text.find_first_not_of(" \t\r\n") == std::string::npos || !parse(file, merge)) return;
  apply_registries(file, merge);
  apply_proxies(file, merge);
  if (const auto* root = file.root.if_contains("data-root")) {
    const auto* value = root->if_string();
    if (value == nullptr) return warn_not_text(file, "data-root", merge);
    set(file, "engine.data_root", scalar_node(std::string_view(*value), line_of(file.text, "data-root")), merge);
  }
  if (const auto* remap = file.root.if_contains("userns-remap")) {
    const auto* value = remap->if_string();
    if (value == nullptr) return warn_not_text(file, "userns-remap", merge);
    const int line = line_of(file.text, "userns-remap");
    set(file, "engine.userns_remap", scalar_node(value->empty() ? "false" : "true", line), merge);
  }
}

}  // namespace buildwarden::config
