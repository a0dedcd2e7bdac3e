#include "config/merge.h"

#include <algorithm>
#include <array>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <boost/locale/encoding_utf.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "config/env_files.h"
#include "config/schema.h"
#include "config/text.h"

namespace buildwarden::config {
namespace json = boost::json;

namespace {

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

enum class Meaning : std::uint8_t { kTrueOrFalse, kAsWritten, kKibibytes };

struct Mapping {
  const char* variable;
  const char* key;
  Meaning meaning;
  bool agent_only;  // cfn-env is not its place
};

constexpr std::array kMappings = {
    Mapping{"DOCKER_PRUNE_UNTIL", "disk.keep_used_within", Meaning::kAsWritten, false},
    Mapping{"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL", "on_full.purge_builds", Meaning::kTrueOrFalse, false},
    Mapping{"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL", "on_full.terminate_instance", Meaning::kTrueOrFalse, false},
    Mapping{"BUILDKITE_TERMINATE_INSTANCE_AFTER_JOB", "agent.terminate_after_job", Meaning::kTrueOrFalse, false},
    Mapping{"DOCKER_BUILDER_PRUNE_ENABLED", "on_full.builder_prune", Meaning::kTrueOrFalse, false},
    Mapping{"ENABLE_PRE_EXIT_DISK_CLEANUP", "jobs.check_at_end", Meaning::kTrueOrFalse, false},
    Mapping{"DOCKER_USERNS_REMAP", "engine.userns_remap", Meaning::kTrueOrFalse, false},
    Mapping{"BUILDWARDEN_SEEDS_LOCATION", "seeds.location", Meaning::kAsWritten, false},
    Mapping{"BUILDWARDEN_SEEDS_SAVE", "seeds.save", Meaning::kAsWritten, false},
    Mapping{"AWS_REGION", "instance.region", Meaning::kAsWritten, false},
    Mapping{"DISK_MIN_AVAILABLE", "disk.min_free", Meaning::kKibibytes, true},
    Mapping{"DISK_MIN_INODES", "disk.min_free_inodes", Meaning::kAsWritten, true},
};

constexpr std::size_t kMaxOddLines = 5;

struct Source {
  const char* name;
  std::string path;
};

struct Target {
  const char* key;
  std::string variable;  // that its value comes from
};

// One variable's value for one key of the schema, or a warning, which names the variable, and the old value.
void set_from(const Source& source, const Target& target, const TreeNode& node, Merge& merge) {
  const auto* key = target.key;
  const auto* field = find_field(settings_table(), key);
  if (field == nullptr) return;
  Layer layer(source.name, source.path, merge.origins);
  field->read(merge.settings, node, key, layer);
  if (layer.mistakes().empty()) return;
  Rows old;
  field->show(merge.settings, key, old);
  const auto at = place(source.path, node.line, 0);
  const auto what = layer.mistakes().front().text.substr(at.size() + std::string_view(key).size());
  merge.warnings.push_back(format("{}{}{}; {} stays", at, target.variable, what, old.front().second));
}

void apply_boolean(const Source& source, const Mapping& mapping, const Variable& variable, Merge& merge) {
  const bool yes = variable.value == "true";
  if (!yes && variable.value != "false") {
    merge.warnings.push_back(format("{}{}: {} counts as false; write true or false",
                                    place(source.path, variable.line, 0), mapping.variable, shown(variable.value)));
  }
  set_from(source, {mapping.key, mapping.variable}, scalar_node(yes ? "true" : "false", variable.line), merge);
}

void apply_kibibytes(const Source& source, const Mapping& mapping, const Variable& variable, Merge& merge) {
  const auto count = integer(0, 1'000'000'000'000).parse(variable.value);
  if (!count) {
    Rows old;
    find_field(settings_table(), mapping.key)->show(merge.settings, mapping.key, old);
    merge.warnings.push_back(format("{}{}: {} {}; write a whole number of KiB; {} stays",
                                    place(source.path, variable.line, 0), mapping.variable, shown(variable.value),
                                    count.error().message(), old.front().second));
    return;
  }
  set_from(source, {mapping.key, mapping.variable}, scalar_node(format("{}KiB", *count), variable.line), merge);
}

void apply_variables(const Source& source, const Variables& variables, bool agent, Merge& merge) {
  for (const auto& mapping : kMappings) {
    const auto found = variables.by_name.find(mapping.variable);
    if (found == variables.by_name.end() || (mapping.agent_only && !agent)) continue;
    const Variable& variable = found->second;
    switch (mapping.meaning) {
      case Meaning::kTrueOrFalse: apply_boolean(source, mapping, variable, merge); break;
      case Meaning::kAsWritten:
        set_from(source, {mapping.key, mapping.variable}, scalar_node(variable.value, variable.line), merge);
        break;
      case Meaning::kKibibytes: apply_kibibytes(source, mapping, variable, merge); break;
    }
  }
}

bool says_cfn(const std::string& text) { return !parse_cfn_env(text).by_name.empty(); }

bool says_environment(const std::string& text) { return !parse_environment_file(text).by_name.empty(); }

void warn_of_lines(const Source& source, const std::vector<int>& lines, const char* what, Merge& merge) {
  for (std::size_t i = 0; i < lines.size() && i < kMaxOddLines; ++i) {
    merge.warnings.push_back(place(source.path, lines[i], 0) + what);
  }
}

// The variables of the text that counts.
Variables read_variables(const Source& source, Variables (*parse)(std::string_view), Merge& merge) {
  const auto text = merge.sources.read(source.path, parse == parse_cfn_env ? says_cfn : says_environment);
  if (!text) return {};
  Variables variables = parse(*text);
  warn_of_lines(source, variables.odd_lines, "not an assignment; the line is ignored", merge);
  warn_of_lines(source, variables.exported_lines,
                "systemd, which reads this file, does not know `export` and passes over the line; write NAME=value",
                merge);
  return variables;
}

// Those of set_always, or the others.
Variables only(const Variables& variables, bool always) {
  Variables some;
  for (const auto& [name, variable] : variables.by_name) {
    if (variable.always == always) some.by_name.emplace(name, variable);
  }
  return some;
}

// What else the agent's env file sets is not asked of an environment: a job's own variables are in it, too.
Variables marks_of(const std::map<std::string, std::string>& environment) {
  Variables marks;
  for (const auto& mapping : kMappings) {
    const auto found = environment.find(mapping.variable);
    if (mapping.agent_only && found != environment.end()) marks.by_name[found->first] = Variable{found->second};
  }
  return marks;
}

bool names_binfmt_image(const std::string& name) { return name == "IMAGE" || name.ends_with("BINFMT_IMAGE"); }

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

// The stack's hook sources cfn-env after the agent's environment, which systemd took from the env file:
// set_unless_present finds what that set, set_always replaces it (hooks/environment of the stack, since 2.0).
void apply_stack_env(const PathSettings& paths, Merge& merge) {
  const Source cfn{kCfnEnv, paths.cfn_env};
  const Source agent{kAgentEnv, paths.agent_env};
  const auto of_stack = read_variables(cfn, parse_cfn_env, merge);
  merge.cfn_env_read = !of_stack.by_name.empty();
  apply_variables(cfn, only(of_stack, false), false, merge);
  apply_variables({kAgentEnv, "environment"}, marks_of(merge.environment), true, merge);
  apply_variables(agent, read_variables(agent, parse_environment_file, merge), merge.marks_of_env_file, merge);
  apply_variables(cfn, only(of_stack, true), false, merge);
}

void apply_binfmt_env(const std::string& path, Merge& merge) {
  const Source source{kBinfmtEnv, path};
  const auto variables = read_variables(source, parse_environment_file, merge).by_name;
  const auto image =
      std::find_if(variables.begin(), variables.end(), [](const auto& v) { return names_binfmt_image(v.first); });
  if (image != variables.end()) {
    set_from(source, {"emulation.image", image->first}, scalar_node(image->second.value, image->second.line), merge);
  } else if (!variables.empty()) {
    merge.warnings.push_back(path + ": no variable BINFMT_IMAGE in it; emulation.image stays as it is");
  }
}

}  // namespace buildwarden::config
