#include "daemon/cli/doctor.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <optional>

#include "common/format.h"
#include "common/subprocess.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/commands.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// Who was silent once is not waited for again.
Ask ask_once_silent(Context context, Duration patience) {
  const auto silent = std::make_shared<std::optional<Error>>();
  return [context = std::move(context), patience, silent](const std::string& target) -> Result<Answer> {
    if (*silent) return **silent;
    auto answer = Client(context, patience).get(target);
    if (!answer) *silent = answer.error();
    return answer;
  };
}

std::string lines_of(std::string_view check, const Finding& finding, const Terminal& terminal) {
  const auto level = to_string(finding.level);
  auto lines =
      painted(format("{:<7}", level), level, terminal) + visible(format("  {}: {}", check, finding.text)) + "\n";
  if (!finding.fix.empty()) lines += visible(format("{:<7}  fix: {}", "", finding.fix)) + "\n";
  return lines;
}

json::object json_of(std::string_view check, const Finding& finding) {
  json::object object;
  object["check"] = check;
  object["level"] = to_string(finding.level);
  object["text"] = as_utf8(finding.text);
  object["fix"] = as_utf8(finding.fix);
  return object;
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "error";
}

Finding fine(std::string text) { return {Level::kOk, std::move(text)}; }
Finding warning(std::string text, std::string fix) { return {Level::kWarning, std::move(text), std::move(fix)}; }
Finding error(std::string text, std::string fix) { return {Level::kError, std::move(text), std::move(fix)}; }

// Where nobody names a file the daemon's counts, with what its command line says: what stands in another file is no
// fault of this daemon.
void take_daemons_config(Scene& scene) {
  const auto status = scene.daemon("/v1/status");
  if (!status || !status->good()) return;
  scene.daemon_file = text(member(status->json, "config"), "file");
  if (scene.daemon_file.empty() || scene.config.yaml_required) return;
  scene.config.yaml_path = scene.daemon_file;
  const auto settings = scene.daemon("/v1/config");
  if (!settings || !settings->good()) return;
  for (const auto& setting : list(settings->json, "settings")) {
    if (text(setting, "source") != "command-line") continue;
    scene.config.overrides[text(setting, "key")] = text(setting, "value");
  }
}

Scene look_around(const Context& context, const config::LoadRequest& config) {
  Scene scene;
  scene.config = config;
  scene.daemon = ask_once_silent(context, context.patience);
  take_daemons_config(scene);
  if (auto loaded = config::load(scene.config)) scene.settings = std::move(loaded->settings);
  scene.socket = context.socket;
  scene.env = context.env;
  auto to_engine = context;
  to_engine.socket = scene.settings.engine.socket;
  scene.engine = ask_once_silent(std::move(to_engine), context.patience);
  scene.agent = find_account(scene.settings.agent.user);
  for (const std::string parent : {"/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"}) {
    scene.plugin_folders.push_back(parent + "/docker/cli-plugins");
  }
  scene.version = [](const std::string& program) {
    const auto end = run_program({program, "version"}, std::chrono::seconds{5});
    return end && end->exit_code == 0 ? end->output : std::string();
  };
  if (scene.agent && !scene.agent->home.empty()) scene.own_plugins = scene.agent->home + "/.docker/cli-plugins";
  return scene;
}

namespace {

struct Named {
  std::string_view check;
  Finding finding;
};

// The first that is wrong, for what stands later may come of it; without one the first to look at. What comes of
// another counts when there is no other.
const Named* first_to_do(const std::vector<Named>& all) {
  for (const auto level : {Level::kError, Level::kWarning}) {
    for (const bool follows : {false, true}) {
      for (const auto& one : all) {
        if (one.finding.level == level && one.finding.follows == follows) return &one;
      }
    }
  }
  return nullptr;
}

}  // namespace

int report_findings(const Context& context, const Scene& scene, std::span<const Check> checks) {
  std::array<int, 3> count{};
  std::vector<Named> found;
  json::array all;
  std::string lines;
  const auto terminal = context.terminal();
  for (const auto& check : checks) {
    for (const auto& finding : check.look(scene)) {
      ++count.at(static_cast<std::size_t>(finding.level));
      found.push_back({check.name, finding});
      all.push_back(json_of(check.name, finding));
      lines += lines_of(check.name, finding, terminal);
    }
  }
  const auto [fine_ones, warnings, errors] = count;
  const auto* first = first_to_do(found);
  const json::object document{
      {"findings", std::move(all)},
      {"errors", errors},
      {"warnings", warnings},
      {"first", first == nullptr ? json::value(nullptr) : json_of(first->check, first->finding)}};
  lines += format("{} in order, {} to look at, {} wrong\n", fine_ones, warnings, errors);
  if (first != nullptr) lines += visible(format("first ({}): {}", first->check, first->finding.fix)) + "\n";
  if (context.json) {
    print_json(context, json::serialize(document));
  } else {
    context.out(lines);
  }
  return errors > 0 ? kNo : kYes;
}

int run_doctor(const Context& context, const config::LoadRequest& config) {
  return report_findings(context, look_around(context, config), kChecks);
}

}  // namespace buildwarden::cli
