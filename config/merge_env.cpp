#include <algorithm>
#include <array>
#include <cstdint>

#include "common/format.h"
#include "config/env_files.h"
#include "config/merge.h"
#include "config/schema.h"

namespace buildwarden::config {
namespace {

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

// The stack's hook sources cfn-env after the agent's environment, which systemd took from the env file:
// set_unless_present finds what that set, set_always replaces it (hooks/environment of the stack, since 2.0).
void apply_stack_env(const PathSettings& paths, Merge& merge) {
  const Source cfn{kCfnEnv, paths.cfn_env};
  const Source agent{kAgentEnv, paths.agent_env};
  const auto of_stack = read_variables(cfn, parse_cfn_env, merge);
  merge.cfn_env_read = !of_stack.by_name.empty();
  apply_variables(cfn, only(of_stack, false), false, merge);
  apply_variables({kAgentEnv, "environment"}, marks_of(merge.environment), true, merge);
  apply_variables(agent, read_variables(agent, parse_environment_file, merge), true, merge);
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
